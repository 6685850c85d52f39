// The conditions of a rule on an IPv6 packet's own headers (ip6_packet_match; xt_tcpudp, xt_addrtype). Addresses in the rule are
// numbers (tables/addresses6), their masks prefix lengths.

import { Frame } from "../frame";
import { Namespace } from "../stack/namespace";
import * as ipv6 from "../wire/ipv6";
import { addressType6, within } from "../tables/routes6";
import { DESTINATION, DESTINATION_TYPE, DPORT, PROTOCOL, Rule, SOURCE, SOURCE_TYPE, SPORT } from "../tables/rules";

/** `match` and `invert` are the rule's. */
export function headersMatch6(rule: Rule, namespace: Namespace, frame: Frame, match: u32, invert: u32): bool {
  const ip = frame.data;
  const source = ip + ipv6.AT_SOURCE;
  const destination = ip + ipv6.AT_DESTINATION;
  if (match & SOURCE && within(source, <usize>rule.source, rule.sourceMask) == ((invert & SOURCE) != 0)) return false;
  if (match & DESTINATION && within(destination, <usize>rule.destination, rule.destinationMask) == ((invert & DESTINATION) != 0)) return false;
  if (match & (PROTOCOL | SPORT | DPORT)) {
    if (!ipv6.walk(ip, frame.length)) return false;
    if (match & PROTOCOL && (ipv6.upper == <u32>rule.protocol) == ((invert & PROTOCOL) != 0)) return false;
  }
  if (match & (SPORT | DPORT)) {
    if (ipv6.fragmentAt && ipv6.fragmentWord(ip + ipv6.fragmentAt) & ipv6.OFFSET) return false;
    if (ipv6.upperAt + 4 > frame.length) return false;
    if (!rule.portsMatch(ip + ipv6.upperAt, match, invert)) return false;
  }
  if (match & SOURCE_TYPE && (addressType6(namespace, source, null) == <i32>rule.sourceType) == ((invert & SOURCE_TYPE) != 0)) return false;
  if (match & DESTINATION_TYPE && (addressType6(namespace, destination, null) == <i32>rule.destinationType) == ((invert & DESTINATION_TYPE) != 0)) return false;
  return true;
}
