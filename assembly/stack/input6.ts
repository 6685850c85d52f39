// Into the IPv6 layer of a namespace (net/ipv6/ip6_input.c): receive checks, PREROUTING, routing, then local delivery
// through the extension headers (net/ipv6/exthdrs.c), or forwarding.

import { Frame, GROUP, PREROUTED, pull } from "../frame";
import { deliver, drop, Drop } from "../drops";
import { Device, IPVLANS, Kind, scrub } from "../devices/device";
import { ipvlanL3s6 } from "../devices/ipvlan";
import { Namespace } from "./namespace";
import * as ethernet from "../wire/ethernet";
import * as icmpv6 from "../wire/icmpv6";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import { listensTo } from "../tables/interfaces6";
import { Route6Type, isLocal6, lookUp6 } from "../tables/routes6";
import { User } from "../tables/reassembly";
import { input6, prerouting6 } from "../hooks/netfilter6";
import { forwardPacket6 } from "./forward6";
import { vxlanReceive } from "../devices/vxlan";
import { transformedIn } from "../hooks/xfrm";
import { endsLocally, forget, recording } from "../flowtable/recorder";
import { varies } from "../flowtable/precedent-recorder";
import { defragment6 } from "./fragments6";
import { icmpReceive6, sendParameterProblem, sendUnreachable6 } from "./icmp6";
import { tcpReceive } from "./tcp";
import { udpReceive } from "./udp";

/** The checks of ip6_rcv_core on `length` bytes at `ip`: NONE, or why not. */
export function checkHeader6(ip: usize, length: u32): Drop {
  if (length < ipv6.LENGTH) return Drop.PKT_TOO_SMALL;
  if (ipv6.version(ip) != 6) return Drop.IP_INHDR;
  if (ipv6.payloadLength(ip) + ipv6.LENGTH > length) return Drop.PKT_TOO_SMALL;
  // A jumbogram's length stands in an option (RFC 2675): no link here is that wide.
  if (!ipv6.payloadLength(ip) && ipv6.nextHeader(ip) == ipv6.HOP_BY_HOP) return Drop.IP_INHDR;
  return Drop.NONE;
}

export function ipv6Receive(device: Device, frame: Frame): void {
  const namespace = device.namespace;
  if (!device.ipv6) return drop(frame, Drop.IPV6DISABLED, device);
  const ip = pull(frame, ethernet.LENGTH);
  const reason = checkHeader6(ip, frame.length);
  if (reason != Drop.NONE) return drop(frame, reason, device);
  const source = ip + ipv6.AT_SOURCE;
  const destination = ip + ipv6.AT_DESTINATION;
  if (device.kind != <u8>Kind.LOOPBACK) {
    if (ipv6.isLoopback(source)) return drop(frame, Drop.IP_INVALID_SOURCE, device);
    if (ipv6.isLoopback(destination)) return drop(frame, Drop.IP_INVALID_DEST, device);
    if (ipv6.isMulticast(destination) && ipv6.groupScope(destination) == 1) return drop(frame, Drop.IP_INVALID_DEST, device);
  }
  if (ipv6.isMulticast(destination) && !ipv6.groupScope(destination)) return drop(frame, Drop.IP_INVALID_DEST, device);
  if (ipv6.isMulticast(source)) return drop(frame, Drop.IP_INVALID_SOURCE, device);
  frame.length = ipv6.LENGTH + ipv6.payloadLength(ip); // Ethernet padding goes
  if (ipv6.nextHeader(ip) == ipv6.HOP_BY_HOP && !optionsPass(namespace, frame, device, ipv6.LENGTH)) return;
  let packet = frame;
  if (!(frame.flags & PREROUTED)) {
    const whole = prerouting6(namespace, frame, device, User.CONNTRACK_IN);
    if (!whole) return;
    packet = whole;
  }
  route(namespace, packet, device);
}

/** The options header that begins at `at`, behind the IPv6 header. False: the frame was dropped. */
function optionsPass(namespace: Namespace, frame: Frame, device: Device, at: u32): bool {
  const ip = frame.data;
  if (at + 8 > frame.length || at + ((<u32>load<u8>(ip + at, 1) + 1) << 3) > frame.length) {
    drop(frame, Drop.IPV6_BAD_EXTHDR, device);
    return false;
  }
  const found = ipv6.checkOptions(ip + at);
  if (found == ipv6.Options.FINE) return true;
  if (found == ipv6.Options.REPORT || (found == ipv6.Options.REPORT_UNLESS_GROUP && !ipv6.isMulticast(ip + ipv6.AT_DESTINATION))) {
    sendParameterProblem(namespace, frame, device, icmpv6.UNKNOWN_OPTION, at + ipv6.badOption);
  }
  drop(frame, Drop.IPV6_BAD_EXTHDR, device);
  return false;
}

/** What came out of ESP enters at PREROUTING as what it is now (xfrm6_transport_finish). */
export function receiveTransformed6(namespace: Namespace, frame: Frame, device: Device): void {
  const whole = prerouting6(namespace, frame, device, User.CONNTRACK_IN);
  if (whole) route(namespace, whole, device);
}

