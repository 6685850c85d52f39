// Network address translation: set up once by the first packet of a connection, applied to every later one, inverted
// for replies, and carried into ICMP errors (net/netfilter/nf_nat_core.c, nf_nat_proto.c). The decisions are both families';
// how an IPv6 packet is rewritten stands in nat6.
//
// Each connection gets one decision a direction of manipulation: destination at PREROUTING or OUTPUT, source at INPUT or
// POSTROUTING. Where no rule matches, the decision is "as it is", which still picks another port when the tuple is taken.

import { CT_NEW, CT_RELATED, CT_REPLY, Frame } from "../frame";
import { drop, Drop } from "../drops";
import { below, random } from "../random";
import { Device } from "../devices/device";
import { Namespace } from "../stack/namespace";
import * as ipv4 from "../wire/ipv4";
import * as icmp from "../wire/icmp";
import * as tcp from "../wire/tcp";
import * as udp from "../wire/udp";
import { update16, update32 } from "../wire/checksum";
import {
  CONFIRMED, Connection, DST_NAT, DST_NAT_DONE, SRC_NAT, SRC_NAT_DONE, destinationOf, dportOf, invertA, invertB, isIcmp, keyA, keyB, overIpv6, protocolOf,
  sourceOf, sportOf, tupleTaken,
} from "../tables/connections";
import { Chain, Hook, Rule, Target } from "../tables/rules";
import { walk } from "./filter";
import { masqueradeAs6, natError6, redirectTo6, translate6 } from "./nat6";
import { forget as forgetFlow, forgo, recording } from "../flowtable/recorder";
import { chosen, decided, decides } from "../flowtable/opening-recorder";
import { note, Note } from "../capture/tap";

/** How many times a free port was searched for because the wanted tuple was taken; reports show it. */
export let portSearches: u32 = 0;

/** The last target found no free tuple. */
let exhausted: bool = false;

// @ts-ignore: decorator
@inline
function changesSource(hook: Hook): bool { return hook == Hook.POSTROUTING || hook == Hook.INPUT; }

/** False: the frame was dropped (nf_nat_inet_fn). */
export function natHook(namespace: Namespace, frame: Frame, hook: Hook, chain: Chain | null, device: Device | null, out: Device | null): bool {
  const connection = frame.connection!;
  const info = frame.connectionInfo;
  const source = changesSource(hook);
  if (info == CT_RELATED || info == CT_RELATED + CT_REPLY) {
    if (overIpv6(connection.originalB)) return natError6(connection, frame, source, device ? device : out);
    if (ipv4.protocol(frame.data) != ipv4.ICMP) return true;
    if (mayNotRedirect(connection) && icmp.type(frame.data + ipv4.headerLength(frame.data)) == icmp.REDIRECT) {
      drop(frame, Drop.NETFILTER_DROP, device ? device : out);
      return false;
    }
    translateError(connection, frame, source);
    return true;
  }
  if (info == CT_NEW) {
    if (!(connection.status & (source ? SRC_NAT_DONE : DST_NAT_DONE))) {
      exhausted = false;
      if (recording) decides(frame, source);
      if (chain && !walk(chain, namespace, frame, hook, device, out)) {
        drop(frame, exhausted ? Drop.NAT_NO_FREE_TUPLE : Drop.NETFILTER_DROP, device ? device : out);
        return false;
      }
      // No rule has decided: keep the addresses (nf_nat_alloc_null_binding).
      if (!(connection.status & (source ? SRC_NAT_DONE : DST_NAT_DONE))) {
        if (!setUp(connection, source, kept(connection, source), 0, 0, frame.time)) {
          drop(frame, Drop.NAT_NO_FREE_TUPLE, device ? device : out);
          return false;
        }
      }
      if (recording) decided();
    }
  }
  translate(connection, frame, source);
  return true;
}

/** A redirect would make its receiver bypass the translation; before NAT is settled, there may be one. */
export function mayNotRedirect(connection: Connection): bool {
  const settled = (connection.status & (SRC_NAT_DONE | DST_NAT_DONE)) == (SRC_NAT_DONE | DST_NAT_DONE);
  return !settled || (connection.status & (SRC_NAT | DST_NAT)) != 0;
}

