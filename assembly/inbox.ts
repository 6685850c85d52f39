// Frames from JavaScript: bytes written into the inbox become frames at a device, packets at a socket, or a batch that
// arrives at once.

import { arena } from "./memory";
import { foresee, lineUp, linedUp, vectorLength } from "./flowtable/foresee";
import { Frame, ensureFrames, madeFrames, takeFrame, takeOfMany } from "./frame";
import { account, drop, Drop } from "./drops";
import { Device, receiveHere, scheduleAt, slowPackets } from "./devices/device";
import { Namespace } from "./stack/namespace";
import { Event, now } from "./clock/queue";
import { ensure, topUp } from "./clock/run";
import { mangle } from "./hooks/nat";
import { outputLater, outputLater6 } from "./stack/own-packets";
import * as ipv4 from "./wire/ipv4";
import * as ipv6 from "./wire/ipv6";
import { copySummed } from "./wire/checksum";

/** Room for the largest frame, or for what a socket is given to send in one call. */
export const INBOX: u32 = 1 << 20;
const inbox = arena(INBOX);
export function inboxAt(): usize { return inbox; }

function frameOf(length: u32, time: u64): Frame | null {
  ensureFrames();
  const frame = takeFrame(length);
  if (!frame) return null;
  account.injected++;
  memory.copy(frame.data, inbox, length);
  frame.time = time;
  return frame;
}

/** The frame in the inbox leaves by `device` at `time`, as if its namespace had sent it. */
export function injectTransmit(device: Device, length: u32, time: f64): bool {
  const frame = frameOf(length, <u64>time);
  if (!frame) return false;
  scheduleAt(device, Event.TRANSMIT, frame, max(<u64>time, now));
  return true;
}

/** The frame in the inbox arrives at `device` at `time`, as if the wire had brought it. */
export function injectReceive(device: Device, length: u32, time: f64): bool {
  const frame = frameOf(length, <u64>time);
  if (!frame) return false;
  scheduleAt(device, Event.FRAMES, frame, max(<u64>time, now));
  return true;
}

/**
 * The IPv4 packet in the inbox is sent by a socket at `time`, above OUTPUT, with the addresses and ports that the socket
 * used (network byte order); checksums follow. No socket sends what is no packet (raw_send_hdrinc): it ends here.
 */
export function injectSocket(namespace: Namespace, length: u32, source: u32, sport: u32, destination: u32, dport: u32, time: f64): bool {
  const frame = frameOf(length, <u64>time);
  if (!frame) return false;
  const ip = frame.data;
  const header = ipv4.headerLength(ip);
  const total = ipv4.totalLength(ip);
  if (length < ipv4.LENGTH || ipv4.version(ip) != 4 || header < ipv4.LENGTH || total < header || total > length) {
    drop(frame, Drop.IP_INHDR, namespace.loopback);
    return true;
  }
  frame.length = total;
  const protocol = ipv4.protocol(ip);
  mangle(ip, total, true, source, protocol, sport);
  mangle(ip, total, false, destination, protocol, dport);
  outputLater(namespace, frame);
  return true;
}

/** The IPv6 packet in the inbox is sent by a socket at `time`, above OUTPUT, as it is; `device`: the way out, where it needs one, or 0. */
export function injectSocket6(namespace: Namespace, device: Device | null, length: u32, time: f64): bool {
  const frame = frameOf(length, <u64>time);
  if (!frame) return false;
  const ip = frame.data;
  if (length < ipv6.LENGTH || ipv6.version(ip) != 6 || ipv6.LENGTH + ipv6.payloadLength(ip) > length) {
    drop(frame, Drop.IP_INHDR, namespace.loopback);
    return true;
  }
  frame.length = ipv6.LENGTH + ipv6.payloadLength(ip);
  outputLater6(namespace, frame, device);
  return true;
}

/**
 * `count` frames arrive at `device` now, in order: their lengths are at `lengths` (u32 each), the frames at multiples of `stride` bytes
 * from `frames` on. One call a batch. Answers how many have come in: all, unless one is longer than any slot.
 */
export function receiveBatch(device: Device, frames: usize, lengths: usize, stride: u32, count: u32): u32 {
  ensure();
  const most = vectorLength();
  let i: u32 = 0;
  while (i < count) {
    ensureFrames();
    const some = min(most, count - i);
    let j: u32 = 0;
    for (; j < some; j++) {
      const length = load<u32>(lengths + (<usize>j << 2));
      const frame = takeOfMany(length);
      if (!frame) break;
      const from = frames + <usize>(j * stride);
      if (length >= 16) frame.sum = copySummed(frame.data, from, length);
      else memory.copy(frame.data, from, length);
      frame.time = now;
      lineUp(device, frame, from, j);
    }
    madeFrames(j);
    account.injected += j;
    if (!j) break;
    frames += <usize>(j * stride);
    lengths += <usize>j << 2;
    i += j;
    foresee(j);
    for (let k: u32 = 0; k < j; k++) {
      const slow = slowPackets;
      receiveHere(device, linedUp(k));
      if (slow != slowPackets) topUp();
    }
  }
  return i;
}
