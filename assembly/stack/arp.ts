// ARP (net/ipv4/arp.c; RFC 826). The state machine behind it is neighbour.ts.

import { Frame, pull, takeFrame } from "../frame";
import { account, deliver, drop, Drop } from "../drops";
import { Device, NOARP, transmit } from "../devices/device";

import * as arp from "../wire/arp";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import { isLocal } from "../tables/routes";
import { Neighbour, Nud, findNeighbour, moveNeighbour, obtainNeighbour } from "../tables/neighbours";
import { update } from "./neighbour";
import { sourceFor } from "./output";

/** net.ipv4.neigh.*.locktime */
const LOCKTIME: u64 = 1_000_000_000;

/** Ask for a neighbour. The sender's address is that of the waiting packet when it is ours (arp_announce 0). */
export function askArp(neighbour: Neighbour, frame: Frame | null, mac: u64, time: u64): void {
  const device = neighbour.device;
  const namespace = device.namespace;
  const target = <u32>neighbour.keyA;
  const wanted = frame ? ipv4.source(frame.data) : 0;
  let sender = wanted && isLocal(namespace, wanted) ? wanted : 0;
  if (!sender) sender = sourceFor(namespace, target);
  if (!sender) sender = device.address;
  sendArp(device, arp.REQUEST, mac, device.mac, sender, 0, target, time);
}

/** The device's own address, told to everybody who listens (RFC 5227 has zeros for the target's MAC; arping's has all ones). */
export function announce(device: Device, address: u32, time: u64): void {
  sendArp(device, arp.REQUEST, ethernet.BROADCAST, device.mac, address, ethernet.BROADCAST, address, time);
}

/** An ARP request that is injected at `device` makes the entry which its answer will fill, as asking does. */
export function expectAnswer(device: Device, frame: Frame): void {
  const at = frame.data + ethernet.LENGTH;
  if (frame.length < ethernet.LENGTH + arp.LENGTH || ethernet.type(frame.data) != ethernet.TYPE_ARP) return;
  if (!arp.valid(at, arp.LENGTH) || arp.operation(at) != arp.REQUEST) return;
  const neighbour = obtainNeighbour(device, arp.targetAddress(at));
  if (neighbour && (neighbour.state == <u8>Nud.NONE || neighbour.state == <u8>Nud.FAILED)) moveNeighbour(neighbour, Nud.INCOMPLETE);
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
