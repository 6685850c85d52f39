// macvlan devices (drivers/net/macvlan.c): several MACs on one lower device, each a namespace's own interface. In bridge
// mode siblings reach each other without the wire; the lower device's own namespace reaches none of them, in any mode:
// what it sends goes out, and what they send to its MAC goes out too.

import { changed } from "../tables/generation";
import { Pool } from "../memory";
import { Frame, cloneFrame } from "../frame";
import { forget } from "../flowtable/recorder";
import { drop, Drop } from "../drops";
import * as ethernet from "../wire/ethernet";
import { Index } from "../tables/hash";
import { Device, MACVLANS, UP, arrive, receive, scrub, transmit } from "./device";

/** MACVLAN_MODE_*: a bit each, so that a set of them says who gets a group's frame. */
export enum MacvlanMode { PRIVATE = 1, VEPA = 2, BRIDGE = 4, PASSTHRU = 8 }
const PRIVATE: u32 = <u32>MacvlanMode.PRIVATE;
const VEPA: u32 = <u32>MacvlanMode.VEPA;
const BRIDGE: u32 = <u32>MacvlanMode.BRIDGE;
const PASSTHRU: u32 = <u32>MacvlanMode.PASSTHRU;
const ANY: u32 = PRIVATE | VEPA | BRIDGE | PASSTHRU;

/** Which device has a MAC on a lower device (port->vlan_hash). Key: a = MAC, b = id of the lower device. */
@unmanaged
class Owner {
  keyA: u64;
  keyB: u64;
  device: Device;
}
const owners = new Index(64);
const pool = new Pool(offsetof<Owner>(), 64);

export function openMacvlan(device: Device, lower: Device, mode: u32): void {
  changed();
  device.lower = lower;
  device.mode = <u8>mode;
  device.nextUpper = lower.uppers;
  lower.uppers = device;
  lower.handlers |= MACVLANS;
  // Two of one MAC: the first one has it (macvlan_addr_busy).
  if (owners.find(device.mac, lower.id)) return;
  owners.ensure(1);
  pool.ensure(1);
  const owner = changetype<Owner>(pool.take(offsetof<Owner>()));
  owner.keyA = device.mac;
  owner.keyB = lower.id;
  owner.device = device;
  owners.insert(changetype<usize>(owner));
}

export function closeMacvlan(device: Device): void {
  const lower = device.lower!;
  const at = owners.find(device.mac, lower.id);
  if (at && changetype<Owner>(at).device == device) {
    owners.remove(at);
    pool.give(at);
  }
  leaveLower(device, MACVLANS);
}

/** `device`, which goes (clock/removal: removeDevice), is no longer among those on its lower device; `handler` goes with the last of them. */
export function leaveLower(device: Device, handler: u32): void {
  const lower = device.lower!;
  if (lower.uppers == device) lower.uppers = device.nextUpper;
  else {
    let at = lower.uppers;
    while (at && at.nextUpper != device) at = at.nextUpper;
    if (at) at.nextUpper = device.nextUpper;
  }
  if (!lower.uppers) lower.handlers &= ~handler;
  device.lower = null;
}

function find(lower: Device, mac: u64): Device | null {
  const at = owners.find(mac, lower.id);
  return at ? changetype<Owner>(at).device : null;
}

/** macvlan_queue_xmit. */
export function macvlanTransmit(device: Device, frame: Frame): void {
  if (frame.length < ethernet.LENGTH) return drop(frame, Drop.PKT_TOO_SMALL, device);
  const lower = device.lower!;
  scrub(frame);
  if (<u32>device.mode == BRIDGE) {
    const destination = ethernet.destination(frame.data);
    if (ethernet.isGroup(destination)) flood(lower, device, BRIDGE, frame);
    else {
      const sibling = find(lower, destination);
      // By way of the lower device, whose taps see it as received; it leads to the sibling from there.
      if (sibling && <u32>sibling.mode == BRIDGE) return arrive(lower, frame);
    }
  }
  transmit(lower, frame);
}

/** The lower device has received a frame (macvlan_handle_frame): true when it has been taken. */
export function macvlanReceive(lower: Device, frame: Frame): bool {
  const destination = ethernet.destination(frame.data);
  if (ethernet.isGroup(destination)) {
    const source = find(lower, ethernet.source(frame.data));
    // One of ours comes back from outside. Whoever may not talk to siblings gets it for himself.
    if (source && <u32>source.mode & (PRIVATE | PASSTHRU)) {
      scrub(frame);
      receive(source, frame);
      return true;
    }
    // Those in bridge mode have seen it on its way out.
    if (!source) flood(lower, null, ANY, frame);
    else flood(lower, source, <u32>source.mode == VEPA ? VEPA | BRIDGE : VEPA, frame);
    return false;
  }
  const first = lower.uppers;
  const device = first && <u32>first.mode == PASSTHRU ? first : find(lower, destination);
  if (!device) return false;
  scrub(frame);
  receive(device, frame);
  return true;
}

/**
 * A copy for each device on `lower` that is in one of `modes`, but for the one that it came from. A device that does not listen
 * to the group gets one as well, as in promiscuous mode: whatever is no business of its namespace ends there.
 */
function flood(lower: Device, from: Device | null, modes: u32, frame: Frame): void {
  forget(frame);
  let device = lower.uppers;
  while (device) {
    if (device != from && <u32>device.mode & modes && device.flags & UP) {
      const copy = cloneFrame(frame);
      if (copy) {
        scrub(copy);
        receive(device, copy);
      }
    }
    device = device.nextUpper;
  }
}
