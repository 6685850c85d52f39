// Into the IP layer of a namespace: receive checks (ip_rcv), PREROUTING, routing, then local delivery or forwarding.

import { Frame, GROUP, PREROUTED, pull } from "../frame";
import { deliver, drop, Drop } from "../drops";
import { Device, IPVLANS, Kind, scrub } from "../devices/device";
import { ipvlanL3s } from "../devices/ipvlan";
import { Namespace } from "./namespace";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import { sum } from "../wire/checksum";
import * as vlan from "../wire/vlan";
import { vlanUnclaimed } from "../devices/vlan";
import { RouteType, isLocal, lookUp } from "../tables/routes";
import { input, prerouting } from "../hooks/netfilter";
import { arpReceive } from "./arp";
import { ipv6Receive } from "./input6";
import { forwardPacket } from "./forward";
import { defragment } from "./fragments";
import { icmpReceive, sendProtocolUnreachable, sendNetUnreachable } from "./icmp";
import { udpReceive } from "./udp";
import { tcpReceive } from "./tcp";
import { note, Note } from "../capture/tap";
import { endsLocally, forget, recording } from "../flowtable/recorder";
import { comesFrom } from "../flowtable/opening-recorder";
import { sentFrom, varies } from "../flowtable/precedent-recorder";
import { vxlanReceive } from "../devices/vxlan";
import { transformedIn } from "../hooks/xfrm";

/** Users of reassembly (enum ip_defrag_users): their queues do not mix. */
export const DEFRAG_LOCAL: u32 = 1;
export const DEFRAG_CONNTRACK_IN: u32 = 2;

/** A frame that is for this namespace's own stack, by EtherType. */
export function stackReceive(device: Device, frame: Frame): void {
  const at = frame.data;
  const destination = ethernet.destination(at);
  if (destination != device.mac && !ethernet.isGroup(destination)) return drop(frame, Drop.OTHERHOST, device);
  const type = ethernet.type(at);
  if (ethernet.isGroup(destination)) frame.flags |= GROUP;
  else frame.flags &= ~GROUP;
  if (type == ethernet.TYPE_IPV4) return ipReceive(device, frame);
  if (type == ethernet.TYPE_IPV6) return ipv6Receive(device, frame);
  if (type == ethernet.TYPE_ARP) return arpReceive(device, frame);
  if (vlan.isTag(type)) return vlanUnclaimed(device, frame);
  drop(frame, Drop.UNHANDLED_PROTO, device);
}

/** The checks of ip_rcv_core on `length` bytes at `ip`: NONE, or why not. */
export function checkHeader(ip: usize, length: u32): Drop {
  if (length < ipv4.LENGTH || ipv4.version(ip) != 4) return Drop.IP_INHDR;
  const header = ipv4.headerLength(ip);
  if (header < ipv4.LENGTH || header > length) return Drop.IP_INHDR;
  if (sum(ip, header) != 0xffff) return Drop.IP_CSUM;
  const total = ipv4.totalLength(ip);
  if (total > length) return Drop.PKT_TOO_SMALL;
  return total < header ? Drop.IP_INHDR : Drop.NONE;
}

function ipReceive(device: Device, frame: Frame): void {
  const ip = pull(frame, ethernet.LENGTH);
  const reason = checkHeader(ip, frame.length);
  if (reason != Drop.NONE) return drop(frame, reason, device);
  frame.length = ipv4.totalLength(ip); // Ethernet padding goes
  const namespace = device.namespace;
  let packet = frame;
  if (!(frame.flags & PREROUTED)) {
    if (namespace.conntrack && ipv4.isFragment(ip)) {
      const whole = defragment(namespace, frame, DEFRAG_CONNTRACK_IN);
      if (!whole) return;
      packet = whole;
      note(packet, Note.REASSEMBLE, 0, packet.fragmentMax, 0, packet.length, 0, device);
    }
    if (!prerouting(namespace, packet, device)) return;
  }
  route(namespace, packet, device);
}

/** What came out of ESP enters at PREROUTING as what it is now (xfrm4_transport_finish). */
export function receiveTransformed(namespace: Namespace, frame: Frame, device: Device): void {
  if (prerouting(namespace, frame, device)) route(namespace, frame, device);
}

