// ARP and the neighbour state machine (net/ipv4/arp.c, net/core/neighbour.c; RFC 826).
//
// Timing, Linux's defaults: three requests one second apart, then the waiting packets fail; an entry stays reachable for
// 15 to 45 s, then it is stale; used again, it is asked for by unicast after five seconds.

import { CONFIRM, Frame, pull, takeFrame } from "../frame";
import { account, deliver, drop, Drop } from "../drops";
import { Device, NOARP, transmit } from "../devices/device";

import * as arp from "../wire/arp";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import { isLocal } from "../tables/routes";
import { Neighbour, Nud, QUEUE, findNeighbour, obtainNeighbour, removeNeighbour } from "../tables/neighbours";
import { Event, now, schedule } from "../clock/queue";
import { below } from "../random";
import { sendTo, sourceFor } from "./output";
import { sendHostUnreachable } from "./icmp";

const SECOND: u64 = 1_000_000_000;
const RETRANSMIT: u64 = SECOND;
const SOLICITATIONS: u32 = 3;
const DELAY_PROBE: u64 = 5 * SECOND;
const BASE_REACHABLE: u64 = 30 * SECOND;
const LOCKTIME: u64 = SECOND;

/** The packet goes to the neighbour `address` on `out`, now or when its MAC is known. `frame.data` is the IP header. */
export function resolveAndSend(frame: Frame, out: Device, address: u32): void {
  if (out.flags & NOARP) return sendTo(frame, out, out.mac);
  const neighbour = obtainNeighbour(out, address);
  if (!neighbour) return drop(frame, Drop.NEIGH_FAILED, out);
  // Progress above confirms the neighbour (neigh_confirm).
  if (frame.flags & CONFIRM && neighbour.mac && neighbour.state != <u8>Nud.FAILED) neighbour.confirmed = frame.time;
  // What leaves with an answer leaves after it: of one batch, the first packet's question may be answered before the next is looked at.
  frame.time = max(frame.time, neighbour.updated);
  age(neighbour, frame.time);
  switch (<i32>neighbour.state) {
    case Nud.REACHABLE: case Nud.PERMANENT: case Nud.DELAY: case Nud.PROBE:
      neighbour.used = frame.time;
      return sendTo(frame, out, neighbour.mac);
    case Nud.STALE:
      neighbour.used = frame.time;
      if (!out.namespace.silent) {
        neighbour.state = <u8>Nud.DELAY;
        arm(neighbour, frame.time + DELAY_PROBE);
      }
      return sendTo(frame, out, neighbour.mac);
    case Nud.INCOMPLETE: return enqueue(neighbour, frame, out);
    default: {
      neighbour.state = <u8>Nud.INCOMPLETE;
      neighbour.probes = 1;
      const time = frame.time;
      const source = ipv4.source(frame.data);
      enqueue(neighbour, frame, out);
      if (out.namespace.silent) return;
      arm(neighbour, time + RETRANSMIT);
      // The answer may come before this returns: the packet waits already.
      solicit(neighbour, source, ethernet.BROADCAST, time);
    }
  }
}

function enqueue(neighbour: Neighbour, frame: Frame, out: Device): void {
  if (neighbour.queued >= QUEUE) {
    // The oldest goes (neigh_event_send).
    const oldest = neighbour.first!;
    neighbour.first = oldest.next;
    neighbour.queued--;
    drop(oldest, Drop.NEIGH_QUEUEFULL, out);
    if (!neighbour.first) neighbour.last = null;
  }
  frame.next = null;
  if (neighbour.last) neighbour.last!.next = frame;
  else neighbour.first = frame;
  neighbour.last = frame;
  neighbour.queued++;
}

/** A reachable entry that was not confirmed for its time is stale. */
function age(neighbour: Neighbour, time: u64): void {
  if (neighbour.state == <u8>Nud.REACHABLE && time > neighbour.confirmed + neighbour.reachable) neighbour.state = <u8>Nud.STALE;
}

