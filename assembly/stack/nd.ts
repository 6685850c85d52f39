// Neighbour discovery (net/ipv6/ndisc.c; RFC 4861): solicitations and advertisements, asked, answered and believed. The
// state machine behind it is neighbour.ts; duplicate addresses and router solicitations are start6.ts's.

import { Frame, takeFrame } from "../frame";
import { account, deliver, drop, Drop } from "../drops";
import { Device } from "../devices/device";
import { Namespace } from "./namespace";
import * as ethernet from "../wire/ethernet";
import * as icmpv6 from "../wire/icmpv6";
import * as ipv6 from "../wire/ipv6";
import * as ndp from "../wire/ndp";
import { keep, keepAt, numberAt } from "../tables/addresses6";
import { DAD_FAILED, InterfaceAddress, NODAD, TENTATIVE, findAddress6, linkLocalOf } from "../tables/interfaces6";
import { moveNeighbour, Neighbour, Nud, findNeighbour6, obtainNeighbour6 } from "../tables/neighbours";
import { age, update } from "./neighbour";
import { output6 } from "./output6";

/** What stays on its link is sent with it (RFC 4861, 3.1): it crossed no router. */
export const LINK_HOPS: u32 = 255;
/** Second halves of ff02::1 and ff02::2. */
const ALL_NODES: u64 = 0x0100000000000000;
export const ALL_ROUTERS: u64 = 0x0200000000000000;

/**
 * Ask for a neighbour (ndisc_solicit): everybody whose address could be meant, or itself by its MAC. The sender's address is
 * that of the waiting packet when it is this device's, else the device's link-local one.
 */
export function askNeighbour(neighbour: Neighbour, frame: Frame | null, mac: u64, time: u64): void {
  const device = neighbour.device;
  const target = <u32>neighbour.keyA;
  let source: u32 = 0;
  if (frame) {
    const own = findAddress6(device, frame.data + ipv6.AT_SOURCE);
    if (own && !(own.flags & TENTATIVE)) source = own.address;
  }
  if (!source) source = linkLocalOf(device);
  if (!source) return;
  const to = mac == ethernet.BROADCAST ? keep(ipv6.LINK_GROUP, ipv6.solicitedLow(<usize>target)) : target;
  if (to) sendSolicitation(device, source, to, target, 0, time);
}

/** One solicitation; with a `source` it carries our MAC, without one the nonce of duplicate address detection. All numbers of addresses. */
export function sendSolicitation(device: Device, source: u32, to: u32, target: u32, nonce: u64, time: u64): void {
  const option = source ? ndp.SOURCE_LINK : ndp.NONCE;
  send(device, source, <usize>to, icmpv6.NEIGHBOUR_SOLICITATION, 0, <usize>target, option, source ? device.mac : nonce, time);
}

const unspecified: usize = memory.data(16);

/** An ND message of ours: it passes OUTPUT and POSTROUTING and finds its neighbour as any packet (ndisc_send_skb). `option` 0: none. */
function send(device: Device, source: u32, to: usize, type: u32, flags: u32, target: usize, option: u32, six: u64, time: u64): void {
  const length = ndp.LENGTH + (option ? ndp.OPTION_LENGTH : 0);
  const frame = takeFrame(ipv6.LENGTH + length);
  if (!frame) return;
  account.generated++;
  frame.time = time;
  const at = frame.data + ipv6.LENGTH;
  ndp.emit(at, type, flags, target);
  if (option) ndp.emitOption(at + ndp.LENGTH, option, six);
  seal(device, frame, source ? <usize>source : unspecified, to, length);
}

/** IPv6 header, checksum, and out. */
export function seal(device: Device, frame: Frame, source: usize, to: usize, length: u32): void {
  ipv6.emit(frame.data, 0, 0, length, ipv6.ICMP, LINK_HOPS, source, to);
  icmpv6.seal(frame.data + ipv6.LENGTH, length, source, to);
  output6(device.namespace, frame, device);
}

