// Out of the IP layer: routing and OUTPUT for what this namespace sends (ip_local_out), POSTROUTING, fragmentation to
// the MTU, and the neighbour (ip_output, ip_finish_output2).

import { Frame, LOCAL, push } from "../frame";
import { drop, Drop } from "../drops";
import { Device, Kind, transmit } from "../devices/device";
import { Namespace } from "./namespace";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import { Route, RouteType, lookUp, lookUpBy } from "../tables/routes";
import { localOutput, postrouting } from "../hooks/netfilter";
import { resolveAndSend } from "./neighbour";
import { defragment, fragmentFrame } from "./fragments";
import { sendFragmentationNeeded } from "./icmp";
import { resetConntrack } from "../hooks/conntrack";
import { outboundPolicy, transform, withoutState } from "../hooks/xfrm";
import { fitted, isOutside, recording } from "../flowtable/recorder";
import { differs } from "../flowtable/opening-recorder";
import { keyedHash, random } from "../random";
import { arena } from "../memory";
import { note, Note } from "../capture/tap";

const DEFRAG_CONNTRACK_OUT: u32 = 3;

/** A whole IPv4 packet of this namespace's own at `frame.data`, checksums set. Takes the frame over. */
export function output(namespace: Namespace, frame: Frame): void {
  const ip = frame.data;
  frame.flags |= LOCAL;
  const route = lookUp(namespace, ipv4.destination(ip));
  if (!route || route.type == <u8>RouteType.UNREACHABLE) return drop(frame, Drop.IP_OUT_NO_ROUTE, namespace.loopback);
  if (namespace.conntrack && ipv4.isFragment(ip)) {
    const whole = defragment(namespace, frame, DEFRAG_CONNTRACK_OUT);
    if (whole) send(namespace, whole, route);
    return;
  }
  send(namespace, frame, route);
}

/** What IPVS sends to a destination: OUTPUT and POSTROUTING see it as the namespace's own (ip_vs_nat_send_or_cont). */
export function outputBalanced(namespace: Namespace, frame: Frame, route: Route): void {
  send(namespace, frame, route);
}

/**
 * A packet that an ipvlan hands to the namespace below it (ipvlan_process_v4_outbound): it leaves by `device`, by a route of that
 * device or else as if its goal were on the link; what is for an address of the device itself goes over lo.
 */
export function outputBy(namespace: Namespace, frame: Frame, device: Device): void {
  frame.flags |= LOCAL;
  const destination = ipv4.destination(frame.data);
  const route = lookUpBy(namespace, destination, device);
  if (route && route.type != <u8>RouteType.UNICAST && route.type != <u8>RouteType.LOCAL) return drop(frame, Drop.IP_OUT_NO_ROUTE, device);
  if (route) return send(namespace, frame, route);
  if (!localOutput(namespace, frame, device)) return;
  frame.nextHop = ipv4.destination(frame.data);
  frame.routeType = <u8>RouteType.UNICAST;
  finishOutput(namespace, frame, null, device);
}

function send(namespace: Namespace, frame: Frame, route: Route): void {
  let out = deviceOf(namespace, route);
  const destination = ipv4.destination(frame.data);
  const source = ipv4.source(frame.data);
  const mark = frame.mark;
  if (!localOutput(namespace, frame, out)) return;
  let chosen = route;
  const after = ipv4.destination(frame.data);
  if (after != destination || ipv4.source(frame.data) != source || frame.mark != mark) {
    // A hook changed what routing had looked at (ip_route_me_harder).
    const again = lookUp(namespace, after);
    if (!again) return drop(frame, Drop.IP_OUT_NO_ROUTE, out);
    chosen = again;
    out = deviceOf(namespace, again);
  }
  if (recording && namespace.policies && !isOutside()) differs(frame);
  if (namespace.policies && withoutState(namespace, frame, out)) return;
  // What is for everybody leaves by the device: no gateway (__mkroute_output forgets the fib_info).
  const everybody = after == 0xffffffff || (after & 0xf0) == 0xe0;
  frame.nextHop = chosen.gateway && !everybody ? chosen.gateway : after;
  frame.routeType = chosen.type;
  finishOutput(namespace, frame, null, out);
}

/** What came out of an outbound policy: OUTPUT and POSTROUTING see it once more, its way stays (xfrm_output_resume). */
export function outputTransformed(namespace: Namespace, frame: Frame, out: Device): void {
  if (localOutput(namespace, frame, out)) finishOutput(namespace, frame, null, out);
}

/** What is for an own address goes over lo. */
// @ts-ignore: decorator
@inline
function deviceOf(namespace: Namespace, route: Route): Device {
  return route.type == <u8>RouteType.LOCAL ? namespace.loopback : route.device;
}

