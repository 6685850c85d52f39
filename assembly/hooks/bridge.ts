// br_netfilter (net/bridge/br_netfilter_hooks.c, br_netfilter_ipv6.c): with bridge-nf-call-iptables, bridged IPv4 passes the IP
// hooks with the bridge as its device, with bridge-nf-call-ip6tables IPv6. PREROUTING where it comes in, FORWARD and POSTROUTING
// where it goes out by another port; TTL and MACs stay. Fragments are put together for conntrack and cut again at the way out.

import { BRIDGED_DNAT, BRIDGED_OUTPUT, Frame, PREROUTED, SURVEY, pull, push } from "../frame";
import { drop, Drop } from "../drops";
import { Device, transmit } from "../devices/device";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import { Namespace } from "../stack/namespace";
import { forward, postrouting, prerouting } from "./netfilter";
import { forward6, postrouting6, prerouting6 } from "./netfilter6";
import { reliesOn } from "../load/ways";
import { resetConntrack } from "./conntrack";
import { RouteType, lookUp } from "../tables/routes";
import { Neighbour, Nud, findNeighbour, findNeighbour6 } from "../tables/neighbours";
import { letGo } from "../tables/connections";
import { User } from "../tables/reassembly";
import { keepAt } from "../tables/addresses6";
import { Route6Type, lookUp6 } from "../tables/routes6";
import { checkHeader } from "../stack/input";
import { checkHeader6 } from "../stack/input6";
import { fitted, forget, recording } from "../flowtable/recorder";
import { age, resolveAndSend, resolveAndSend6 } from "../stack/neighbour";
import { defragment, fragmentFrame } from "../stack/fragments";
import { fragmentFrame6 } from "../stack/fragments6";

/** Do frames of this EtherType pass the hooks on bridges here? */
// @ts-ignore: decorator
@inline
export function filtersBridged(namespace: Namespace, type: u32): bool {
  return (type == ethernet.TYPE_IPV4 && namespace.bridgeNetfilter != 0) || (type == ethernet.TYPE_IPV6 && namespace.bridgeNetfilter6 != 0);
}

/** The frame as it goes on, or null: it was dropped, or is a fragment that waits. */
export function bridgePrerouting(bridge: Device, port: Device, frame: Frame): Frame | null {
  const type = ethernet.type(frame.data);
  const v6 = type == ethernet.TYPE_IPV6;
  const destination = ethernet.destination(frame.data);
  const source = ethernet.source(frame.data);
  pull(frame, ethernet.LENGTH);
  const packet = v6 ? prerouted6(bridge, port, frame) : prerouted4(bridge, port, frame);
  if (!packet) return null;
  packet.port = port;
  packet.flags |= PREROUTED;
  let mac = destination;
  if (readdressed) {
    const hop = v6 ? hopBehind6(bridge, packet.data + ipv6.AT_DESTINATION) : hopBehind(bridge, ipv4.destination(packet.data));
    if (!hop) mac = bridge.mac;
    else {
      forget(packet);
      if (destination == bridge.mac) packet.flags |= BRIDGED_DNAT;
      const neighbour = v6 ? findNeighbour6(bridge, hop) : findNeighbour(bridge, hop);
      mac = macOf(neighbour, packet.time);
      if (mac && packet.flags & SURVEY) reliesOn(packet, neighbour!);
      if (!mac) {
        packet.flags |= BRIDGED_OUTPUT;
        packet.portSource = source;
        letGo(packet);
        if (v6) resolveAndSend6(packet, bridge, hop);
        else resolveAndSend(packet, bridge, hop);
        return null;
      }
    }
  }
  ethernet.emit(push(packet, ethernet.LENGTH), mac, source, type);
  return packet;
}

/** The hooks gave the packet another destination. */
let readdressed: bool = false;

function prerouted4(bridge: Device, port: Device, frame: Frame): Frame | null {
  const namespace = bridge.namespace;
  const ip = frame.data;
  const reason = checkHeader(ip, frame.length);
  if (reason != Drop.NONE) {
    drop(frame, reason, port);
    return null;
  }
  frame.length = ipv4.totalLength(ip);
  let packet = frame;
  if (namespace.conntrack && ipv4.isFragment(ip)) {
    const whole = defragment(namespace, frame, User.CONNTRACK_BRIDGE_IN);
    if (!whole) return null;
    packet = whole;
  }
  const target = ipv4.destination(packet.data);
  if (!prerouting(namespace, packet, bridge)) return null;
  readdressed = ipv4.destination(packet.data) != target;
  return packet;
}

