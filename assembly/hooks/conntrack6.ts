// Connection tracking of IPv6 packets at PREROUTING and OUTPUT: what the headers say (nf_conntrack_proto_icmpv6.c,
// ipv6_skip_exthdr); the connections are conntrack's, shared by both families.

import { CT_INVALID, CT_UNTRACKED, Frame } from "../frame";
import { drop, Drop } from "../drops";
import { Device } from "../devices/device";
import { Namespace } from "../stack/namespace";
import * as icmpv6 from "../wire/icmpv6";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as tcp from "../wire/tcp";
import * as udp from "../wire/udp";
import { keepAt, numberAt } from "../tables/addresses6";
import { keyA, keyB } from "../tables/connections";
import { Hook } from "../tables/rules";
import { follow, relateTo, setTuple } from "./conntrack";
import { tcpError } from "./conntrack-tcp";

/** Reads the tuple of the packet at `ip`, whose upper layer `ipv6.walk` has found with `left` bytes of it. False: it has none. */
function tupleOf(namespace: Namespace, left: u32, source: u32, destination: u32, l4: usize): bool {
  const protocol = ipv6.upper;
  let sport: u32 = 0;
  let dport: u32 = 0;
  if (protocol == ipv4.TCP || protocol == ipv4.UDP) {
    if (left < 4) return false;
    sport = load<u16>(l4);
    dport = load<u16>(l4, 2);
  } else if (protocol == ipv6.ICMP) {
    if (left < icmpv6.LENGTH) return false;
    sport = icmpv6.identifier(l4);
    dport = icmpv6.type(l4) | (icmpv6.code(l4) << 8);
  }
  setTuple(keyA(source, destination), keyB(namespace.id, protocol | ipv6.V6, sport, dport));
  return true;
}

/** False: the frame was dropped. A packet that conntrack refuses goes on, INVALID; neighbour discovery goes on untracked. */
export function conntrackIn6(namespace: Namespace, frame: Frame, hook: Hook, place: Device): bool {
  // Once over lo, or through br_netfilter, it has been here already.
  if (frame.connection) return true;
  frame.connectionInfo = CT_INVALID;
  const ip = frame.data;
  if (!ipv6.walk(ip, frame.length) || ipv6.upper == ipv6.NONE || ipv6.upperAt > frame.length) return true;
  if (ipv6.fragmentAt && ipv6.fragmentWord(ip + ipv6.fragmentAt) & ipv6.OFFSET) return true;
  const protocol = ipv6.upper;
  const l4 = ip + ipv6.upperAt;
  const length = frame.length - ipv6.upperAt;

  if (protocol == ipv6.ICMP) {
    if (length < icmpv6.LENGTH) return true;
    if (hook == Hook.PREROUTING && !icmpv6.checksumOk(l4, length, ip)) return true;
    const type = icmpv6.type(l4);
    if (isLinkTalk(type)) {
      frame.connectionInfo = CT_UNTRACKED;
      return true;
    }
    if (icmpv6.isError(type)) {
      relate(namespace, frame, l4 + icmpv6.LENGTH, length - icmpv6.LENGTH);
      return true;
    }
  } else if (protocol == ipv4.TCP) {
    if (length < tcp.LENGTH || tcpError(l4, length)) return true;
    if (hook == Hook.PREROUTING && !tcp.checksumOk6(l4, length, ip)) return true;
  } else if (protocol == ipv4.UDP) {
    if (length < udp.LENGTH || udp.length(l4) < udp.LENGTH || udp.length(l4) > length) return true;
    // Conntrack lets a datagram without a checksum pass; its receiver will not (udp_error).
    if (hook == Hook.PREROUTING && udp.check(l4) && !udp.checksumOk6(l4, udp.length(l4), ip)) return true;
  } else if (protocol == ipv4.ICMP) return true;

  const source = keepAt(ip + ipv6.AT_SOURCE);
  const destination = keepAt(ip + ipv6.AT_DESTINATION);
  if ((!source && !ipv6.isUnspecified(ip + ipv6.AT_SOURCE)) || (!destination && !ipv6.isUnspecified(ip + ipv6.AT_DESTINATION))) {
    drop(frame, Drop.NOMEM, place);
    return false;
  }
  if (!tupleOf(namespace, length, source, destination, l4)) return true;
  return follow(namespace, frame, place, protocol, l4, length);
}

/** Listener reports, router and neighbour discovery: they never belong to a connection (nf_conntrack_icmpv6_error). */
function isLinkTalk(type: u32): bool {
  return (type >= icmpv6.LISTENER_QUERY && type <= icmpv6.NEIGHBOUR_ADVERTISEMENT) || type == icmpv6.LISTENER_REPORT_2;
}

/** An error is RELATED to the connection of the packet that it quotes, of which `left` bytes are there (nf_conntrack_inet_error). */
function relate(namespace: Namespace, frame: Frame, inner: usize, left: u32): void {
  if (left < ipv6.LENGTH || ipv6.version(inner) != 6 || !ipv6.walk(inner, left)) return;
  if (ipv6.fragmentAt && ipv6.fragmentWord(inner + ipv6.fragmentAt) & ipv6.OFFSET) return;
  if (left < ipv6.upperAt + 8) return;
  // Addresses that no table knows are no connection's.
  const source = numberAt(inner + ipv6.AT_SOURCE);
  const destination = numberAt(inner + ipv6.AT_DESTINATION);
  const outer = numberAt(frame.data + ipv6.AT_DESTINATION);
  if (!source || !destination || !outer) return;
  if (tupleOf(namespace, left - ipv6.upperAt, source, destination, inner + ipv6.upperAt)) relateTo(frame, outer);
}
