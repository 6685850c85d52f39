// ICMP errors about balanced connections: addresses and ports change in the packet that they quote as well (ip_vs_nat_icmp).

import { Frame, IPVS_PROPERTY } from "../frame";
import { Device } from "../devices/device";
import { Namespace } from "../stack/namespace";
import * as ipv4 from "../wire/ipv4";
import * as icmp from "../wire/icmp";
import { BalancedConnection, findBalanced, foundServer } from "../tables/services";
import { destinationOf, dportOf, keyA, keyB, sourceOf, sportOf } from "../tables/connections";
import { mangle } from "./nat";
import { countIn, countOut, untrack } from "./ipvs";
import { lookUp } from "../tables/routes";
import { outputBalanced } from "../stack/output";
import { note, Note } from "../capture/tap";

/** The connection of the packet that the ICMP error at `l4` quotes, seen the way that packet went. */
function quoted(namespace: Namespace, l4: usize, length: u32, time: u64, swap: bool): BalancedConnection | null {
  if (length < icmp.LENGTH + ipv4.LENGTH + 8 || !icmp.isError(icmp.type(l4))) return null;
  const inner = l4 + icmp.LENGTH;
  const header = ipv4.headerLength(inner);
  const protocol = ipv4.protocol(inner);
  if (length < icmp.LENGTH + header + 8 || (protocol != ipv4.TCP && protocol != ipv4.UDP)) return null;
  const inL4 = inner + header;
  return swap
    ? findBalanced(keyA(ipv4.destination(inner), ipv4.source(inner)), keyB(namespace.id, protocol, load<u16>(inL4, 2), load<u16>(inL4)), time)
    : findBalanced(keyA(ipv4.source(inner), ipv4.destination(inner)), keyB(namespace.id, protocol, load<u16>(inL4), load<u16>(inL4, 2)), time);
}

/** What an error quotes: address and port change, the transport checksum stays as it was (ip_vs_nat_icmp mends the IP header's alone). */
function mangleQuoted(inner: usize, source: bool, address: u32, port: u32): void {
  const header = ipv4.headerLength(inner);
  mangle(inner, header, source, address, 0, 0);
  store<u16>(inner + header + (source ? 0 : 2), <u16>port);
}

/** An error from a destination or from a router on the way to it: back to the client with the virtual address (ip_vs_nat_icmp, outward). */
export function errorReply(namespace: Namespace, frame: Frame, device: Device): void {
  const ip = frame.data;
  const l4 = ip + ipv4.headerLength(ip);
  const length = ipv4.totalLength(ip) - ipv4.headerLength(ip);
  const connection = quoted(namespace, l4, length, frame.time, true);
  if (!connection || !foundServer) return;
  const virtual = destinationOf(connection.clientA);
  const inner = l4 + icmp.LENGTH;
  mangleQuoted(inner, false, virtual, dportOf(connection.clientB));
  icmp.seal(l4, length);
  mangle(ip, ipv4.headerLength(ip), true, virtual, 0, 0);
  countOut(frame, connection.destination);
  note(frame, Note.UN_IPVS, connection.destination.id, sourceOf(connection.serverA), 0, virtual, 0, device);
  if (!namespace.ipvsConntrack) untrack(frame);
  frame.flags |= IPVS_PROPERTY;
}

/** An error from the client's side about an answer: on to the destination (ip_vs_in_icmp). */
export function errorInput(namespace: Namespace, frame: Frame, device: Device): bool {
  const ip = frame.data;
  const l4 = ip + ipv4.headerLength(ip);
  const length = ipv4.totalLength(ip) - ipv4.headerLength(ip);
  const connection = quoted(namespace, l4, length, frame.time, true);
  if (!connection) return true;
  if (foundServer) {
    errorReply(namespace, frame, device);
    return true;
  }
  const destination = connection.destination;
  countIn(frame, destination);
  const route = lookUp(namespace, destination.address);
  if (!route || ipv4.ttl(ip) <= 1) return true;
  const inner = l4 + icmp.LENGTH;
  mangleQuoted(inner, true, destination.address, sportOf(connection.serverB));
  icmp.seal(l4, length);
  ipv4.decrementTtl(ip);
  mangle(ip, ipv4.headerLength(ip), false, destination.address, 0, 0);
  if (!namespace.ipvsConntrack) untrack(frame);
  frame.flags |= IPVS_PROPERTY;
  outputBalanced(namespace, frame, route);
  return false;
}