/** What ip6_route_input decides. */
function route(namespace: Namespace, frame: Frame, device: Device): void {
  const ip = frame.data;
  const destination = ip + ipv6.AT_DESTINATION;
  if (ipv6.isUnspecified(destination)) return drop(frame, Drop.IP_INVALID_DEST, device);
  if (device.handlers & IPVLANS) {
    if (recording) varies();
    const shared = ipvlanL3s6(device, destination);
    if (shared) return deliverLocal(namespace, frame, device, shared);
  }
  if (ipv6.isMulticast(destination)) {
    if (device.kind != <u8>Kind.LOOPBACK && !listensTo(device, destination)) return drop(frame, Drop.IP_INVALID_DEST, device);
    return deliverLocal(namespace, frame, device, null);
  }
  const found = lookUp6(namespace, destination, device);
  if (found && (found.type == <u8>Route6Type.LOCAL || found.type == <u8>Route6Type.ANYCAST)) return deliverLocal(namespace, frame, device, null);
  if (frame.flags & GROUP) return drop(frame, Drop.OTHERHOST, device);
  if (!namespace.forward6) return drop(frame, Drop.IP_FORWARDING_OFF, device);
  if (!found || found.type == <u8>Route6Type.UNREACHABLE) {
    sendUnreachable6(namespace, frame, device, icmpv6.NO_ROUTE);
    return drop(frame, Drop.IP_IN_NO_ROUTE, device);
  }
  forwardPacket6(namespace, frame, device, found);
}

/**
 * INPUT, then the extension headers one by one, then the protocol (ip6_protocol_deliver_rcu). `to`: the ipvlan in l3s mode whose
 * sockets it is for, behind the hooks of the device below it (ipvlan_l3s.c), or null.
 */
function deliverLocal(below: Namespace, frame: Frame, lower: Device, to: Device | null): void {
  frame.device = lower;
  if (!input6(below, frame, lower)) return;
  const device = to ? to : lower;
  const namespace = device.namespace;
  if (to) {
    scrub(frame);
    frame.device = to;
    forget(frame);
    to.rxPackets++;
    to.rxBytes += frame.length + ethernet.LENGTH;
  }
  let packet = frame;
  let next = ipv6.nextHeader(packet.data);
  let pointer: u32 = 6;
  let at: u32 = ipv6.LENGTH;
  // The hop-by-hop header comes first and has been read.
  if (next == ipv6.HOP_BY_HOP) {
    const header = packet.data + at;
    next = load<u8>(header);
    pointer = at;
    at += (<u32>load<u8>(header, 1) + 1) << 3;
  }
  while (true) {
    const ip = packet.data;
    if (next == ipv6.FRAGMENT) {
      const whole = defragment6(namespace, packet, at, pointer, User.LOCAL_DELIVER);
      if (!whole) return;
      // The fragment header is gone; what it led to stands in its place.
      packet = whole;
      packet.device = device;
      next = load<u8>(packet.data + pointer);
      continue;
    }
    if (next != ipv6.DESTINATION_OPTIONS && next != ipv6.ROUTING) break;
    if (next == ipv6.DESTINATION_OPTIONS) {
      if (!optionsPass(namespace, packet, device, at)) return;
    } else if (!routingPasses(namespace, packet, device, at)) return;
    pointer = at;
    next = load<u8>(ip + at);
    at += (<u32>load<u8>(ip + at, 1) + 1) << 3;
  }
  packet.upper = <u8>next;
  packet.upperAt = <u16>at;
  if (next == ipv6.NONE) return deliver(packet);
  if (at > packet.length) return drop(packet, Drop.IPV6_BAD_EXTHDR, device);
  if (next == ipv6.ICMP) return icmpReceive6(namespace, packet, device);
  if (next == ipv4.ESP && namespace.xfrm && at == ipv6.LENGTH) return transformedIn(namespace, packet, device);
  if (next == ipv4.UDP && namespace.vxlans && vxlanReceive(namespace, packet, at, true)) return;
  if (next == ipv4.UDP || next == ipv4.TCP) {
    endsLocally(packet, namespace, device, false);
    return toTransport(namespace, packet, device);
  }
  if (namespace.silent) return deliver(packet);
  sendParameterProblem(namespace, packet, device, icmpv6.UNKNOWN_HEADER, pointer);
  drop(packet, Drop.IP_NOPROTO, device);
}

/** What the flow table brings behind INPUT: `protocol`, TCP or UDP, follows the IPv6 header, and is no tunnel's. */
export function toProtocol6(namespace: Namespace, packet: Frame, device: Device, protocol: u32): void {
  packet.upper = <u8>protocol;
  packet.upperAt = <u16>ipv6.LENGTH;
  toTransport(namespace, packet, device);
}

function toTransport(namespace: Namespace, packet: Frame, device: Device): void {
  if (namespace.silent) return deliver(packet);
  if (packet.upper == <u8>ipv4.UDP) return udpReceive(namespace, packet);
  const group = ipv6.isMulticast(packet.data + ipv6.AT_DESTINATION);
  if (group || packet.flags & GROUP) drop(packet, Drop.OTHERHOST, device);
  else tcpReceive(namespace, packet);
}

/** A routing header that asks for nothing more is passed over; none is followed (RFC 5095; ipv6_rthdr_rcv). */
function routingPasses(namespace: Namespace, frame: Frame, device: Device, at: u32): bool {
  const header = frame.data + at;
  if (at + 8 > frame.length || at + ((<u32>load<u8>(header, 1) + 1) << 3) > frame.length) {
    drop(frame, Drop.IPV6_BAD_EXTHDR, device);
    return false;
  }
  if (!load<u8>(header, 3) && isLocal6(namespace, frame.data + ipv6.AT_DESTINATION, device)) return true;
  sendParameterProblem(namespace, frame, device, icmpv6.BAD_FIELD, at + 2);
  drop(frame, Drop.IPV6_BAD_EXTHDR, device);
  return false;
}