function arm(neighbour: Neighbour, time: u64): void {
  neighbour.deadline = time;
  schedule(time, Event.NEIGHBOUR, changetype<usize>(neighbour), neighbour.serial);
}

/** `neigh_timer_handler`, for a deadline that still stands. */
export function neighbourTimer(at: usize, serial: u32): void {
  const neighbour = changetype<Neighbour>(at);
  if (neighbour.serial != serial || neighbour.deadline != now) return;
  const device = neighbour.device;
  switch (<i32>neighbour.state) {
    case Nud.INCOMPLETE: {
      if (neighbour.probes < SOLICITATIONS) {
        neighbour.probes++;
        arm(neighbour, now + RETRANSMIT);
        if (device.namespace.askOnce) return;
        const first = neighbour.first;
        return solicit(neighbour, first ? ipv4.source(first.data) : 0, ethernet.BROADCAST, now);
      }
      neighbour.state = <u8>Nud.FAILED;
      neighbour.deadline = 0;
      return fail(neighbour, device);
    }
    case Nud.DELAY: {
      // Confirmed since it was used: reachable again; else ask it.
      if (neighbour.confirmed + DELAY_PROBE > now) {
        neighbour.state = <u8>Nud.REACHABLE;
        return;
      }
      if (device.namespace.askOnce) return;
      neighbour.state = <u8>Nud.PROBE;
      neighbour.probes = 1;
      arm(neighbour, now + RETRANSMIT);
      return solicit(neighbour, 0, neighbour.mac, now);
    }
    case Nud.PROBE: {
      if (neighbour.probes < SOLICITATIONS) {
        neighbour.probes++;
        arm(neighbour, now + RETRANSMIT);
        return solicit(neighbour, 0, neighbour.mac, now);
      }
      neighbour.state = <u8>Nud.FAILED;
      neighbour.deadline = 0;
      return;
    }
    default: return;
  }
}

/** Taken out by hand (`ip neigh del`): what waited for it goes, and nobody is told (neigh_purge). */
export function forgetNeighbour(neighbour: Neighbour): void {
  let frame = neighbour.first;
  while (frame) {
    const next = frame.next;
    frame.next = null;
    drop(frame, Drop.NEIGH_FAILED, neighbour.device);
    frame = next;
  }
  removeNeighbour(neighbour);
}

/** Nobody answered: whoever sent the waiting packets is told (arp_error_report). */
function fail(neighbour: Neighbour, device: Device): void {
  let frame = neighbour.first;
  neighbour.first = null;
  neighbour.last = null;
  neighbour.queued = 0;
  while (frame) {
    const next = frame.next;
    frame.next = null;
    frame.time = max(frame.time, now);
    sendHostUnreachable(device.namespace, frame);
    drop(frame, Drop.NEIGH_FAILED, device);
    frame = next;
  }
}

/** Ask for a neighbour. The sender's address is that of the waiting packet when it is ours (arp_announce 0). */
function solicit(neighbour: Neighbour, wanted: u32, mac: u64, time: u64): void {
  const device = neighbour.device;
  const namespace = device.namespace;
  const target = <u32>neighbour.keyA;
  let sender = wanted && isLocal(namespace, wanted) ? wanted : 0;
  if (!sender) sender = sourceFor(namespace, target);
  if (!sender) sender = device.address;
  sendArp(device, arp.REQUEST, mac, device.mac, sender, 0, target, time);
}

/** An ARP request that is injected at `device` makes the entry which its answer will fill, as asking does. */
export function expectAnswer(device: Device, frame: Frame): void {
  const at = frame.data + ethernet.LENGTH;
  if (frame.length < ethernet.LENGTH + arp.LENGTH || ethernet.type(frame.data) != ethernet.TYPE_ARP) return;
  if (!arp.valid(at, arp.LENGTH) || arp.operation(at) != arp.REQUEST) return;
  const neighbour = obtainNeighbour(device, arp.targetAddress(at));
  if (neighbour && (neighbour.state == <u8>Nud.NONE || neighbour.state == <u8>Nud.FAILED)) neighbour.state = <u8>Nud.INCOMPLETE;
}

