// Out of the IPv6 layer: routing and OUTPUT for what this namespace sends (ip6_local_out), POSTROUTING, fragments where
// the sender may make them, and the neighbour (net/ipv6/ip6_output.c: ip6_output, ip6_finish_output2).

import { Frame, LOCAL, WHOLE, push } from "../frame";
import { drop, Drop } from "../drops";
import { Device, Kind, transmit } from "../devices/device";
import { Namespace } from "./namespace";
import * as ethernet from "../wire/ethernet";
import * as ipv6 from "../wire/ipv6";
import { keepAt, numberAt } from "../tables/addresses6";
import { chooseSource } from "../tables/interfaces6";
import { Route6, Route6Type, lookUp6 } from "../tables/routes6";
import { toldMtu } from "../tables/paths6";
import { localOutput6, postrouting6 } from "../hooks/netfilter6";
import { resetConntrack } from "../hooks/conntrack";
import { outboundPolicy6, transform, withoutState } from "../hooks/xfrm";
import { resolveAndSend6 } from "./neighbour";
import { fragmentFrame6 } from "./fragments6";
import { sendTooBig } from "./icmp6";
import { keyedHash } from "../random";
import { dependsOnOthers } from "../load/ways";
import { fitted, forget, recording } from "../flowtable/recorder";
import { differs } from "../flowtable/opening-recorder";
import { note, Note } from "../capture/tap";

/** A hop limit of its own makes: net.ipv6.conf.all.hop_limit. */
export const HOP_LIMIT: u32 = 64;

/**
 * A whole IPv6 packet of this namespace's own at `frame.data`, checksums set. Takes the frame over. `device`: where it is to
 * leave, for a destination that means nothing without (a group, a link-local address), or null.
 */
export function output6(namespace: Namespace, frame: Frame, device: Device | null): void {
  const ip = frame.data;
  frame.flags |= LOCAL;
  const route = lookUp6(namespace, ip + ipv6.AT_DESTINATION, device);
  if (!route || route.type == <u8>Route6Type.UNREACHABLE) return drop(frame, Drop.IP_OUT_NO_ROUTE, namespace.loopback);
  const destination = ip + ipv6.AT_DESTINATION;
  const high = load<u64>(destination);
  const low = load<u64>(destination, 8);
  const mark = frame.mark;
  const whole = localOutput6(namespace, frame, deviceOf(namespace, route));
  if (!whole) return;
  let chosen = route;
  const after = whole.data + ipv6.AT_DESTINATION;
  if (load<u64>(after) != high || load<u64>(after, 8) != low || whole.mark != mark) {
    // A hook changed what routing had looked at (ip6_route_me_harder).
    const again = lookUp6(namespace, after, device);
    if (!again) return drop(whole, Drop.IP_OUT_NO_ROUTE, namespace.loopback);
    chosen = again;
  }
  const out = deviceOf(namespace, chosen);
  if (namespace.policies && withoutState(namespace, whole, out)) return;
  if (!setNextHop(whole, chosen)) return drop(whole, Drop.NOMEM, namespace.loopback);
  finishOutput6(namespace, whole, null, out);
}

/** What came out of an outbound policy: OUTPUT and POSTROUTING see it once more, its way stays (xfrm_output_resume). */
export function outputTransformed6(namespace: Namespace, frame: Frame, out: Device): void {
  const whole = localOutput6(namespace, frame, out);
  if (!whole) return;
  // It has waited, and addresses that no table names are forgotten meanwhile: the next hop is asked for anew.
  const route = lookUp6(namespace, whole.data + ipv6.AT_DESTINATION, out);
  if (!route || !setNextHop(whole, route)) return drop(whole, Drop.IP_OUT_NO_ROUTE, out);
  finishOutput6(namespace, whole, null, out);
}

/** What is for an own address goes over lo. */
// @ts-ignore: decorator
@inline
export function deviceOf(namespace: Namespace, route: Route6): Device {
  return route.type == <u8>Route6Type.LOCAL || route.type == <u8>Route6Type.ANYCAST ? namespace.loopback : route.device;
}

/** Where the frame goes next, by that route: the number of an address. False: no memory for it. */
export function setNextHop(frame: Frame, route: Route6): bool {
  const destination = frame.data + ipv6.AT_DESTINATION;
  frame.nextHop = ipv6.isMulticast(destination) ? 0 : route.gateway ? route.gateway : keepAt(destination);
  return frame.nextHop != 0 || ipv6.isMulticast(destination);
}

