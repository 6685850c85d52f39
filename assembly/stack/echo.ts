// ping: echo requests as BusyBox sends them (networking/ping.c: the first four payload bytes are the time in
// microseconds, the rest is zero; DF set where it fits, as every raw socket's packet), and the replies that come back.
// Requests of others are answered by icmp.ts.

import { Frame } from "../frame";
import { deliver, drop, Drop } from "../drops";
import * as icmp from "../wire/icmp";
import * as ipv4 from "../wire/ipv4";
import { Namespace } from "./namespace";
import { nextId, pathMtu, sourceFor } from "./output";
import { Punt, punt, puntRoom } from "./punts";
import { newPacket, outputLater } from "./own-packets";
import { prepare } from "./sockets";

const TTL: u32 = 64;

/**
 * An echo request at `time`: `source` 0 is chosen by the route, `identifier` is as loaded, `sequence` host order, `size`
 * the payload's bytes (ping's default is 56), `ttl` 0 the default. False: no route, too long, or no memory.
 */
export function pingSend(namespace: Namespace, source: u32, destination: u32, identifier: u32, sequence: u32, size: u32, time: u64, ttl: u32 = 0): bool {
  prepare();
  if (size > 65507) return false;
  if (!source) source = sourceFor(namespace, destination);
  if (!source) return false;
  const total = ipv4.LENGTH + icmp.LENGTH + size;
  const frame = newPacket(total, time);
  if (!frame) return false;
  const ip = frame.data;
  const header = ip + ipv4.LENGTH;
  icmp.emit(header, icmp.ECHO_REQUEST, 0, (identifier & 0xffff) | (<u32>bswap<u16>(<u16>sequence) << 16));
  memory.fill(header + icmp.LENGTH, 0, size);
  if (size >= 4) store<u32>(header + icmp.LENGTH, <u32>(time / 1000));
  icmp.seal(header, icmp.LENGTH + size);
  const flags = total <= pathMtu(namespace, destination) ? ipv4.DF : 0;
  ipv4.emit(ip, 0, total, nextId(namespace, source, destination, ipv4.ICMP), flags, ttl ? ttl : TTL, ipv4.ICMP, source, destination);
  outputLater(namespace, frame);
  return true;
}

/** Local delivery of an echo reply whose checksum is right: a record for JavaScript, unless a replay's endpoint awaits it. */
export function echoReplyReceive(namespace: Namespace, frame: Frame): void {
  if (namespace.silent) return deliver(frame);
  const ip = frame.data;
  const skip = ipv4.headerLength(ip);
  if (frame.length < skip + icmp.LENGTH) return drop(frame, Drop.PKT_TOO_SMALL, frame.device);
  const header = ip + skip;
  if (!puntRoom(12)) return drop(frame, Drop.SOCKET_RCVBUFF, frame.device);
  const data = punt(Punt.ECHO_REPLY, frame.time, namespace.id, 12, icmp.identifier(header), icmp.sequence(header));
  store<u32>(data, ipv4.source(ip));
  store<u32>(data, ipv4.ttl(ip), 4);
  store<u32>(data, frame.length - skip - icmp.LENGTH, 8);
  deliver(frame);
}
