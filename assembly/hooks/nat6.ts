// Network address translation of IPv6 packets, what is its own of it: the rewrite of a packet and of what an ICMPv6 error quotes
// (nf_nat_proto.c: nf_nat_ipv6_manip_pkt, nf_nat_icmpv6_reply_translation), and the addresses that MASQUERADE and REDIRECT find
// (nf_nat_masquerade.c, nf_nat_redirect.c). What is decided, and for how long, is nat's for both families.

import { CT_REPLY, Frame } from "../frame";
import { drop, Drop } from "../drops";
import { Device } from "../devices/device";
import { Namespace } from "../stack/namespace";
import * as icmpv6 from "../wire/icmpv6";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as tcp from "../wire/tcp";
import * as udp from "../wire/udp";
import { update128, update16 } from "../wire/checksum";
import { keepAt, keep } from "../tables/addresses6";
import {
  Connection, DST_NAT, SRC_NAT, destinationOf, dportOf, invertA, isIcmp, protocolOf, sourceOf, sportOf,
} from "../tables/connections";
import { chooseSource } from "../tables/interfaces6";
import { Hook } from "../tables/rules";
import { note, Note, NoteFamily, tracing } from "../capture/tap";
import { mayNotRedirect, portsOf } from "./nat";

/** The number of the source that routing would choose towards the packet's goal by that device; 0: none. */
export function masqueradeAs6(namespace: Namespace, frame: Frame, out: Device | null): u32 {
  return out ? chooseSource(namespace, frame.data + ipv6.AT_DESTINATION, out) : 0;
}

/** The number of the arrival device's first address; ::1 for what the namespace itself sends. */
export function redirectTo6(hook: Hook, device: Device | null): u32 {
  if (hook == Hook.OUTPUT) return keep(0, 0x0100000000000000);
  const first = device ? device.addresses6 : null;
  return first ? first.address : 0;
}

/** Source or destination becomes the address of number `address` and `port` (as loaded), and is noted for captures' comments. */
export function translate6(frame: Frame, source: bool, address: u32, protocol: u32, port: u32, kind: Note, rule: u32): void {
  const ip = frame.data;
  let before: u32 = 0;
  let beforePort: u32 = 0;
  if (tracing) {
    before = keepAt(ip + (source ? ipv6.AT_SOURCE : ipv6.AT_DESTINATION));
    if (portsOf(protocol) && ipv6.walk(ip, frame.length)) beforePort = load<u16>(ip + ipv6.upperAt + (source ? 0 : 2));
  }
  mangle6(ip, frame.length, source, <usize>address, protocol, port);
  note(frame, kind | NoteFamily.V6, rule, before, beforePort, address, portsOf(protocol) ? port : 0, null);
}

/**
 * Source or destination of the packet at `ip` becomes the address at `address` and `port` (as loaded), checksums updated by what
 * changed (RFC 1624): they cover the addresses. A UDP checksum of 0 stays 0; an ICMPv6 identifier is a port.
 */
export function mangle6(ip: usize, length: u32, source: bool, address: usize, protocol: u32, port: u32): void {
  const place = ip + (source ? ipv6.AT_SOURCE : ipv6.AT_DESTINATION);
  if (ipv6.walk(ip, length) && !(ipv6.fragmentAt && ipv6.fragmentWord(ip + ipv6.fragmentAt) & ipv6.OFFSET)) {
    const l4 = ip + ipv6.upperAt;
    const left = <i32>(length - ipv6.upperAt);
    const at: usize = source ? 0 : 2;
    if (protocol == ipv4.TCP && left >= 8) {
      const before = <u32>load<u16>(l4 + at);
      store<u16>(l4 + at, <u16>port);
      // A TCP header that an ICMPv6 error quotes may end before its checksum.
      if (left >= <i32>tcp.LENGTH) tcp.setCheck(l4, update16(update128(tcp.check(l4), place, address), before, port));
    } else if (protocol == ipv4.UDP && left >= <i32>udp.LENGTH) {
      const before = <u32>load<u16>(l4 + at);
      store<u16>(l4 + at, <u16>port);
      if (udp.check(l4)) udp.setCheck(l4, udp.neverZero(update16(update128(udp.check(l4), place, address), before, port)));
    } else if (protocol == ipv6.ICMP && left >= <i32>icmpv6.LENGTH) {
      let check = <u32>update128(icmpv6.check(l4), place, address);
      const type = icmpv6.type(l4);
      if (type == icmpv6.ECHO_REQUEST || type == icmpv6.ECHO_REPLY) {
        check = update16(check, icmpv6.identifier(l4), port);
        icmpv6.setIdentifier(l4, port);
      }
      icmpv6.setCheck(l4, check);
    }
  }
  ipv6.copyAddress(place, address);
}

/** An ICMPv6 error about a connection: the quoted packet is translated back, then the outer header. False: dropped. */
export function natError6(connection: Connection, frame: Frame, source: bool, place: Device | null): bool {
  const ip = frame.data;
  if (!ipv6.walk(ip, frame.length) || ipv6.upper != ipv6.ICMP) return true;
  const upperAt = ipv6.upperAt;
  const l4 = ip + upperAt;
  const length = frame.length - upperAt;
  const redirect = icmpv6.type(l4) == icmpv6.REDIRECT && mayNotRedirect(connection);
  if (redirect || !icmpv6.checksumOk(l4, length, ip)) {
    drop(frame, redirect ? Drop.NETFILTER_DROP : Drop.ICMP_CSUM, place);
    return false;
  }
  const reply = frame.connectionInfo >= CT_REPLY;
  if (!(connection.status & (source != reply ? SRC_NAT : DST_NAT))) return true;
  // The quoted packet went the other way: its other side is what this manipulation changed.
  const otherA = reply ? connection.originalA : connection.replyA;
  const otherB = reply ? connection.originalB : connection.replyB;
  const protocol = protocolOf(otherB);
  mangle6(l4 + icmpv6.LENGTH, length - icmpv6.LENGTH, !source, <usize>(source ? destinationOf(otherA) : sourceOf(otherA)), protocol,
    isIcmp(protocol) ? sportOf(otherB) : source ? dportOf(otherB) : sportOf(otherB));
  const a = invertA(otherA);
  const address = source ? sourceOf(a) : destinationOf(a);
  const to = ip + (source ? ipv6.AT_SOURCE : ipv6.AT_DESTINATION);
  const before = tracing ? keepAt(to) : 0;
  ipv6.copyAddress(to, <usize>address);
  icmpv6.seal(l4, length, ip + ipv6.AT_SOURCE, ip + ipv6.AT_DESTINATION);
  note(frame, (source ? Note.UN_DNAT : Note.UN_SNAT) | NoteFamily.V6, source ? connection.ruleDnat : connection.ruleSnat, before, 0, address, 0, null);
  return true;
}