/** POSTROUTING, fragments, neighbour. `device` is where it came in, or null: then the packet is ours. */
export function finishOutput6(namespace: Namespace, frame: Frame, device: Device | null, out: Device): void {
  if (!postrouting6(namespace, frame, device, out)) return;
  if (namespace.policies) {
    // By addresses, protocol, port and mark.
    if (recording) differs(frame);
    const policy = outboundPolicy6(namespace, frame);
    if (policy) forget(frame);
    if (policy) return transform(namespace, frame, policy, out);
  }
  // What a router has told is known of a destination, and gone after a time.
  if (recording && !device) forget(frame);
  // From here on the packet may wait, and its connection may end meanwhile; over lo it comes back with it.
  if (out.kind != <u8>Kind.LOOPBACK) resetConntrack(frame);
  frame.out = out;
  const mtu = device ? out.mtu : min(out.mtu, mtuTo(namespace, frame.data + ipv6.AT_DESTINATION, out, frame.time));
  // Whoever comes first after that learns it anew.
  if (mtu < out.mtu) dependsOnOthers(frame);
  // What came in fragments goes in fragments of that size, however small (ip6_fragment's fast path keeps them as they were).
  const limit = frame.fragmentMax ? min(mtu, frame.fragmentMax) : mtu;
  if (recording) fitted(frame, frame.length, limit);
  if (frame.length <= limit) return toNeighbour(frame, out);
  forget(frame);
  if (frame.fragmentMax > mtu || frame.flags & WHOLE) {
    // It came in fragments that do not fit, or is not to be cut: who sent it is told.
    sendTooBig(namespace, frame, device ? device : out, mtu);
    return drop(frame, Drop.PKT_TOO_BIG, out);
  }
  const whole = frame.length;
  const hop = frame.nextHop;
  let fragment = fragmentFrame6(namespace, frame, limit);
  while (fragment) {
    const next = fragment.next;
    fragment.next = null;
    fragment.nextHop = hop;
    note(fragment, Note.FRAGMENT, 0, whole, 0, limit, 0, out);
    toNeighbour(fragment, out);
    fragment = next;
  }
}

/** The MTU of the way to the address at `destination`: the device's, or what a router told. */
export function mtuTo(namespace: Namespace, destination: usize, out: Device, time: u64): u32 {
  const told = toldMtu(namespace, numberAt(destination), time);
  return told && told < out.mtu ? told : out.mtu;
}

function toNeighbour(frame: Frame, out: Device): void {
  if (out.kind == <u8>Kind.LOOPBACK) return sendTo6(frame, out, 0);
  const destination = frame.data + ipv6.AT_DESTINATION;
  if (ipv6.isMulticast(destination)) return sendTo6(frame, out, ipv6.groupMac(destination));
  resolveAndSend6(frame, out, frame.nextHop);
}

/** Push the Ethernet header and go. */
export function sendTo6(frame: Frame, out: Device, mac: u64): void {
  ethernet.emit(push(frame, ethernet.LENGTH), mac, out.mac, ethernet.TYPE_IPV6);
  transmit(out, frame);
}

/** Number of the address that a packet to that of number `destination` is sent from, or 0 without a route. */
export function sourceFor6(namespace: Namespace, destination: u32, device: Device | null): u32 {
  const at = <usize>destination;
  const route = lookUp6(namespace, at, device);
  if (!route || route.type == <u8>Route6Type.UNREACHABLE) return 0;
  if (route.type == <u8>Route6Type.LOCAL) return destination;
  return route.source ? route.source : chooseSource(namespace, at, route.device);
}

/** The MTU of the way to the address of that number; 0 without a route. */
export function pathMtu6(namespace: Namespace, destination: u32, time: u64): u32 {
  const route = lookUp6(namespace, <usize>destination, null);
  if (!route) return 0;
  const out = deviceOf(namespace, route);
  const told = toldMtu(namespace, destination, time);
  return told && told < out.mtu ? told : out.mtu;
}

/** The flow label of packets without a socket's own hash: keyed, one a flow (ip6_make_flowlabel, net.ipv6.auto_flowlabels 1). */
export function flowLabelFor(namespace: Namespace, sourceAt: usize, destinationAt: usize, protocol: u32, ports: u32): u32 {
  const x = load<u64>(sourceAt) ^ rotl<u64>(load<u64>(sourceAt, 8), 17) ^ rotl<u64>(load<u64>(destinationAt), 31) ^ rotl<u64>(load<u64>(destinationAt, 8), 47);
  return keyedHash(x, <u64>ports | (<u64>protocol << 32) | (<u64>namespace.id << 40)) & 0xfffff;
}
