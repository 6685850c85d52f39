// What IPv6 says when a device comes up (net/ipv6/addrconf.c, mcast.c): it reports the groups that it listens to (RFC 3810),
// asks whether anybody else has its addresses (RFC 4862, 5.4, with a nonce: RFC 7527), and, unless it is a router, asks for
// routers, again and again while none answers (RFC 4861, 6.3.7; RFC 7559).
//
// One chain of events a device: probes after up to a second, their end a second later, then solicitations.

import { takeFrame } from "../frame";
import { account } from "../drops";
import { Device, Kind } from "../devices/device";
import { Event, now, schedule } from "../clock/queue";
import * as icmpv6 from "../wire/icmpv6";
import * as ipv6 from "../wire/ipv6";
import * as mld from "../wire/mld";
import * as ndp from "../wire/ndp";
import { ensureAddresses, keep } from "../tables/addresses6";
import { DAD_FAILED, NODAD, TENTATIVE, linkLocalOf } from "../tables/interfaces6";
import { changed } from "../tables/generation";
import { below, random } from "../random";
import { ALL_ROUTERS, seal, sendSolicitation } from "./nd";
import { output6 } from "./output6";
import { prepare } from "./sockets";

const SECOND: u64 = 1_000_000_000;
/** net.ipv6.conf.*.router_solicitation_interval, …_max_interval */
const FIRST_INTERVAL: u64 = 4 * SECOND;
const LAST_INTERVAL: u64 = 3600 * SECOND;
/** The second half of ff02::16, where MLDv2 routers listen. */
const LISTENER_ROUTERS: u64 = 0x1600000000000000;
/** A packet holds so many records at the least MTU; nobody here has more groups. */
const MOST_RECORDS: u32 = 32;

enum Stage { PROBE, PROVED, SOLICIT }

const unspecified: usize = memory.data(16);

/** IPv6 comes up on the device now, with the addresses that it has. Those without NODAD are tentative until nobody has objected. */
export function comeUp(device: Device): void {
  prepare();
  ensureAddresses();
  changed();
  let entry = device.addresses6;
  while (entry) {
    if (!(entry.flags & NODAD)) entry.flags |= <u8>TENTATIVE;
    entry = entry.next;
  }
  report(device, now);
  later(device, Stage.PROBE, now + <u64>below(1_000_000) * 1000);
}

function later(device: Device, stage: Stage, time: u64): void {
  device.pending++;
  schedule(time, Event.START6, changetype<usize>(device), stage);
}

/** Event.START6. */
export function startStep(device: Device, stage: u32): void {
  device.pending--;
  if (device.dead) return;
  switch (<i32>stage) {
    case Stage.PROBE: {
      probe(device);
      return later(device, Stage.PROVED, now + SECOND);
    }
    case Stage.PROVED: {
      changed();
      let entry = device.addresses6;
      while (entry) {
        // Who lost keeps it, and does not use it.
        if (!(entry.flags & DAD_FAILED)) entry.flags &= ~<u8>TENTATIVE;
        entry = entry.next;
      }
      report(device, now);
      if (device.namespace.forward6 || device.kind == <u8>Kind.LOOPBACK || !linkLocalOf(device)) return;
      device.solicitEvery = 0;
      return solicitRouters(device);
    }
    default: return solicitRouters(device);
  }
}

function probe(device: Device): void {
  let entry = device.addresses6;
  while (entry) {
    if (entry.flags & TENTATIVE) {
      entry.nonce = (<u64>random() << 16 | <u64>(random() & 0xffff)) & 0xffffffffffff;
      const group = keep(ipv6.LINK_GROUP, ipv6.solicitedLow(<usize>entry.address));
      if (group) sendSolicitation(device, 0, group, entry.address, entry.nonce, now);
    }
    entry = entry.next;
  }
}

/** Four seconds after the first, then about twice as long each time, up to an hour. */
function solicitRouters(device: Device): void {
  const source = linkLocalOf(device);
  const to = keep(ipv6.LINK_GROUP, ALL_ROUTERS);
  const frame = source && to ? takeFrame(ipv6.LENGTH + icmpv6.LENGTH + ndp.OPTION_LENGTH) : null;
  if (frame) {
    account.generated++;
    frame.time = now;
    const at = frame.data + ipv6.LENGTH;
    icmpv6.emit(at, icmpv6.ROUTER_SOLICITATION, 0, 0);
    ndp.emitOption(at + icmpv6.LENGTH, ndp.SOURCE_LINK, device.mac);
    device.solicitations++;
    seal(device, frame, <usize>source, <usize>to, icmpv6.LENGTH + ndp.OPTION_LENGTH);
  }
  const base = device.solicitEvery ? min(device.solicitEvery << 1, LAST_INTERVAL) : FIRST_INTERVAL;
  // A tenth more or less (rfc3315_s14_backoff_update).
  device.solicitEvery = base - base / 10 + base / 5 / 1000 * <u64>below(1000);
  later(device, Stage.SOLICIT, now + device.solicitEvery);
}

/** A report that all sources are wanted, for every group but ff02::1, which everybody listens to. From `::` without an address yet. */
function report(device: Device, time: u64): void {
  const frame = takeFrame(ipv6.LENGTH + mld.ALERT_LENGTH + icmpv6.LENGTH + MOST_RECORDS * mld.RECORD_LENGTH);
  if (!frame) return;
  const records = frame.data + ipv6.LENGTH + mld.ALERT_LENGTH + icmpv6.LENGTH;
  let count: u32 = 0;
  if (device.namespace.forward6) mld.emitRecord(records + mld.RECORD_LENGTH * count++, mld.CHANGE_TO_EXCLUDE, ipv6.LINK_GROUP, ALL_ROUTERS);
  let entry = device.addresses6;
  while (entry && count < MOST_RECORDS) {
    const low = ipv6.solicitedLow(<usize>entry.address);
    let known = false;
    for (let i: u32 = 0; i < count; i++) if (load<u64>(records + mld.RECORD_LENGTH * i, 12) == low) known = true;
    if (!known) mld.emitRecord(records + mld.RECORD_LENGTH * count++, mld.CHANGE_TO_EXCLUDE, ipv6.LINK_GROUP, low);
    entry = entry.next;
  }
  account.generated++;
  const length = icmpv6.LENGTH + count * mld.RECORD_LENGTH;
  frame.length = ipv6.LENGTH + mld.ALERT_LENGTH + length;
  frame.time = time;
  const to = keep(ipv6.LINK_GROUP, LISTENER_ROUTERS);
  const own = linkLocalOf(device);
  const source = own ? <usize>own : unspecified;
  const at = frame.data + ipv6.LENGTH;
  mld.emitAlert(at);
  mld.emit(at + mld.ALERT_LENGTH, count);
  icmpv6.seal(at + mld.ALERT_LENGTH, length, source, <usize>to);
  ipv6.emit(frame.data, 0, 0, mld.ALERT_LENGTH + length, ipv6.HOP_BY_HOP, 1, source, <usize>to);
  output6(device.namespace, frame, device);
}