/** An ICMPv6 message of types 133 to 137 whose checksum is right (ndisc_rcv). */
export function neighbourMessage(namespace: Namespace, frame: Frame, device: Device, l4: usize, length: u32): void {
  const type = icmpv6.type(l4);
  if (ipv6.hopLimit(frame.data) != LINK_HOPS) return drop(frame, Drop.IPV6_NDISC_HOP_LIMIT, device);
  if (icmpv6.code(l4)) return drop(frame, Drop.IPV6_NDISC_BAD_CODE, device);
  if (type == icmpv6.NEIGHBOUR_SOLICITATION) return solicited(namespace, frame, device, l4, length);
  if (type == icmpv6.NEIGHBOUR_ADVERTISEMENT) return advertised(frame, device, l4, length);
  if (type == icmpv6.ROUTER_SOLICITATION) return routerSolicited(namespace, frame, device, l4, length);
  // Nobody here configures itself by advertisements, and redirects are not accepted by routers.
  deliver(frame);
}

/** ndisc_recv_ns. */
function solicited(namespace: Namespace, frame: Frame, device: Device, l4: usize, length: u32): void {
  const ip = frame.data;
  const end = l4 + length;
  const target = l4 + ndp.AT_TARGET;
  const source = ip + ipv6.AT_SOURCE;
  const destination = ip + ipv6.AT_DESTINATION;
  const options = l4 + ndp.LENGTH;
  if (length < ndp.LENGTH) return drop(frame, Drop.PKT_TOO_SMALL, device);
  if (!ndp.optionsValid(options, end) || ipv6.isMulticast(target)) return drop(frame, Drop.IPV6_NDISC_BAD_OPTIONS, device);
  const probing = ipv6.isUnspecified(source);
  const link = ndp.option(options, end, ndp.SOURCE_LINK);
  // A probe for duplicates goes to the solicited-node group and says no MAC.
  if (probing && (!ipv6.isSolicitedNode(destination) || link)) return drop(frame, Drop.IPV6_NDISC_BAD_OPTIONS, device);
  if (link && <u32>load<u8>(link, 1) != 1) return drop(frame, Drop.IPV6_NDISC_BAD_OPTIONS, device);
  const time = frame.time;
  const own = findAddress6(device, target);
  if (!own && !isAnycast(device, target)) return drop(frame, Drop.IPV6_NDISC_NS_OTHERHOST, device);
  const group = ipv6.isMulticast(destination);
  const router = namespace.forward6 ? ndp.ROUTER : 0;
  if (own && own.flags & TENTATIVE) {
    // Our own probe that came back, or somebody's who wants the same address (addrconf_dad_failure).
    const nonce = ndp.option(options, end, ndp.NONCE);
    if (probing && !(nonce && ndp.mac(nonce) == own.nonce)) own.flags |= <u8>DAD_FAILED;
    return deliver(frame);
  }
  const answer = own ? own.address : keepAt(target);
  if (probing) {
    deliver(frame);
    if (namespace.silent || !answer) return;
    const all = keep(ipv6.LINK_GROUP, ALL_NODES);
    if (all) send(device, answer, <usize>all, icmpv6.NEIGHBOUR_ADVERTISEMENT, router | (own ? ndp.OVERRIDE : 0), <usize>answer, ndp.TARGET_LINK, device.mac, time);
    return;
  }
  const asker = keepAt(source);
  const neighbour = asker ? (!group || link ? obtainNeighbour6(device, asker) : findNeighbour6(device, asker)) : null;
  if (neighbour && link) update(neighbour, ndp.mac(link), Nud.STALE, time, true);
  deliver(frame);
  if (!neighbour || namespace.silent || !answer) return;
  const flags = router | ndp.SOLICITED | (own && group ? ndp.OVERRIDE : 0);
  send(device, answer, <usize>asker, icmpv6.NEIGHBOUR_ADVERTISEMENT, flags, <usize>answer, group ? ndp.TARGET_LINK : 0, device.mac, time);
}

/** A router is also its subnets' anycast address: all zeros behind the prefix (ipv6_chk_acast_addr). */
function isAnycast(device: Device, target: usize): bool {
  if (!device.namespace.forward6) return false;
  let entry = device.addresses6;
  while (entry) {
    if (entry.length < 127 && isSubnetAnycast(entry, target)) return true;
    entry = entry.next;
  }
  return false;
}
function isSubnetAnycast(entry: InterfaceAddress, target: usize): bool {
  const bits = <u32>entry.length;
  for (let i: u32 = 0; i < 16; i++) {
    const own = i * 8 + 8 <= bits ? 0xff : i * 8 >= bits ? 0 : (0xff00 >>> (bits - i * 8)) & 0xff;
    if (<u32>load<u8>(target + i) != (<u32>load<u8>(<usize>entry.address + i) & own)) return false;
  }
  return true;
}