function prerouted6(bridge: Device, port: Device, frame: Frame): Frame | null {
  const ip = frame.data;
  const reason = checkHeader6(ip, frame.length);
  if (reason != Drop.NONE) {
    drop(frame, reason, port);
    return null;
  }
  const payload = ipv6.payloadLength(ip);
  // What runs over the end is looked for in this header alone (nf_ip6_check_hbh_len).
  if (ipv6.nextHeader(ip) == ipv6.HOP_BY_HOP && (payload < 8 || (<u32>load<u8>(ip, ipv6.LENGTH + 1) + 1) << 3 > payload)) {
    drop(frame, Drop.IPV6_BAD_EXTHDR, port);
    return null;
  }
  frame.length = ipv6.LENGTH + payload;
  const high = load<u64>(ip, ipv6.AT_DESTINATION);
  const low = load<u64>(ip, ipv6.AT_DESTINATION + 8);
  const packet = prerouting6(bridge.namespace, frame, bridge, User.CONNTRACK_BRIDGE_IN);
  if (packet) readdressed = load<u64>(packet.data, ipv6.AT_DESTINATION) != high || load<u64>(packet.data, ipv6.AT_DESTINATION + 8) != low;
  return packet;
}

/**
 * DNAT took place (br_nf_pre_routing_finish): who is behind the same bridge gets the frame as a bridged one. The address to find
 * there, or 0: it goes to the bridge's own stack, to be routed.
 */
function hopBehind(bridge: Device, destination: u32): u32 {
  const route = lookUp(bridge.namespace, destination);
  if (!route || route.type != <u8>RouteType.UNICAST || route.device != bridge) return 0;
  return route.gateway ? route.gateway : destination;
}

/** The same for IPv6; answers the number of the address. */
function hopBehind6(bridge: Device, destination: usize): u32 {
  const route = lookUp6(bridge.namespace, destination, bridge);
  if (!route || route.type != <u8>Route6Type.UNICAST || route.device != bridge) return 0;
  return route.gateway ? route.gateway : keepAt(destination);
}

/** The MAC of a neighbour that is surely there (NUD_CONNECTED), or 0: it has to be asked for, or used with care. */
function macOf(neighbour: Neighbour | null, time: u64): u64 {
  if (!neighbour) return 0;
  age(neighbour, time);
  return neighbour.state == <u8>Nud.REACHABLE || neighbour.state == <u8>Nud.PERMANENT ? neighbour.mac : 0;
}

/** From one port to another (br_nf_forward_ip, br_nf_post_routing). */
export function bridgeForward(bridge: Device, to: Device, frame: Frame): void {
  const namespace = bridge.namespace;
  const type = ethernet.type(frame.data);
  const v6 = type == ethernet.TYPE_IPV6;
  const destination = ethernet.destination(frame.data);
  const source = ethernet.source(frame.data);
  pull(frame, ethernet.LENGTH);
  if (!(v6 ? forward6(namespace, frame, bridge, bridge) : forward(namespace, frame, bridge, bridge))) return;
  if (!(v6 ? postrouting6(namespace, frame, bridge, bridge) : postrouting(namespace, frame, bridge, bridge))) return;
  resetConntrack(frame);
  const limit = frame.fragmentMax ? min(frame.fragmentMax, to.mtu) : to.mtu;
  if (recording) fitted(frame, frame.length, limit);
  if (frame.length <= limit) return send(to, frame, destination, source, type);
  frame.out = to;
  let fragment = v6 ? fragmentFrame6(namespace, frame, limit) : fragmentFrame(frame, limit);
  while (fragment) {
    const next = fragment.next;
    fragment.next = null;
    send(to, fragment, destination, source, type);
    fragment = next;
  }
}

function send(to: Device, frame: Frame, destination: u64, source: u64, type: u32): void {
  ethernet.emit(push(frame, ethernet.LENGTH), destination, source, type);
  transmit(to, frame);
}