/** POSTROUTING, fragments, neighbour. `device` is where it came in, or null. */
export function finishOutput(namespace: Namespace, frame: Frame, device: Device | null, out: Device): void {
  if (!postrouting(namespace, frame, device, out)) return;
  if (namespace.policies) {
    // By addresses, protocol, port and mark: a tunnel's are those of its way.
    if (recording && !isOutside()) differs(frame);
    const policy = outboundPolicy(namespace, frame);
    if (policy) return transform(namespace, frame, policy, out);
  }
  const loopback = out.kind == <u8>Kind.LOOPBACK;
  // From here on the packet may wait, and its connection may end meanwhile; over lo it comes back with it.
  if (!loopback) resetConntrack(frame);
  frame.out = out;
  if (recording) fitted(frame, frame.length, out.mtu);
  if (frame.length <= out.mtu && !frame.fragmentMax) return toNeighbour(frame, out);
  const limit = frame.fragmentMax ? min(out.mtu, frame.fragmentMax) : out.mtu;
  if (frame.length <= limit) return toNeighbour(frame, out);
  if (ipv4.flagsAndOffset(frame.data) & ipv4.DF && (!frame.fragmentMax || frame.fragmentMax > out.mtu)) {
    sendFragmentationNeeded(namespace, frame, out.mtu);
    return drop(frame, Drop.PKT_TOO_BIG, out);
  }
  const whole = frame.length;
  let fragment = fragmentFrame(frame, limit);
  while (fragment) {
    const next = fragment.next;
    fragment.next = null;
    note(fragment, Note.FRAGMENT, 0, whole, 0, limit, 0, out);
    toNeighbour(fragment, out);
    fragment = next;
  }
}

function toNeighbour(frame: Frame, out: Device): void {
  if (out.kind == <u8>Kind.LOOPBACK) return sendTo(frame, out, 0);
  if (frame.routeType == <u8>RouteType.BROADCAST || frame.nextHop == 0xffffffff) return sendTo(frame, out, ethernet.BROADCAST);
  const hop = frame.nextHop;
  // Multicast maps to 01:00:5e and the low 23 bits (RFC 1112, section 6.4).
  if ((hop & 0xf0) == 0xe0) return sendTo(frame, out, 0x5e0001 | (<u64>(hop & 0xffff7f00) << 16));
  resolveAndSend(frame, out, hop);
}

/** Push the Ethernet header and go. */
export function sendTo(frame: Frame, out: Device, mac: u64): void {
  ethernet.emit(push(frame, ethernet.LENGTH), mac, out.mac, ethernet.TYPE_IPV4);
  transmit(out, frame);
}

/** The address that a packet to `destination` is sent from, or 0 without a route (fib_select_path, inet_select_addr). */
export function sourceFor(namespace: Namespace, destination: u32): u32 {
  const route = lookUp(namespace, destination);
  if (!route) return 0;
  // To itself: 127.0.0.0/8 says that it is asked from 127.0.0.1.
  if (route.type == <u8>RouteType.LOCAL) return route.source ? route.source : destination;
  return route.source ? route.source : route.device.address;
}

/** The MTU of the way to `destination`; 0 without a route. */
export function pathMtu(namespace: Namespace, destination: u32): u32 {
  const route = lookUp(namespace, destination);
  return route ? deviceOf(namespace, route).mtu : 0;
}

const BUCKETS: u32 = 2048;
const ids = arena(BUCKETS * 2);
let drawn = false;

/** Where `nextId` counts. */
export function idBucket(namespace: Namespace, source: u32, destination: u32, protocol: u32): usize {
  const bucket = keyedHash(<u64>source | (<u64>destination << 32), <u64>protocol | (<u64>namespace.id << 8)) & (BUCKETS - 1);
  return ids + 2 * <usize>bucket;
}

/** The id after the one at `at`, an `idBucket`: never 0. */
// @ts-ignore: decorator
@inline
export function nextIdAt(at: usize): u32 {
  const id = <u16>(load<u16>(at) + 1);
  store<u16>(at, id ? id : 1);
  return id ? id : 1;
}

/** IP id for packets without a socket's own: one counter a (source, destination, protocol) bucket (__ip_select_ident). */
export function nextId(namespace: Namespace, source: u32, destination: u32, protocol: u32): u32 {
  if (!drawn) {
    drawn = true;
    for (let i: u32 = 0; i < BUCKETS; i++) store<u16>(ids + 2 * <usize>i, <u16>random());
  }
  return nextIdAt(idBucket(namespace, source, destination, protocol));
}