/** One ARP frame out of `device`. */
export function sendArp(device: Device, operation: u32, to: u64, senderMac: u64, sender: u32, targetMac: u64, target: u32, time: u64): void {
  const frame = takeFrame(ethernet.LENGTH + arp.LENGTH);
  if (!frame) return;
  account.generated++;
  ethernet.emit(frame.data, to, senderMac, ethernet.TYPE_ARP);
  arp.emit(frame.data + ethernet.LENGTH, operation, senderMac, sender, targetMac, target);
  frame.time = time;
  transmit(device, frame);
}

/** arp_process. */
export function arpReceive(device: Device, frame: Frame): void {
  if (device.flags & NOARP) return drop(frame, Drop.ARP_INVALID, device);
  const group = ethernet.isGroup(ethernet.destination(frame.data));
  const at = pull(frame, ethernet.LENGTH);
  if (!arp.valid(at, frame.length)) return drop(frame, Drop.ARP_INVALID, device);
  const namespace = device.namespace;
  const operation = arp.operation(at);
  const sender = arp.senderAddress(at);
  const senderMac = arp.senderMac(at);
  const target = arp.targetAddress(at);
  const time = frame.time;
  if ((operation != arp.REQUEST && operation != arp.REPLY) || (target & 0xf0) == 0xe0 || (target & 0xff) == 127) {
    return drop(frame, Drop.ARP_INVALID, device);
  }
  deliver(frame);
  // Who claims one of our own addresses is not answered: the route back is a martian (ip_route_input_noref in arp_process).
  if (operation == arp.REQUEST && isLocal(namespace, target) && !(sender && isLocal(namespace, sender))) {
    if (sender) {
      const asker = obtainNeighbour(device, sender);
      if (asker) update(asker, senderMac, Nud.STALE, time, true);
    }
    if (!namespace.silent) sendArp(device, arp.REPLY, senderMac, device.mac, target, senderMac, sender, time);
    return;
  }
  const known = findNeighbour(device, sender);
  if (!known) return;
  // Of several answers the first one counts (locktime), unless somebody announces himself (arp_is_garp).
  const announced = sender == target && (operation == arp.REQUEST || arp.targetMac(at) == senderMac);
  update(known, senderMac, operation == arp.REPLY && !group ? Nud.REACHABLE : Nud.STALE, time, announced || time > known.updated + LOCKTIME);
}

/** neigh_update: a new MAC, or a known one confirmed; what waited goes out. */
function update(neighbour: Neighbour, mac: u64, state: Nud, time: u64, replace: bool): void {
  if (neighbour.state == <u8>Nud.PERMANENT) return;
  age(neighbour, time);
  const known = neighbour.state != <u8>Nud.NONE && neighbour.state != <u8>Nud.INCOMPLETE && neighbour.state != <u8>Nud.FAILED;
  if (known && neighbour.mac != mac && !replace) return;
  // A request from a neighbour that is known by this MAC says nothing new.
  if (!(known && neighbour.mac == mac && state == Nud.STALE)) {
    if (neighbour.mac != mac || neighbour.state != <u8>state) neighbour.updated = time;
    neighbour.mac = mac;
    neighbour.state = <u8>state;
    neighbour.deadline = 0;
    if (state == Nud.REACHABLE) {
      neighbour.confirmed = time;
      neighbour.reachable = BASE_REACHABLE / 2 + <u64>below(30_000) * 1_000_000;
    }
  }
  let frame = neighbour.first;
  neighbour.first = null;
  neighbour.last = null;
  neighbour.queued = 0;
  while (frame) {
    const next = frame.next;
    frame.next = null;
    frame.time = max(frame.time, time);
    if (neighbour.state == <u8>Nud.STALE && !neighbour.device.namespace.silent) {
      neighbour.state = <u8>Nud.DELAY;
      arm(neighbour, frame.time + DELAY_PROBE);
    }
    sendTo(frame, neighbour.device, neighbour.mac);
    frame = next;
  }
}
