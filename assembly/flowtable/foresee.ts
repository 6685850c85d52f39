// Prefetch by loading: before a vector of frames goes through the flow table one by one, the lines that it will need are
// asked for all together, table by table, so that their ways from memory overlap. Nothing is decided here and nothing
// changes; a guess that is wrong costs a load.

import { Frame } from "../frame";
import { Device } from "../devices/device";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as udp from "../wire/udp";
import * as vxlan from "../wire/vxlan";
import { hash, likelyAt, tagOf } from "../tables/hash";
import { numberAt } from "../tables/addresses6";
import { keyA } from "../tables/connections";
import { Flow, OVER_IPV6, flowSlot, flows } from "./flows";

/** Frames looked at together, at most: as many as wait for memory at once. */
export const VECTOR: u32 = 256;
/** Where there are few flows, nobody waits, and what a vector of frames needs had better stay in the first cache. */
export const SHORT: u32 = 32;
const FEW: u32 = 16384;
const frames: usize = memory.data(1024);
const slots: usize = memory.data(1024);
const tags: usize = memory.data(1024);
/** The flow of a frame for which none is found: it has nobody's key, and names nothing. */
const nobodys: usize = memory.data(128);
/** So that no compiler takes the loads for useless. */
let sink: u32 = 0;

/** As many frames should come in together now. */
export function vectorLength(): u32 { return flows() > FEW ? VECTOR : SHORT; }

/**
 * Frame `i` of a vector that is about to come in by `device`; its bytes are at `at`: where they came from, if they have been copied just
 * now and may still be on their way to the cache. Up to 128 bytes are looked at.
 */
// @ts-ignore: decorator
@inline
export function lineUp(device: Device, frame: Frame, at: usize, i: u32): void {
  store<usize>(<usize>i << 2, changetype<usize>(frame), frames);
  lookAt(device, at, i);
}

/** The same, of one that will be given its frame by `announce`, behind `ask`. */
// @ts-ignore: decorator
@inline
export function lookAt(device: Device, at: usize, i: u32): void {
  let ip = at + ethernet.LENGTH;
  let protocol = ipv4.protocol(ip);
  let v6 = false;
  if (protocol != ipv4.TCP) {
    if (protocol != ipv4.UDP) v6 = ethernet.type(at) == ethernet.TYPE_IPV6;
    else if (load<u32>(ip, ipv4.LENGTH + udp.LENGTH) == 0x08) {
      ip += ipv4.LENGTH + udp.LENGTH + vxlan.LENGTH + ethernet.LENGTH;
      protocol = ipv4.protocol(ip) | 0x80;
      v6 = ethernet.type(ip - ethernet.LENGTH) == ethernet.TYPE_IPV6;
    }
  }
  const key = v6
    ? hash6(device, ip, ip - at > ethernet.LENGTH ? 0x80 : 0)
    : hash(load<u64>(ip, 12), <u64>load<u32>(ip, ipv4.LENGTH) | (<u64>(protocol | (device.id << 8)) << 32));
  const offset = <usize>i << 2;
  store<usize>(offset, flowSlot(key), slots);
  store<u32>(offset, tagOf(key), tags);
}

/** Of the key of the flow over IPv6; `tunnelled`: 0x80, or 0. Addresses that have no numbers have no flow. */
function hash6(device: Device, ip: usize, tunnelled: u32): u64 {
  const addresses = keyA(numberAt(ip + ipv6.AT_SOURCE), numberAt(ip + ipv6.AT_DESTINATION));
  const rest = <u64>(ipv6.nextHeader(ip) | tunnelled | (device.id << 8)) << 32;
  return hash(addresses, <u64>load<u32>(ip, ipv6.LENGTH) | rest | OVER_IPV6);
}

/** What was looked at before is this frame. */
// @ts-ignore: decorator
@inline
export function announce(frame: Frame, i: u32): void {
  const offset = <usize>i << 2;
  store<usize>(offset, changetype<usize>(frame), frames);
  frame.hint = load<usize>(offset, slots);
}

/** That frame, until another vector is lined up. */
// @ts-ignore: decorator
@inline
export function linedUp(i: u32): Frame { return changetype<Frame>(load<usize>(<usize>i << 2, frames)); }

/** The first `count` have been lined up. */
export function foresee(count: u32): void {
  if (count >= 4) askFor(count, true);
}

/** The first `count` have been looked at. */
export function ask(count: u32): void { askFor(count, false); }

/** `named`, a constant: they have frames. */
// @ts-ignore: decorator
@inline
function askFor(count: u32, named: bool): void {
  let seen: u32 = 0;
  const end = <usize>count << 2;
  for (let i: usize = 0; i < end; i += 4) {
    seen |= load<u32>(load<usize>(i, slots));
  }
  for (let i: usize = 0; i < end; i += 4) {
    const flow = likelyAt(load<usize>(i, slots), load<u32>(i, tags), nobodys);
    store<usize>(i, flow, slots);
    if (named) changetype<Frame>(load<usize>(i, frames)).hint = flow;
  }
  // By itself: the fewer instructions there are from one to the next, the more of them the processor waits for at once.
  for (let i: usize = 0; i < end; i += 4) seen |= load<u32>(load<usize>(i, slots));
  for (let i: usize = 0; i < end; i += 4) {
    seen |= load<u32>(load<usize>(load<usize>(i, slots), offsetof<Flow>("lead")), 64);
  }
  sink = seen;
}