/** A target of the nat table decides; what cannot be had leaves the packet to the null binding's drop. True: go on. */
export function natTarget(rule: Rule, namespace: Namespace, frame: Frame, hook: Hook, device: Device | null, out: Device | null): bool {
  const connection = frame.connection;
  if (!connection) return true;
  const source = changesSource(hook);
  const v6 = overIpv6(connection.originalB);
  let address = rule.toAddress;
  switch (<i32>rule.target) {
    case Target.REDIRECT:
      // To the arrival device's own address; for what the namespace itself sends, to 127.0.0.1 (nf_nat_redirect_ipv4).
      if (v6) address = redirectTo6(hook, device);
      else address = hook == Hook.OUTPUT ? 0x0100007f : device ? device.address : 0;
      break;
    case Target.MASQUERADE:
      if (v6) address = masqueradeAs6(namespace, frame, out);
      else address = out ? out.address : 0;
      break;
    default: break;
  }
  if (rule.target != Target.DNAT && rule.target != Target.SNAT && !address) return false;
  if (recording && !address) forgetFlow(frame);
  if (!address) address = kept(connection, source);
  nameRule(connection, source, rule.id);
  exhausted = !setUp(connection, source, address, rule.toPortMin, rule.toPortMax, frame.time);
  if (recording) chosen(frame, source, rule.id, address, rule.toPortMin, rule.toPortMax);
  return !exhausted;
}

/** The address that stays where none is given. */
// @ts-ignore: decorator
@inline
function kept(connection: Connection, source: bool): u32 { return source ? destinationOf(connection.replyA) : sourceOf(connection.replyA); }

/** What a rule, or 0 for none, has decided before for another connection on this way. False: a port would have to be searched for. */
export function decideAgain(connection: Connection, source: bool, rule: u32, given: u32, portMin: u32, portMax: u32, time: u64): bool {
  const address = rule ? given : kept(connection, source);
  if (rule) nameRule(connection, source, rule);
  const a = invertA(connection.replyA);
  const b = invertB(connection.replyB);
  if (!asWanted(connection, a, b, source, address, portMin, portMax, time)) return false;
  settle(connection, source, a, b);
  return true;
}

// @ts-ignore: decorator
@inline
function nameRule(connection: Connection, source: bool, rule: u32): void {
  if (source) connection.ruleSnat = rule;
  else connection.ruleDnat = rule;
}

/** Decide this manipulation for the whole connection (nf_nat_setup_info). False: no free tuple. */
function setUp(connection: Connection, source: bool, address: u32, portMin: u32, portMax: u32, time: u64): bool {
  const a = invertA(connection.replyA);
  const b = invertB(connection.replyB);
  if (!asWanted(connection, a, b, source, address, portMin, portMax, time) && !searched(connection, b, source, portMin, portMax, time)) return false;
  settle(connection, source, a, b);
  return true;
}

/** The tuple was (a, b) and is `newA`, `newB` from now on. */
// @ts-ignore: decorator
@inline
function settle(connection: Connection, source: bool, a: u64, b: u64): void {
  if (newA != a || newB != b) {
    connection.replyA = invertA(newA);
    connection.replyB = invertB(newB);
    connection.status |= source ? SRC_NAT : DST_NAT;
  }
  connection.status |= source ? SRC_NAT_DONE : DST_NAT_DONE;
}

let newA: u64 = 0;
let newB: u64 = 0;

// @ts-ignore: decorator
@inline
function taken(connection: Connection, a: u64, b: u64, time: u64): bool {
  return tupleTaken(invertA(a), invertB(b), connection, time);
}

