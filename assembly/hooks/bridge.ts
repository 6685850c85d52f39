// br_netfilter (net/bridge/br_netfilter_hooks.c): with bridge-nf-call-iptables, bridged IPv4 passes the IP hooks with the
// bridge as its device. PREROUTING where it comes in, FORWARD and POSTROUTING where it goes out by another port; TTL and
// MACs stay. Fragments are put together for conntrack and cut again at the way out.

import { BRIDGED_DNAT, BRIDGED_OUTPUT, Frame, PREROUTED, pull, push } from "../frame";
import { drop, Drop } from "../drops";
import { Device, transmit } from "../devices/device";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import { forward, postrouting, prerouting } from "./netfilter";
import { resetConntrack } from "./conntrack";
import { RouteType, lookUp } from "../tables/routes";
import { Nud, findNeighbour } from "../tables/neighbours";
import { checkHeader } from "../stack/input";
import { fitted, forget, recording } from "../flowtable/recorder";
import { age, resolveAndSend } from "../stack/neighbour";
import { defragment, fragmentFrame } from "../stack/fragments";

const DEFRAG_BRIDGE: u32 = 4;

/** The frame as it goes on, or null: it was dropped, or is a fragment that waits. */
export function bridgePrerouting(bridge: Device, port: Device, frame: Frame): Frame | null {
  const namespace = bridge.namespace;
  const destination = ethernet.destination(frame.data);
  const source = ethernet.source(frame.data);
  const ip = pull(frame, ethernet.LENGTH);
  const reason = checkHeader(ip, frame.length);
  if (reason != Drop.NONE) {
    drop(frame, reason, port);
    return null;
  }
  frame.length = ipv4.totalLength(ip);
  let packet = frame;
  if (namespace.conntrack && ipv4.isFragment(ip)) {
    const whole = defragment(namespace, frame, DEFRAG_BRIDGE);
    if (!whole) return null;
    packet = whole;
    packet.port = port;
  }
  const target = ipv4.destination(packet.data);
  if (!prerouting(namespace, packet, bridge)) return null;
  packet.flags |= PREROUTED;
  const address = ipv4.destination(packet.data);
  let mac = destination;
  if (address != target) {
    const hop = hopBehind(bridge, address);
    if (!hop) mac = bridge.mac;
    else {
      forget(packet);
      if (destination == bridge.mac) packet.flags |= BRIDGED_DNAT;
      mac = macOf(bridge, hop, packet.time);
      if (!mac) {
        packet.flags |= BRIDGED_OUTPUT;
        packet.portSource = source;
        resolveAndSend(packet, bridge, hop);
        return null;
      }
    }
  }
  ethernet.emit(push(packet, ethernet.LENGTH), mac, source, ethernet.TYPE_IPV4);
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

/** The MAC of a neighbour that is surely there (NUD_CONNECTED), or 0: it has to be asked for, or used with care. */
function macOf(bridge: Device, address: u32, time: u64): u64 {
  const neighbour = findNeighbour(bridge, address);
  if (!neighbour) return 0;
  age(neighbour, time);
  return neighbour.state == <u8>Nud.REACHABLE || neighbour.state == <u8>Nud.PERMANENT ? neighbour.mac : 0;
}

/** From one port to another (br_nf_forward_ip, br_nf_post_routing). */
export function bridgeForward(bridge: Device, to: Device, frame: Frame): void {
  const namespace = bridge.namespace;
  const destination = ethernet.destination(frame.data);
  const source = ethernet.source(frame.data);
  pull(frame, ethernet.LENGTH);
  if (!forward(namespace, frame, bridge, bridge)) return;
  if (!postrouting(namespace, frame, bridge, bridge)) return;
  resetConntrack(frame);
  const limit = frame.fragmentMax ? min(frame.fragmentMax, to.mtu) : to.mtu;
  if (recording) fitted(frame, frame.length, limit);
  if (frame.length <= limit) return send(to, frame, destination, source);
  let fragment = fragmentFrame(frame, limit);
  while (fragment) {
    const next = fragment.next;
    fragment.next = null;
    send(to, fragment, destination, source);
    fragment = next;
  }
}

function send(to: Device, frame: Frame, destination: u64, source: u64): void {
  ethernet.emit(push(frame, ethernet.LENGTH), destination, source, ethernet.TYPE_IPV4);
  transmit(to, frame);
}
