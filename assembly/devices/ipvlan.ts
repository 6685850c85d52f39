// ipvlan devices (drivers/net/ipvlan/ipvlan_core.c): several namespaces behind one lower device and its one MAC, told apart
// by their addresses. l2: each has ARP and broadcasts of its own. l3: there is neither; what is not for a sibling is routed
// in the lower device's namespace. l3s: as l3, and what comes in passes that namespace's PREROUTING and INPUT. IPv6 addresses
// stand beside those of IPv4, by their numbers.

import { changed } from "../tables/generation";
import { Pool } from "../memory";
import { Frame, cloneFrame, pull } from "../frame";
import { forget } from "../flowtable/recorder";
import { drop, Drop } from "../drops";
import * as arp from "../wire/arp";
import * as ethernet from "../wire/ethernet";
import * as icmpv6 from "../wire/icmpv6";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as ndp from "../wire/ndp";
import * as vlan from "../wire/vlan";
import { numberAt } from "../tables/addresses6";
import { Index } from "../tables/hash";
import { Device, IPVLANS, NOARP, UP, arrive, receive, scrub, transmit } from "./device";
import { leaveLower } from "./macvlan";
import { outputBy } from "../stack/output";
import { output6 } from "../stack/output6";

/** IPVLAN_MODE_*; all devices on one lower device have the same. */
export enum IpvlanMode { L2, L3, L3S }
/** IPVLAN_F_*: siblings cannot talk; siblings talk by way of the switch outside alone. */
export enum IpvlanFlag { BRIDGE, PRIVATE, VEPA }
const L2: u32 = <u32>IpvlanMode.L2;
const L3S: u32 = <u32>IpvlanMode.L3S;
const PRIVATE: u32 = <u32>IpvlanFlag.PRIVATE;
const VEPA: u32 = <u32>IpvlanFlag.VEPA;

/** Which device has an address on a lower device (port->hlhead). Key: a = address, b = id of the lower device | family << 32. */
@unmanaged
class Owner {
  keyA: u64;
  keyB: u64;
  device: Device;
}
const owners = new Index(64);
const pool = new Pool(offsetof<Owner>(), 64);

export function openIpvlan(device: Device, lower: Device, mode: u32, flags: u32): void {
  changed();
  device.lower = lower;
  lower.portMode = <u8>mode;
  lower.portFlags = <u8>flags;
  device.nextUpper = lower.uppers;
  lower.uppers = device;
  lower.handlers |= IPVLANS;
  if (mode != L2) device.flags |= NOARP;
}

export function closeIpvlan(device: Device): void {
  for (let i: u32 = 0; i < owners.capacity; i++) {
    let at = owners.keyAt(i);
    while (at && changetype<Owner>(at).device == device) {
      owners.remove(at);
      pool.give(at);
      at = owners.keyAt(i);
    }
  }
  leaveLower(device, IPVLANS);
}

// @ts-ignore: decorator
@inline
function placeOf(lower: Device, v6: bool): u64 { return <u64>lower.id | (<u64>v6 << 32); }

/** The device's namespace has this address now (ipvlan_addr4_event, ipvlan_addr6_event). False: a sibling has it already. */
export function addIpvlanAddress(device: Device, address: u32, v6: bool): bool {
  const place = placeOf(device.lower!, v6);
  if (owners.find(address, place)) return false;
  owners.ensure(1);
  pool.ensure(1);
  const owner = changetype<Owner>(pool.take(offsetof<Owner>()));
  owner.keyA = address;
  owner.keyB = place;
  owner.device = device;
  owners.insert(changetype<usize>(owner));
  return true;
}

export function removeIpvlanAddress(device: Device, address: u32, v6: bool): void {
  const at = owners.find(address, placeOf(device.lower!, v6));
  if (!at || changetype<Owner>(at).device != device) return;
  owners.remove(at);
  pool.give(at);
}

/** In l3s mode: the device on `lower` that has an address. */
export function ipvlanL3s(lower: Device, address: u32): Device | null {
  return <u32>lower.portMode == L3S ? ipvlanWith(lower, address, false) : null;
}
/** The same for the IPv6 address at `at`. */
export function ipvlanL3s6(lower: Device, at: usize): Device | null {
  return <u32>lower.portMode == L3S ? ipvlanWith6(lower, at) : null;
}

function ipvlanWith(lower: Device, address: u32, v6: bool): Device | null {
  const at = owners.find(address, placeOf(lower, v6));
  return at ? changetype<Owner>(at).device : null;
}
function ipvlanWith6(lower: Device, at: usize): Device | null {
  const number = numberAt(at);
  return number ? ipvlanWith(lower, number, true) : null;
}

/** Who is meant, or who sends, by the IPv4, IPv6 or ARP header (ipvlan_get_L3_hdr, ipvlan_addr_lookup). */
function ownerOf(lower: Device, type: u32, at: usize, length: u32, byDestination: bool): Device | null {
  if (type == ethernet.TYPE_ARP) {
    if (length < arp.LENGTH) return null;
    return ipvlanWith(lower, byDestination ? arp.targetAddress(at) : arp.senderAddress(at), false);
  }
  if (type == ethernet.TYPE_IPV6) return ownerOf6(lower, at, length, byDestination);
  if (type != ethernet.TYPE_IPV4 || length < ipv4.LENGTH || ipv4.version(at) != 4) return null;
  const header = ipv4.headerLength(at);
  const total = ipv4.totalLength(at);
  if (header < ipv4.LENGTH || total < header || total > length) return null;
  return ipvlanWith(lower, byDestination ? ipv4.destination(at) : ipv4.source(at), false);
}

