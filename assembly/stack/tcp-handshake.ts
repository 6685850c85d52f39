// How a connection comes about (RFC 9293 3.10.7.2 and 3.10.7.3; net/ipv4/tcp_input.c: tcp_conn_request, tcp_rcv_synsent_state_process,
// tcp_finish_connect): what each end offers, what both agree on, and who is told.

import { Frame } from "../frame";
import { deliver, drop, Drop } from "../drops";
import { random } from "../random";
import * as ipv6 from "../wire/ipv6";
import * as tcp from "../wire/tcp";
import { pathMtu } from "./output";
import { pathMtu6 } from "./output6";
import { Failure, Punt, V6_PUNT, punt } from "./punts";
import * as congestion from "./tcp-congestion";
import { failed, leaveBacklog, resetFor } from "./tcp-end";
import * as options from "./tcp-options";
import {
  disarm, PROCESSING_DELAY, request, settleReceiveWindow, startReceiveWindow, WORK_ACK_NOW, WORK_SEND, WORK_SYN,
} from "./tcp-output";
import { acknowledgment, flags, header, local, protocol, remote, sequence, time } from "./tcp-segment";
import { indexSocket, newSocket, removeSocket, Socket, State } from "./sockets";

const SCALE: u8 = 7;
const DEFAULT_MSS: u32 = 536;

/** MSS for what a route carries: its MTU without the two headers (ip_mtu caps it at 65535). */
export function mssOf(socket: Socket, mtu: u32): u32 { return max<u32>(min<u32>(mtu, 65535), socket.v6 ? 108 : 88) - (socket.v6 ? 60 : 40); }

/** What both SYNs agreed on. */
function agree(socket: Socket): void {
  socket.timestamps &= <u8>options.timestamps;
  socket.sack &= <u8>options.sackPermitted;
  socket.scaling &= <u8>(options.scale >= 0);
  socket.sendScale = socket.scaling ? <u8>options.scale : 0;
  socket.receiveScale = socket.scaling ? SCALE : 0;
  // RFC 6691: the MSS option does not count the options that segments carry; those come off here.
  const mss = min(socket.advertisedMss, max<u32>(options.mss ? options.mss : DEFAULT_MSS, 64));
  socket.mss = mss - (socket.timestamps ? 12 : 0);
  socket.timestampRecent = socket.timestamps ? options.timestampValue : 0;
  socket.receiveNext = sequence + 1;
  socket.receiveTold = sequence + 1;
}

/** Offers what Linux offers; `agree` takes off what the peer does not want. For both ends of a connection. */
export function prepareConnection(socket: Socket, mtu: u32): void {
  socket.timestamps = 1;
  socket.sack = 1;
  socket.scaling = 1;
  socket.receiveScale = SCALE;
  socket.advertisedMss = mssOf(socket, mtu);
  socket.timestampOffset = random();
  socket.ipId = random();
  socket.hash = random() | 1;
  const initial = random();
  socket.initialSend = initial;
  socket.sendUnacknowledged = initial;
  socket.sendNext = initial + 1;
  socket.sendMax = initial + 1;
  socket.bufferStart = initial + 1;
  socket.writeEnd = initial + 1;
  socket.released = initial + 1;
  socket.smallEnd = initial;
  congestion.startTimeouts(socket);
}

export function listening(listener: Socket, frame: Frame): void {
  if (flags & tcp.RST) return drop(frame, Drop.TCP_FLAGS, frame.device);
  const namespace = listener.namespace;
  if (flags & tcp.ACK) {
    // Half-open: it speaks of a connection that is no more (or never was).
    resetFor(namespace, frame);
    return drop(frame, Drop.TCP_FLAGS, frame.device);
  }
  if (!(flags & tcp.SYN) || flags & tcp.FIN) return drop(frame, Drop.TCP_FLAGS, frame.device);
  // A full backlog lets the SYN fall; the peer will send it again (tcp_conn_request, without SYN cookies).
  if (listener.backlog >= listener.backlogMax) return drop(frame, Drop.SOCKET_RCVBUFF, frame.device);
  const socket = newSocket(namespace, protocol, local, tcp.destination(header), remote, tcp.source(header));
  if (!socket) return drop(frame, Drop.NOMEM, frame.device);
  if (!indexSocket(socket)) {
    removeSocket(socket);
    return drop(frame, Drop.NOMEM, frame.device);
  }
  socket.state = State.SYN_RECEIVED;
  socket.listener = listener.id;
  socket.noDelay = listener.noDelay;
  listener.backlog++;
  prepareConnection(socket, socket.v6 ? pathMtu6(namespace, remote, time) : pathMtu(namespace, remote));
  agree(socket);
  startReceiveWindow(socket, socket.advertisedMss - (socket.timestamps ? 12 : 0));
  tellWindow(socket, tcp.window(header));
  request(socket, WORK_SYN, time + PROCESSING_DELAY);
  deliver(frame);
}

export function synSent(socket: Socket, frame: Frame): void {
  if (flags & tcp.ACK && acknowledgment != socket.initialSend + 1) {
    resetFor(socket.namespace, frame);
    return drop(frame, Drop.TCP_FLAGS, frame.device);
  }
  if (flags & tcp.RST) {
    if (!(flags & tcp.ACK)) return drop(frame, Drop.TCP_FLAGS, frame.device);
    failed(socket, Failure.REFUSED, time);
    return deliver(frame);
  }
  if (!(flags & tcp.SYN)) return drop(frame, Drop.TCP_FLAGS, frame.device);
  agree(socket);
  tellWindow(socket, tcp.window(header)); // a SYN's window is never scaled
  if (flags & tcp.ACK) {
    socket.sendUnacknowledged = acknowledgment;
    establish(socket);
    request(socket, WORK_ACK_NOW, time + PROCESSING_DELAY);
  } else {
    // Both have called each other (RFC 9293, figure 7).
    socket.state = State.SYN_RECEIVED;
    socket.retries = 0;
    socket.backoff = 0;
    request(socket, WORK_SYN, time + PROCESSING_DELAY);
  }
  deliver(frame);
}

export function tellWindow(socket: Socket, window: u32): void {
  socket.sendWindow = window;
  socket.windowSequence = sequence;
  socket.windowAck = acknowledgment;
}

export function establish(socket: Socket): void {
  if (socket.timing && !socket.retries) congestion.sampleRoundTrip(socket, time - socket.timedAt);
  socket.timing = 0;
  socket.retries = 0;
  socket.backoff = 0;
  socket.state = State.ESTABLISHED;
  disarm(socket);
  settleReceiveWindow(socket);
  // At least two segments fit into the peer's window (tcp_bound_to_half_wnd): on lo they are half as long as they might be.
  if (socket.sendWindow > DEFAULT_MSS) socket.mss = min(socket.mss, socket.sendWindow >> 1);
  congestion.startWindow(socket);
  if (socket.listener) {
    leaveBacklog(socket);
    const data = punt(socket.v6 ? Punt.ACCEPTED | V6_PUNT : Punt.ACCEPTED, time, socket.id, socket.v6 ? 20 : 8, socket.listener, socket.local);
    socket.listener = 0;
    if (data) {
      if (socket.v6) ipv6.copyAddress(data, <usize>socket.remote);
      else store<u32>(data, socket.remote);
      store<u32>(socket.v6 ? data + 16 : data + 4, socket.remotePort);
    }
  } else punt(Punt.CONNECTED, time, socket.id, 0, socket.local, socket.localPort);
  if (socket.released != socket.sendNext || socket.finQueued == 2) request(socket, WORK_SEND, time + PROCESSING_DELAY);
}
