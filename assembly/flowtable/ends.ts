// The ends of a packet of either family, as flows, openings and precedents know them: over IPv6 an address is its number
// (tables/addresses6), which is the place of its 16 bytes as well.

import { Frame, SOCKET_HASH } from "../frame";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import { keyA6, labelAt } from "./recorder6";

/** The addresses of the packet at `ip`. Over IPv6 they get numbers; 0: one has none. */
// @ts-ignore: decorator
@inline
export function endsAt(ip: usize, v6: bool): u64 { return v6 ? keyA6(ip) : load<u64>(ip, 12); }

/** Where its TCP or UDP header begins: there are neither options nor extension headers. */
// @ts-ignore: decorator
@inline
export function upperAt(ip: usize, v6: bool): usize { return ip + (v6 ? ipv6.LENGTH : ipv4.LENGTH); }
// @ts-ignore: decorator
@inline
export function portsAt(ip: usize, v6: bool): u32 { return load<u32>(upperAt(ip, v6)); }
// @ts-ignore: decorator
@inline
export function protocolAt(ip: usize, v6: bool): u32 { return v6 ? ipv6.nextHeader(ip) : ipv4.protocol(ip); }

/** As keys of connections have it. */
// @ts-ignore: decorator
@inline
export function protocolOver(protocol: u32, v6: bool): u32 { return v6 ? protocol | ipv6.V6 : protocol; }

/** What a tunnel's source port is made of besides: the socket's hash, or over IPv6 the flow label (as loaded) where there is none. */
// @ts-ignore: decorator
@inline
export function hashOf(frame: Frame, ip: usize, v6: bool): u32 { return v6 && !(frame.flags & SOCKET_HASH) ? labelAt(ip) : frame.hash; }

/**
 * No address of this network or link, loopback, group or broadcast: what routing refuses, or takes for a device's own affair, whatever the
 * tables say.
 */
// @ts-ignore: decorator
@inline
export function isHost(address: u32, v6: bool): bool {
  if (v6) return isHost6(<usize>address);
  const first = address & 0xff;
  return first != 0 && first != 127 && first < 0xe0;
}
function isHost6(at: usize): bool {
  return !ipv6.isMulticast(at) && !ipv6.isLinkLocal(at) && !ipv6.isLoopback(at);
}
