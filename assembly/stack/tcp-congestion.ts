// How fast TCP sends: round trips and the retransmission timeout (RFC 6298, with Linux's bounds: tcp_rtt_estimator,
// tcp_set_rto), slow start and congestion avoidance (RFC 5681, by bytes: RFC 3465), fast retransmit and recovery
// (RFC 6582, NewReno). CUBIC, RACK and tail loss probes are left out.

import { after, before } from "../wire/tcp";
import { Socket } from "./sockets";

/** TCP_TIMEOUT_INIT, TCP_RTO_MIN, TCP_RTO_MAX. */
const INITIAL: u64 = 1_000_000_000;
const LEAST: u64 = 200_000_000;
const MOST: u64 = 120_000_000_000;
/** RFC 6928. */
const INITIAL_SEGMENTS: u32 = 10;
const DUPLICATES: u32 = 3;

export function startTimeouts(socket: Socket): void { socket.timeout = INITIAL; }

/** Handshake done: the MSS is known. */
export function startWindow(socket: Socket): void {
  socket.congestionWindow = INITIAL_SEGMENTS * socket.mss;
  socket.slowStartThreshold = u32.MAX_VALUE;
  socket.recover = socket.initialSend;
}

export function sampleRoundTrip(socket: Socket, rtt: u64): void {
  if (!socket.smoothedRtt) {
    socket.smoothedRtt = max<u64>(rtt, 1);
    socket.rttVariance = rtt >> 1;
  } else {
    const error = rtt > socket.smoothedRtt ? rtt - socket.smoothedRtt : socket.smoothedRtt - rtt;
    socket.rttVariance = (3 * socket.rttVariance + error) >> 2;
    socket.smoothedRtt = (7 * socket.smoothedRtt + rtt) >> 3;
  }
  // Linux bounds the variance, not the sum: the timeout is never less than a round trip and 200 ms.
  socket.timeout = min(MOST, socket.smoothedRtt + max(LEAST, socket.rttVariance << 2));
}

/** The timeout after `backoff` doublings. */
export function backedOff(socket: Socket): u64 {
  return min(MOST, socket.timeout << <u64>min<u32>(socket.backoff, 20));
}

/** What the third duplicate ACK, or a partial one, asks for. */
export let retransmitNow: bool = false;

/** `acked` bytes are acknowledged anew; `flight` were out before. */
export function acknowledged(socket: Socket, acked: u32, flight: u32): void {
  retransmitNow = false;
  socket.duplicateAcks = 0;
  const mss = socket.mss;
  if (socket.recovering) {
    if (!before(socket.sendUnacknowledged, socket.recover)) {
      socket.recovering = 0;
      socket.congestionWindow = socket.slowStartThreshold;
    } else {
      // A partial acknowledgment: the next hole (RFC 6582, 3.2 step 3).
      retransmitNow = true;
      socket.congestionWindow -= min(acked, socket.congestionWindow - mss);
      if (acked >= mss) socket.congestionWindow += mss;
    }
    return;
  }
  // Only a window that was used says anything (tcp_is_cwnd_limited).
  const window = socket.congestionWindow;
  if (window < socket.slowStartThreshold) {
    if (window < flight << 1) socket.congestionWindow = min(window + acked, max(socket.slowStartThreshold, window));
  } else if (flight + mss >= window) {
    socket.congestionWindow = window + max<u32>(1, <u32>((<u64>mss * <u64>min(acked, mss)) / <u64>window));
  }
}

/** The same acknowledgment once more while data is out. */
export function duplicateAck(socket: Socket): void {
  retransmitNow = false;
  socket.duplicateAcks++;
  const mss = socket.mss;
  if (socket.recovering) {
    socket.congestionWindow += mss;
  } else if (socket.duplicateAcks == DUPLICATES && !before(socket.sendUnacknowledged, socket.recover)) {
    socket.recovering = 1;
    socket.recover = socket.sendMax;
    socket.slowStartThreshold = half(socket);
    socket.congestionWindow = socket.slowStartThreshold + DUPLICATES * mss;
    retransmitNow = true;
  }
}

/** The retransmission timer has fired (RFC 5681, equation 4; RFC 6582, step 4: no fast retransmit before `recover`). */
export function timedOut(socket: Socket): void {
  if (!socket.retries) socket.slowStartThreshold = half(socket);
  socket.congestionWindow = socket.mss;
  socket.recovering = 0;
  socket.duplicateAcks = 0;
  if (after(socket.sendMax, socket.recover)) socket.recover = socket.sendMax;
  socket.timing = 0; // Karn: what is sent again is not timed
}

// @ts-ignore: decorator
@inline
function half(socket: Socket): u32 {
  return max((socket.sendMax - socket.sendUnacknowledged) >>> 1, 2 * socket.mss);
}