/** ndisc_recv_na. */
function advertised(frame: Frame, device: Device, l4: usize, length: u32): void {
  const end = l4 + length;
  const options = l4 + ndp.LENGTH;
  const target = l4 + ndp.AT_TARGET;
  if (length < ndp.LENGTH) return drop(frame, Drop.PKT_TOO_SMALL, device);
  const flags = ndp.flags(l4);
  const group = ipv6.isMulticast(frame.data + ipv6.AT_DESTINATION);
  if (!ndp.optionsValid(options, end) || ipv6.isMulticast(target) || (group && flags & ndp.SOLICITED)) return drop(frame, Drop.IPV6_NDISC_BAD_OPTIONS, device);
  const link = ndp.option(options, end, ndp.TARGET_LINK);
  if (link && <u32>load<u8>(link, 1) != 1) return drop(frame, Drop.IPV6_NDISC_BAD_OPTIONS, device);
  const time = frame.time;
  const own = findAddress6(device, target);
  if (own) {
    // Somebody has what we wanted; once it is ours, a claim is ignored.
    if (own.flags & TENTATIVE && !(own.flags & NODAD)) own.flags |= <u8>DAD_FAILED;
    return deliver(frame);
  }
  const number = numberAt(target);
  const known = number ? findNeighbour6(device, number) : null;
  if (known && known.state != <u8>Nud.FAILED && known.state != <u8>Nud.NONE) {
    believe(known, link, flags, time);
    // Who was asked by its MAC has answered (neigh_update with NUD_REACHABLE).
  }
  deliver(frame);
}

/** ndisc_update with what an advertisement says (neigh_update, NEIGH_UPDATE_F_WEAK_OVERRIDE). */
function believe(known: Neighbour, link: usize, flags: u32, time: u64): void {
  age(known, time);
  const waiting = known.state == <u8>Nud.INCOMPLETE;
  if (waiting && !link) return;
  const mac = link ? ndp.mac(link) : known.mac;
  const insists = (flags & ndp.OVERRIDE) != 0;
  if (!waiting && mac != known.mac && !insists) {
    // Another MAC that does not insist: what was sure is so no longer.
    if (known.state == <u8>Nud.REACHABLE) moveNeighbour(known, Nud.STALE);
    return;
  }
  known.router = flags & ndp.ROUTER ? 1 : 0;
  update(known, mac, flags & ndp.SOLICITED ? Nud.REACHABLE : Nud.STALE, time, true);
}

/** ndisc_recv_rs: a router learns of who asks; it advertises nothing, for Linux does not by itself. */
function routerSolicited(namespace: Namespace, frame: Frame, device: Device, l4: usize, length: u32): void {
  const end = l4 + length;
  const options = l4 + icmpv6.LENGTH;
  const source = frame.data + ipv6.AT_SOURCE;
  if (length < icmpv6.LENGTH) return drop(frame, Drop.PKT_TOO_SMALL, device);
  if (!ndp.optionsValid(options, end)) return drop(frame, Drop.IPV6_NDISC_BAD_OPTIONS, device);
  const time = frame.time;
  if (namespace.forward6 && !ipv6.isUnspecified(source)) {
    const link = ndp.option(options, end, ndp.SOURCE_LINK);
    const number = link && <u32>load<u8>(link, 1) == 1 ? keepAt(source) : 0;
    const neighbour = number ? obtainNeighbour6(device, number) : null;
    if (neighbour) {
      update(neighbour, ndp.mac(link), Nud.STALE, time, true);
      neighbour.router = 0;
    }
  }
  deliver(frame);
}

/** A solicitation that is injected at `device` makes the entry which its answer will fill, as asking does. */
export function expectAdvertisement(device: Device, frame: Frame): void {
  const ip = frame.data + ethernet.LENGTH;
  if (frame.length < ethernet.LENGTH + ipv6.LENGTH + ndp.LENGTH || ipv6.nextHeader(ip) != ipv6.ICMP) return;
  const l4 = ip + ipv6.LENGTH;
  if (icmpv6.type(l4) != icmpv6.NEIGHBOUR_SOLICITATION || ipv6.isUnspecified(ip + ipv6.AT_SOURCE)) return;
  const target = keepAt(l4 + ndp.AT_TARGET);
  const neighbour = target ? obtainNeighbour6(device, target) : null;
  if (neighbour && (neighbour.state == <u8>Nud.NONE || neighbour.state == <u8>Nud.FAILED)) moveNeighbour(neighbour, Nud.INCOMPLETE);
}