function ownerOf6(lower: Device, at: usize, length: u32, byDestination: bool): Device | null {
  if (length < ipv6.LENGTH || ipv6.version(at) != 6 || ipv6.LENGTH + ipv6.payloadLength(at) > length) return null;
  // A probe for a duplicate has no sender: it is about the address that it asks for.
  if (ipv6.isUnspecified(at + ipv6.AT_SOURCE) && ipv6.nextHeader(at) == ipv6.ICMP && length >= ipv6.LENGTH + ndp.LENGTH) {
    const message = at + ipv6.LENGTH;
    if (icmpv6.type(message) == icmpv6.NEIGHBOUR_SOLICITATION) return ipvlanWith6(lower, message + ndp.AT_TARGET);
  }
  return ipvlanWith6(lower, at + (byDestination ? ipv6.AT_DESTINATION : ipv6.AT_SOURCE));
}

function ownerOnWire(lower: Device, frame: Frame, byDestination: bool): Device | null {
  const at = frame.data;
  const type = ethernet.type(at);
  // On its way in a tag is off already, and remembered beside the frame; the tag keeps its owner's stack from taking it.
  if (vlan.isTag(type)) {
    if (frame.length < vlan.SHORTEST) return null;
    return ownerOf(lower, vlan.innerType(at), at + ethernet.LENGTH + vlan.LENGTH, frame.length - ethernet.LENGTH - vlan.LENGTH, byDestination);
  }
  return ownerOf(lower, type, at + ethernet.LENGTH, frame.length - ethernet.LENGTH, byDestination);
}

function sibling(lower: Device, frame: Frame): Device | null {
  return ownerOf(lower, ethernet.type(frame.data), frame.data + ethernet.LENGTH, frame.length - ethernet.LENGTH, true);
}

/** ipvlan_queue_xmit. */
export function ipvlanTransmit(device: Device, frame: Frame): void {
  if (frame.length < ethernet.LENGTH) return drop(frame, Drop.PKT_TOO_SMALL, device);
  const lower = device.lower!;
  const mode = <u32>lower.portMode;
  const flags = <u32>lower.portFlags;
  const destination = ethernet.destination(frame.data);
  scrub(frame);
  // In l2 mode a sibling is who has this MAC as well; in l3 mode there are no MACs to speak of.
  const within = mode != L2 || destination == ethernet.source(frame.data);
  if (within && !(flags & VEPA)) {
    const to = sibling(lower, frame);
    if (to) {
      if (flags & PRIVATE) return drop(frame, Drop.IPVLAN_PRIVATE, device);
      return receive(to, frame);
    }
    // The lower device's own namespace is meant, for want of anyone else.
    if (mode == L2) return arrive(lower, frame);
  }
  if (mode != L2) return route(device, lower, frame);
  if (ethernet.isGroup(destination)) flood(lower, device, frame);
  transmit(lower, frame);
}

/** Out by the lower device's namespace, as if that had sent it (ipvlan_process_outbound): OUTPUT and POSTROUTING, no hop taken. */
function route(device: Device, lower: Device, frame: Frame): void {
  if (ethernet.isGroup(ethernet.destination(frame.data))) return drop(frame, Drop.IPVLAN_L3_GROUP, device);
  const type = ethernet.type(frame.data);
  if (type == ethernet.TYPE_IPV6) {
    const packet = pull(frame, ethernet.LENGTH);
    const whole: u32 = frame.length < ipv6.LENGTH ? 0 : ipv6.LENGTH + ipv6.payloadLength(packet);
    if (!whole || ipv6.version(packet) != 6 || whole > frame.length) return drop(frame, Drop.IP_INHDR, device);
    frame.length = whole;
    return output6(lower.namespace, frame, lower);
  }
  if (type != ethernet.TYPE_IPV4) return drop(frame, Drop.UNHANDLED_PROTO, device);
  const ip = pull(frame, ethernet.LENGTH);
  const header = ipv4.headerLength(ip);
  const total = ipv4.totalLength(ip);
  if (frame.length < ipv4.LENGTH || ipv4.version(ip) != 4 || header < ipv4.LENGTH || total < header || total > frame.length) {
    return drop(frame, Drop.IP_INHDR, device);
  }
  frame.length = total;
  outputBy(lower.namespace, frame, lower);
}

/** The lower device has received a frame (ipvlan_handle_frame): true when it has been taken. */
export function ipvlanReceive(lower: Device, frame: Frame): bool {
  const mode = <u32>lower.portMode;
  if (mode == L3S) return false;
  if (mode == L2 && ethernet.isGroup(ethernet.destination(frame.data))) {
    // What one of ours has sent and the switch reflects, the siblings have seen already (ipvlan_external_frame).
    if (ethernet.source(frame.data) != lower.mac || !ownerOnWire(lower, frame, false)) flood(lower, null, frame);
    return false;
  }
  const device = ownerOnWire(lower, frame, true);
  if (!device) return false;
  scrub(frame);
  receive(device, frame);
  return true;
}

/** A copy for every other device on `lower` (ipvlan_process_multicast). */
function flood(lower: Device, from: Device | null, frame: Frame): void {
  forget(frame);
  let device = lower.uppers;
  while (device) {
    if (device != from && device.flags & UP) {
      const copy = cloneFrame(frame);
      if (copy) {
        scrub(copy);
        receive(device, copy);
      }
    }
    device = device.nextUpper;
  }
}