/** What ip_route_input decides: martians out, then by the type of the destination. */
function route(namespace: Namespace, frame: Frame, device: Device): void {
  const ip = frame.data;
  const source = ipv4.source(ip);
  const destination = ipv4.destination(ip);
  if (device.handlers & IPVLANS) {
    if (recording) varies();
    const shared = ipvlanL3s(device, destination);
    if (shared) return deliverShared(namespace, frame, device, shared);
  }
  const local = device.kind == <u8>Kind.LOOPBACK;
  if ((source & 0xf0) == 0xe0 || source == 0xffffffff) return drop(frame, Drop.IP_INVALID_SOURCE, device);
  if (!source && destination != 0xffffffff) return drop(frame, Drop.IP_INVALID_SOURCE, device);
  if (!destination) return drop(frame, Drop.IP_INVALID_DEST, device);
  if (!local && !device.routeLocalnet) {
    if ((source & 0xff) == 127) return drop(frame, Drop.IP_INVALID_SOURCE, device);
    if ((destination & 0xff) == 127) return drop(frame, Drop.IP_INVALID_DEST, device);
  }
  if (destination == 0xffffffff) return deliverLocal(namespace, frame, device, true);
  if ((destination & 0xf0) == 0xe0) return drop(frame, Drop.IP_INVALID_DEST, device); // no group is joined here
  const found = lookUp(namespace, destination);
  if (recording) {
    comesFrom(frame, namespace);
    sentFrom(frame, namespace, source);
  }
  if (!local && source && isLocal(namespace, source)) return drop(frame, Drop.IP_LOCAL_SOURCE, device);
  if (found && found.type == <u8>RouteType.LOCAL) return deliverLocal(namespace, frame, device, false);
  if (found && found.type == <u8>RouteType.BROADCAST) return deliverLocal(namespace, frame, device, true);
  if (frame.flags & GROUP) return drop(frame, Drop.OTHERHOST, device);
  if (!namespace.forward) return drop(frame, Drop.IP_FORWARDING_OFF, device);
  if (!found || found.type == <u8>RouteType.UNREACHABLE) {
    sendNetUnreachable(namespace, frame);
    return drop(frame, Drop.IP_IN_NO_ROUTE, device);
  }
  forwardPacket(namespace, frame, device, found);
}

/** INPUT, then the protocol (ip_local_deliver). */
function deliverLocal(namespace: Namespace, frame: Frame, device: Device, broadcast: bool): void {
  let packet = frame;
  if (ipv4.isFragment(packet.data)) {
    const whole = defragment(namespace, packet, DEFRAG_LOCAL);
    if (!whole) return;
    packet = whole;
  }
  packet.device = device;
  if (!input(namespace, packet, device)) return;
  toProtocol(namespace, packet, device, broadcast);
}

/** An ipvlan's address in l3s mode: PREROUTING and INPUT of the lower device's namespace, then the ipvlan's sockets (ipvlan_l3s.c). */
function deliverShared(namespace: Namespace, frame: Frame, device: Device, to: Device): void {
  let packet = frame;
  if (isLocal(to.namespace, ipv4.source(frame.data))) return drop(frame, Drop.IP_LOCAL_SOURCE, to);
  if (ipv4.isFragment(packet.data)) {
    const whole = defragment(namespace, packet, DEFRAG_LOCAL);
    if (!whole) return;
    packet = whole;
  }
  if (!input(namespace, packet, device)) return;
  scrub(packet);
  packet.device = to;
  forget(packet);
  to.rxPackets++;
  to.rxBytes += packet.length + ethernet.LENGTH;
  toProtocol(to.namespace, packet, to, false);
}

/** What is behind INPUT: a tunnel, or the protocol. */
export function toProtocol(namespace: Namespace, packet: Frame, device: Device, broadcast: bool): void {
  const protocol = ipv4.protocol(packet.data);
  if (protocol == ipv4.ESP && namespace.xfrm) return transformedIn(namespace, packet, device);
  if (protocol == ipv4.UDP && namespace.vxlans && vxlanReceive(namespace, packet, ipv4.headerLength(packet.data), false)) return;
  endsLocally(packet, namespace, device, broadcast);
  if (namespace.silent) return deliver(packet);
  if (protocol == ipv4.ICMP) return icmpReceive(namespace, packet, broadcast);
  if (protocol == ipv4.UDP) return udpReceive(namespace, packet);
  if (protocol == ipv4.TCP) return broadcast || packet.flags & GROUP ? drop(packet, Drop.OTHERHOST, device) : tcpReceive(namespace, packet);
  if (!broadcast) sendProtocolUnreachable(namespace, packet);
  drop(packet, Drop.IP_NOPROTO, device);
}
