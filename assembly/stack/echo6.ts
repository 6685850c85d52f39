// ping over IPv6 (networking/ping.c of BusyBox, as echo.ts has it): echo requests, and the replies that come back.

import { Frame } from "../frame";
import { deliver, drop, Drop } from "../drops";
import * as icmpv6 from "../wire/icmpv6";
import * as ipv6 from "../wire/ipv6";
import { Device } from "../devices/device";
import { Namespace } from "./namespace";
import { HOP_LIMIT, flowLabelFor, sourceFor6 } from "./output6";
import { Punt, V6_PUNT, punt, puntRoom } from "./punts";
import { newPacket, outputLater6 } from "./own-packets";
import { prepare } from "./sockets";

/**
 * An echo request at `time` to the address of number `destination`, by `device` where that is needed. `identifier` is as
 * loaded, `sequence` host order, `size` the payload's bytes, `hops` 0 the default. False: no route, too long, or no memory.
 */
export function pingSend6(namespace: Namespace, destination: u32, device: Device | null, identifier: u32, sequence: u32, size: u32, time: u64, hops: u32 = 0): bool {
  prepare();
  if (size > 65527) return false;
  const source = sourceFor6(namespace, destination, device);
  if (!source) return false;
  const length = icmpv6.LENGTH + size;
  const frame = newPacket(ipv6.LENGTH + length, time);
  if (!frame) return false;
  const header = frame.data + ipv6.LENGTH;
  icmpv6.emit(header, icmpv6.ECHO_REQUEST, 0, (identifier & 0xffff) | (<u32>bswap<u16>(<u16>sequence) << 16));
  memory.fill(header + icmpv6.LENGTH, 0, size);
  if (size >= 4) store<u32>(header + icmpv6.LENGTH, <u32>(time / 1000));
  icmpv6.seal(header, length, <usize>source, <usize>destination);
  const label = flowLabelFor(namespace, <usize>source, <usize>destination, ipv6.ICMP, icmpv6.ECHO_REQUEST);
  ipv6.emit(frame.data, 0, label, length, ipv6.ICMP, hops ? hops : HOP_LIMIT, <usize>source, <usize>destination);
  outputLater6(namespace, frame, device);
  return true;
}

/** Local delivery of an echo reply whose checksum is right: a record for JavaScript. */
export function echoReplyReceive6(namespace: Namespace, frame: Frame, l4: usize, length: u32): void {
  if (!puntRoom(24)) return drop(frame, Drop.SOCKET_RCVBUFF, frame.device);
  const data = punt(Punt.ECHO_REPLY | V6_PUNT, frame.time, namespace.id, 24, icmpv6.identifier(l4), icmpv6.sequence(l4));
  ipv6.copyAddress(data, frame.data + ipv6.AT_SOURCE);
  store<u32>(data, ipv6.hopLimit(frame.data), 16);
  store<u32>(data, length - icmpv6.LENGTH, 20);
  deliver(frame);
}