/** The tuple as wanted, its port kept where that is free (get_unique_tuple). False: another port is to be searched for. */
function asWanted(connection: Connection, a: u64, b: u64, source: bool, address: u32, portMin: u32, portMax: u32, time: u64): bool {
  newA = source ? keyA(address, destinationOf(a)) : keyA(sourceOf(a), address);
  newB = b;
  const protocol = protocolOf(b);
  if (!portMin) {
    // A destination's port stays, taken or not: the source port gives way at POSTROUTING, or the confirmation refuses.
    return (!source && portsOf(protocol)) || !taken(connection, newA, newB, time);
  }
  if (portMin == portMax) {
    setPort(source, protocol, portMin);
    return true;
  }
  const host = hostPort(b, source);
  return host >= portMin && host <= portMax && !taken(connection, newA, newB, time);
}

/** The port that this manipulation may change, host order. */
// @ts-ignore: decorator
@inline
function hostPort(b: u64, source: bool): u32 {
  return <u32>bswap<u16>(<u16>(source || isIcmp(protocolOf(b)) ? sportOf(b) : dportOf(b)));
}

/** A free port for that tuple (nf_nat_l4proto_unique_tuple). */
function searched(connection: Connection, b: u64, source: bool, portMin: u32, portMax: u32, time: u64): bool {
  const protocol = protocolOf(b);
  if (!portsOf(protocol) && !isIcmp(protocol)) return false;
  forgo();
  let lowest = portMin;
  let range: u32;
  if (portMin) range = portMax - portMin + 1;
  else if (isIcmp(protocol)) {
    lowest = 0;
    range = 65536;
  } else {
    const host = hostPort(b, source);
    if (host < 512) { lowest = 1; range = 511; }
    else if (host < 1024) { lowest = 600; range = 424; }
    else { lowest = 1024; range = 64512; }
  }
  portSearches++;
  let offset = <u32>random();
  let attempts: u32 = min<u32>(range, 128);
  while (true) {
    for (let i: u32 = 0; i < attempts; i++, offset++) {
      setPort(source, protocol, lowest + (offset % range));
      if (!taken(connection, newA, newB, time)) return true;
    }
    if (attempts >= range || attempts < 16) return false;
    attempts >>>= 1;
    offset = below(0xffffffff);
  }
}

/** `port` in host order. */
function setPort(source: bool, protocol: u32, port: u32): void {
  const wire = <u64>bswap<u16>(<u16>port);
  if (source || isIcmp(protocol)) newB = (newB & ~(<u64>0xffff)) | wire;
  else newB = (newB & ~(<u64>0xffff0000)) | (wire << 16);
}

/** Apply the decision to this packet, if it concerns its direction at this hook (nf_nat_packet). */
function translate(connection: Connection, frame: Frame, source: bool): void {
  const reply = frame.connectionInfo >= CT_REPLY;
  const bit = source != reply ? SRC_NAT : DST_NAT;
  if (!(connection.status & bit)) return;
  // What the packet must look like: the other direction's tuple, inverted.
  const a = invertA(reply ? connection.originalA : connection.replyA);
  const b = invertB(reply ? connection.originalB : connection.replyB);
  const ip = frame.data;
  const address = source ? sourceOf(a) : destinationOf(a);
  const protocol = protocolOf(b);
  const port = isIcmp(protocol) || source ? sportOf(b) : dportOf(b);
  const kind = source ? (reply ? Note.UN_DNAT : Note.SNAT) : reply ? Note.UN_SNAT : Note.DNAT;
  const rule = source != reply ? connection.ruleSnat : connection.ruleDnat;
  if (overIpv6(b)) return translate6(frame, source, address, protocol, port, kind, rule);
  const before = source ? ipv4.source(ip) : ipv4.destination(ip);
  const l4 = ip + ipv4.headerLength(ip);
  const beforePort: u32 = portsOf(protocol) ? (source ? load<u16>(l4) : load<u16>(l4, 2)) : 0;
  mangle(ip, frame.length, source, address, protocol, port);
  note(frame, kind, rule, before, beforePort, address, portsOf(protocol) ? port : 0, null);
}

// @ts-ignore: decorator
@inline
export function portsOf(protocol: u32): bool { return protocol == ipv4.TCP || protocol == ipv4.UDP; }

