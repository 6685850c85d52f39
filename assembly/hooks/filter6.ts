// The conditions of a rule on an IPv6 packet's own headers (ip6_packet_match; xt_tcpudp, xt_addrtype). Addresses in the rule are
// numbers (tables/addresses6), their masks prefix lengths.

import { Frame } from "../frame";
import { Namespace } from "../stack/namespace";
import * as ipv6 from "../wire/ipv6";
import { numberAt } from "../tables/addresses6";
import { addressType6, within } from "../tables/routes6";
import { DESTINATION, DESTINATION_TYPE, DPORT, PROTOCOL, Rule, SOURCE, SOURCE_TYPE, SPORT } from "../tables/rules";
import { recording } from "../flowtable/recorder";
import { asksSender } from "../flowtable/opening-recorder";
import { asksEnds } from "../flowtable/precedent-recorder";
import { RECEIVER, SENDER } from "./filter";

/** `match` and `invert` are the rule's. */
export function headersMatch6(rule: Rule, namespace: Namespace, frame: Frame, match: u32, invert: u32): bool {
  const ip = frame.data;
  let ports: u32 = 0;
  if (match & (PROTOCOL | SPORT | DPORT)) {
    if (!ipv6.walk(ip, frame.length)) return false;
    if (match & PROTOCOL && (ipv6.upper == <u32>rule.protocol) == ((invert & PROTOCOL) != 0)) return false;
  }
  if (match & (SPORT | DPORT)) {
    if (ipv6.fragmentAt && ipv6.fragmentWord(ip + ipv6.fragmentAt) & ipv6.OFFSET) return false;
    if (ipv6.upperAt + 4 > frame.length) return false;
    ports = load<u32>(ip + ipv6.upperAt);
  }
  if (recording && match & (SENDER | RECEIVER)) asksEnds(frame, namespace, ip, rule, ports);
  if (match & RECEIVER && !endMatches6(rule, namespace, ip + ipv6.AT_DESTINATION, ports >>> 16, false)) return false;
  // Of what concerns the sender last: what another's packet would not be asked either is no condition of the way's.
  if (recording && match & SENDER) asksSender(frame, namespace, numberAt(ip + ipv6.AT_SOURCE), rule);
  return !(match & SENDER) || endMatches6(rule, namespace, ip + ipv6.AT_SOURCE, ports & 0xffff, true);
}

/** Does an end of a packet, `sender` or receiver, with the address at `at` and this port (as loaded) match? */
export function endMatches6(rule: Rule, namespace: Namespace, at: usize, port: u32, sender: bool): bool {
  const match = rule.match;
  const invert = rule.invert;
  if (sender) {
    if (match & SOURCE && within(at, <usize>rule.source, rule.sourceMask) == ((invert & SOURCE) != 0)) return false;
    if (match & SPORT && !rule.sportMatches(port, invert)) return false;
    return !(match & SOURCE_TYPE) || (addressType6(namespace, at, null) == <i32>rule.sourceType) != ((invert & SOURCE_TYPE) != 0);
  }
  if (match & DESTINATION && within(at, <usize>rule.destination, rule.destinationMask) == ((invert & DESTINATION) != 0)) return false;
  if (match & DPORT && !rule.dportMatches(port, invert)) return false;
  return !(match & DESTINATION_TYPE) || (addressType6(namespace, at, null) == <i32>rule.destinationType) != ((invert & DESTINATION_TYPE) != 0);
}
