// ICMPv6 errors about what a socket here sent (tcp_v6_err, udpv6_err, ping_v6_err).

import { now } from "../clock/queue";
import * as icmp from "../wire/icmp";
import * as icmpv6 from "../wire/icmpv6";
import { TCP, UDP } from "../wire/ipv4";
import { V6, copyAddress } from "../wire/ipv6";
import { Namespace } from "./namespace";
import { Punt, V6_PUNT, punt } from "./punts";
import { State, findSocket } from "./sockets";
import { tcpError } from "./tcp";

/** As `socketError`, with numbers of addresses; `info` is the MTU of a "packet too big", `from` where the address stands that sent it. */
export function socketError6(namespace: Namespace, protocol: u32, local: u32, localPort: u32, remote: u32, remotePort: u32, type: u32, code: u32, info: u32, sequence: u32, from: usize, time: u64): void {
  let id = namespace.id;
  if (protocol == TCP || protocol == UDP) {
    const socket = findSocket(namespace, protocol | V6, local, localPort, remote, remotePort, now);
    if (!socket || socket.state == State.FOREIGN) return;
    if (protocol == TCP) return tcpError(socket, asIcmp(type, code), info, sequence);
    id = socket.id;
  }
  const echo = protocol != TCP && protocol != UDP;
  const data = punt((echo ? Punt.ECHO_ERROR : Punt.ERROR) | V6_PUNT, time, id, 40, type << 8 | code, info);
  if (!data) return;
  copyAddress(data, <usize>remote);
  store<u32>(data, (echo ? localPort : remotePort) & 0xffff, 16);
  copyAddress(data + 20, from);
  store<u32>(data, sequence, 36);
}

/** What TCP makes of it, by ICMP's numbers (icmpv6_err_convert, icmp_err_convert lead to the same errors). */
function asIcmp(type: u32, code: u32): u32 {
  if (type == icmpv6.TOO_BIG) return icmp.UNREACHABLE << 8 | icmp.FRAGMENTATION_NEEDED;
  if (type == icmpv6.UNREACHABLE) return icmp.UNREACHABLE << 8 | (code == icmpv6.PORT_UNREACHABLE ? icmp.PORT_UNREACHABLE : icmp.HOST_UNREACHABLE);
  if (type == icmpv6.PARAMETER_PROBLEM && code == icmpv6.UNKNOWN_HEADER) return icmp.UNREACHABLE << 8 | icmp.PROTOCOL_UNREACHABLE;
  return icmp.TIME_EXCEEDED << 8;
}
