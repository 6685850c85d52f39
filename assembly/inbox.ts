// Frames from JavaScript: bytes written into the inbox become frames at a device, packets at a socket, or a batch that
// arrives at once.

import { reserve } from "./memory";
import { SHORT, announce, ask, foresee, lineUp, linedUp, lookAt, vectorLength } from "./flowtable/foresee";
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
const inbox = reserve(INBOX);
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
    const come = most == SHORT ? receiveSome(device, frames, lengths, stride, 0, some, false) : receiveMany(device, frames, lengths, stride, some);
    // There may have been slots for some alone.
    if (!come) break;
    i += come;
    frames += <usize>(come * stride);
    lengths += <usize>come << 2;
  }
  return i;
}

/** As many as wait for memory at once: they are looked at where they are, and become frames by and by, which stay in the first cache for as long as they go. */
function receiveMany(device: Device, frames: usize, lengths: usize, stride: u32, count: u32): u32 {
  for (let j: u32 = 0; j < count; j++) lookAt(device, frames + <usize>(j * stride), j);
  ask(count);
  for (let from: u32 = 0; from < count; from += SHORT) {
    const end = min(from + SHORT, count);
    const come = receiveSome(device, frames, lengths, stride, from, end, true);
    if (come < end) return come;
  }
  return count;
}

/** Those from `from` to `end`; `asked`, a constant: their flows have been asked for. Answers where it stopped: at the end, or before one for which there is no slot. */
// @ts-ignore: decorator
@inline
function receiveSome(device: Device, frames: usize, lengths: usize, stride: u32, from: u32, end: u32, asked: bool): u32 {
  let j = from;
  for (; j < end; j++) {
    const length = load<u32>(lengths + (<usize>j << 2));
    const frame = takeOfMany(length);
    if (!frame) break;
    const at = frames + <usize>(j * stride);
    if (length >= 16) frame.sum = copySummed(frame.data, at, length);
    else memory.copy(frame.data, at, length);
    frame.time = now;
    if (asked) announce(frame, j);
    else lineUp(device, frame, at, j);
  }
  madeFrames(j - from);
  account.injected += j - from;
  if (!asked) foresee(j);
  for (let k = from; k < j; k++) {
    const slow = slowPackets;
    receiveHere(device, linedUp(k));
    if (slow != slowPackets) topUp();
  }
  return j;
}
