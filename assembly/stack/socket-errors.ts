// ICMP errors, told to whoever sent what they are about.

import { now } from "../clock/queue";
import { ICMP, TCP, UDP } from "../wire/ipv4";
import { Namespace } from "./namespace";
import { Punt, punt } from "./punts";
import { State, findSocket } from "./sockets";
import { tcpError } from "./tcp";

/**
 * An ICMP error about a packet that this namespace sent (tcp_v4_err, __udp4_lib_err, ping_err). Addresses and ports as
 * that packet had them, wire order; for an echo the local port is its identifier. `kind` = type << 8 | code, `info` =
 * next-hop MTU of a "fragmentation needed", `sequence` TCP's or an echo's, `from` who sent the error, which came at `time`.
 */
export function socketError(namespace: Namespace, protocol: u32, local: u32, localPort: u32, remote: u32, remotePort: u32, kind: u32, info: u32, sequence: u32, from: u32, time: u64): void {
  let id = namespace.id;
  if (protocol == TCP || protocol == UDP) {
    const socket = findSocket(namespace, protocol, local, localPort, remote, remotePort, now);
    if (!socket || socket.state == State.FOREIGN) return;
    if (protocol == TCP) return tcpError(socket, kind, info, sequence);
    id = socket.id;
  } else if (protocol != ICMP) return;
  const echo = protocol == ICMP;
  const data = punt(echo ? Punt.ECHO_ERROR : Punt.ERROR, time, id, 16, kind, info);
  if (!data) return;
  store<u32>(data, remote);
  store<u32>(data, (echo ? localPort : remotePort) & 0xffff, 4);
  store<u32>(data, from, 8);
  store<u32>(data, sequence, 12);
}