/**
 * Source or destination of the packet at `ip` becomes `address` and `port` (as loaded), checksums updated by what
 * changed (RFC 1624). A UDP checksum of 0 stays 0; an ICMP identifier is a port.
 */
export function mangle(ip: usize, length: u32, source: bool, address: u32, protocol: u32, port: u32): void {
  const before = source ? ipv4.source(ip) : ipv4.destination(ip);
  const header = ipv4.headerLength(ip);
  const l4 = ip + header;
  const first = (ipv4.flagsAndOffset(ip) & ipv4.OFFSET) == 0;
  if (before != address) {
    ipv4.setCheck(ip, update32(ipv4.check(ip), before, address));
    if (source) ipv4.setSource(ip, address);
    else ipv4.setDestination(ip, address);
  }
  if (!first) return;
  if (protocol == ipv4.TCP && length >= header + 8) {
    const at: usize = source ? 0 : 2;
    const beforePort = <u32>load<u16>(l4 + at);
    store<u16>(l4 + at, <u16>port);
    // A TCP header that an ICMP error quotes may end before its checksum.
    if (length >= header + 18) tcp.setCheck(l4, update16(update32(tcp.check(l4), before, address), beforePort, port));
  } else if (protocol == ipv4.UDP && length >= header + 8) {
    const at: usize = source ? 0 : 2;
    const beforePort = <u32>load<u16>(l4 + at);
    store<u16>(l4 + at, <u16>port);
    if (udp.check(l4)) udp.setCheck(l4, udp.neverZero(update16(update32(udp.check(l4), before, address), beforePort, port)));
  } else if (protocol == ipv4.ICMP && length >= header + 8 && isQuery(icmp.type(l4))) {
    const beforeId = icmp.identifier(l4);
    store<u16>(l4, update16(icmp.check(l4), beforeId, port), 2);
    store<u16>(l4, <u16>port, 4);
  }
}

/** Types that carry an identifier (icmp_manip_pkt). */
function isQuery(type: u32): bool {
  return type == 0 || type == 8 || (type >= 13 && type <= 18);
}

/** An ICMP error: the quoted packet is translated back, then the outer header (nf_nat_icmp_reply_translation). */
function translateError(connection: Connection, frame: Frame, source: bool): void {
  const ip = frame.data;
  const header = ipv4.headerLength(ip);
  const l4 = ip + header;
  const length = ipv4.totalLength(ip) - header;
  const reply = frame.connectionInfo >= CT_REPLY;
  const bit = source != reply ? SRC_NAT : DST_NAT;
  if (!(connection.status & bit)) return;
  const inner = l4 + icmp.LENGTH;
  const innerLength = length - icmp.LENGTH;
  // The quoted packet went the other way: its other side is what this manipulation changed.
  const otherA = reply ? connection.originalA : connection.replyA;
  const otherB = reply ? connection.originalB : connection.replyB;
  const protocol = protocolOf(otherB);
  mangle(inner, innerLength, !source, source ? destinationOf(otherA) : sourceOf(otherA), protocol,
    protocol == ipv4.ICMP ? sportOf(otherB) : source ? dportOf(otherB) : sportOf(otherB));
  icmp.seal(l4, length);
  const a = invertA(otherA);
  const address = source ? sourceOf(a) : destinationOf(a);
  const before = source ? ipv4.source(ip) : ipv4.destination(ip);
  if (before != address) {
    ipv4.setCheck(ip, update32(ipv4.check(ip), before, address));
    if (source) ipv4.setSource(ip, address);
    else ipv4.setDestination(ip, address);
  }
  note(frame, source ? Note.UN_DNAT : Note.UN_SNAT, source ? connection.ruleDnat : connection.ruleSnat, before, 0, address, 0, null);
}

/** IPVS sends the connection to its destination: the reply will come from there (ip_vs_update_conntrack). */
export function alterReply(connection: Connection, address: u32, port: u32): void {
  if (connection.status & CONFIRMED) return;
  connection.replyA = keyA(address, destinationOf(connection.replyA));
  connection.replyB = keyB(connection.namespace.id, protocolOf(connection.replyB), port, dportOf(connection.replyB));
}

