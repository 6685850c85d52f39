// The neighbour state machine (net/core/neighbour.c), for ARP and for IPv6's neighbour discovery alike.
//
// Timing, Linux's defaults: three requests one second apart, then the waiting packets fail; an entry stays reachable for
// 15 to 45 s, then it is stale; used again, it is asked for by unicast after five seconds.

import { CONFIRM, Frame, SURVEY, setCurrent } from "../frame";
import { drop, Drop } from "../drops";
import { Device, NOARP } from "../devices/device";
import * as ethernet from "../wire/ethernet";
import { Neighbour, Nud, QUEUE, family, moveNeighbour, neighbourChanged, obtainNeighbour, obtainNeighbour6, removeNeighbour } from "../tables/neighbours";
import { linksChanged } from "../tables/generation";
import { expires, forget, neighbourUsed, recording } from "../flowtable/recorder";
import { Event, now, schedule } from "../clock/queue";
import { below } from "../random";
import { reliesOn } from "../load/ways";
import { askArp } from "./arp";
import { askNeighbour } from "./nd";
import { sendTo } from "./output";
import { sendTo6 } from "./output6";
import { sendHostUnreachable } from "./icmp";
import { sendAddressUnreachable } from "./icmp6";

const SECOND: u64 = 1_000_000_000;
const RETRANSMIT: u64 = SECOND;
const SOLICITATIONS: u32 = 3;
const DELAY_PROBE: u64 = 5 * SECOND;
const BASE_REACHABLE: u64 = 30 * SECOND;

/** The packet goes to the neighbour `address` on `out`, now or when its MAC is known. `frame.data` is the IP header. */
export function resolveAndSend(frame: Frame, out: Device, address: u32): void {
  if (out.flags & NOARP) return sendTo(frame, out, out.mac);
  resolve(frame, out, obtainNeighbour(out, address));
}
/** The same for the IPv6 address of that number. `frame.data` is the IPv6 header. */
export function resolveAndSend6(frame: Frame, out: Device, address: u32): void {
  if (out.flags & NOARP) return sendTo6(frame, out, out.mac);
  resolve(frame, out, obtainNeighbour6(out, address));
}

function resolve(frame: Frame, out: Device, neighbour: Neighbour | null): void {
  if (!neighbour) return drop(frame, Drop.NEIGH_FAILED, out);
  if (frame.flags & CONFIRM) confirm(neighbour, frame.time);
  if (frame.flags & SURVEY) reliesOn(frame, neighbour);
  // What leaves with an answer leaves after it: of one batch, the first packet's question may be answered before the next is looked at.
  if (frame.time < neighbour.updated) {
    forget(frame);
    frame.time = neighbour.updated;
  }
  age(neighbour, frame.time);
  switch (<i32>neighbour.state) {
    case Nud.REACHABLE: case Nud.PERMANENT: case Nud.DELAY: case Nud.PROBE:
      neighbour.used = max(neighbour.used, frame.time);
      if (recording) {
        neighbourUsed(changetype<usize>(neighbour), frame);
        if (neighbour.state == <u8>Nud.REACHABLE) expires(neighbour.confirmed + neighbour.reachable + 1, frame.time);
      }
      return send(neighbour, frame, out);
    case Nud.STALE:
      neighbour.used = max(neighbour.used, frame.time);
      if (recording) neighbourUsed(changetype<usize>(neighbour), frame);
      if (!out.namespace.silent) {
        moveNeighbour(neighbour, Nud.DELAY);
        arm(neighbour, frame.time + DELAY_PROBE);
      }
      return send(neighbour, frame, out);
    case Nud.INCOMPLETE: return enqueue(neighbour, frame, out);
    default: {
      moveNeighbour(neighbour, Nud.INCOMPLETE);
      neighbour.probes = 1;
      const time = frame.time;
      enqueue(neighbour, frame, out);
      if (out.namespace.silent) return;
      arm(neighbour, time + RETRANSMIT);
      // The answer may come before this returns: the packet waits already.
      solicit(neighbour, frame, ethernet.BROADCAST, time);
    }
  }
}

/** Progress above confirms it (neigh_confirm). */
export function confirm(neighbour: Neighbour, time: u64): void {
  if (neighbour.mac && neighbour.state != <u8>Nud.FAILED) neighbour.confirmed = max(neighbour.confirmed, time);
}

/** With the Ethernet header of its family. */
// @ts-ignore: decorator
@inline
function send(neighbour: Neighbour, frame: Frame, out: Device): void {
  if (family(neighbour)) sendTo6(frame, out, neighbour.mac);
  else sendTo(frame, out, neighbour.mac);
}

/** Ask for it: everybody, or by its MAC. `frame` is a packet that waits for the answer. */
function solicit(neighbour: Neighbour, frame: Frame | null, mac: u64, time: u64): void {
  if (family(neighbour)) askNeighbour(neighbour, frame, mac, time);
  else askArp(neighbour, frame, mac, time);
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

/**
 * A reachable entry that was not confirmed for its time is stale. Not where probes come from outside (a replay): a stale one that
 * is used is asked for, so one that nobody asks for was not stale.
 */
export function age(neighbour: Neighbour, time: u64): void {
  const namespace = neighbour.device.namespace;
  if (namespace.silent || namespace.askOnce) return;
  if (neighbour.state == <u8>Nud.REACHABLE && time > neighbour.confirmed + neighbour.reachable) moveNeighbour(neighbour, Nud.STALE);
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
        return solicit(neighbour, neighbour.first, ethernet.BROADCAST, now);
      }
      moveNeighbour(neighbour, Nud.FAILED);
      neighbour.deadline = 0;
      return fail(neighbour, device);
    }
    case Nud.DELAY: {
      // Confirmed since it was used: reachable again; else ask it.
      if (neighbour.confirmed + DELAY_PROBE > now) {
        moveNeighbour(neighbour, Nud.REACHABLE);
        return;
      }
      if (device.namespace.askOnce) return;
      moveNeighbour(neighbour, Nud.PROBE);
      neighbour.probes = 1;
      arm(neighbour, now + RETRANSMIT);
      return solicit(neighbour, null, neighbour.mac, now);
    }
    case Nud.PROBE: {
      if (neighbour.probes < SOLICITATIONS) {
        neighbour.probes++;
        arm(neighbour, now + RETRANSMIT);
        return solicit(neighbour, null, neighbour.mac, now);
      }
      moveNeighbour(neighbour, Nud.FAILED);
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

/** Nobody answered: whoever sent the waiting packets is told (arp_error_report), each because of its own. */
function fail(neighbour: Neighbour, device: Device): void {
  let frame = neighbour.first;
  neighbour.first = null;
  neighbour.last = null;
  neighbour.queued = 0;
  while (frame) {
    const next = frame.next;
    frame.next = null;
    setCurrent(frame.load);
    frame.time = max(frame.time, now);
    if (family(neighbour)) sendAddressUnreachable(device.namespace, frame, device);
    else sendHostUnreachable(device.namespace, frame);
    drop(frame, Drop.NEIGH_FAILED, device);
    frame = next;
  }
}

/** neigh_update: a new MAC, or a known one confirmed; what waited goes out. */
export function update(neighbour: Neighbour, mac: u64, state: Nud, time: u64, replace: bool): void {
  if (neighbour.state == <u8>Nud.PERMANENT) return;
  age(neighbour, time);
  const known = neighbour.state != <u8>Nud.NONE && neighbour.state != <u8>Nud.INCOMPLETE && neighbour.state != <u8>Nud.FAILED;
  if (known && neighbour.mac != mac && !replace) return;
  // A request from a neighbour that is known by this MAC says nothing new.
  if (!(known && neighbour.mac == mac && state == Nud.STALE)) {
    if (neighbour.mac != mac || neighbour.state != <u8>state) neighbour.updated = time;
    if (neighbour.mac != mac) linksChanged();
    neighbour.mac = mac;
    moveNeighbour(neighbour, state);
    neighbour.deadline = 0;
    if (state == Nud.REACHABLE) {
      const before = neighbour.confirmed + neighbour.reachable;
      neighbour.confirmed = time;
      neighbour.reachable = BASE_REACHABLE / 2 + <u64>below(30_000) * 1_000_000;
      // Whoever counts on it until then does so no longer.
      if (time + neighbour.reachable < before) neighbourChanged();
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
      moveNeighbour(neighbour, Nud.DELAY);
      arm(neighbour, frame.time + DELAY_PROBE);
    }
    send(neighbour, frame, neighbour.device);
    frame = next;
  }
}
