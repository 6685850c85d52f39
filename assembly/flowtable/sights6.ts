// Sights of IPv6 packets (see sights): hop limit, addresses by their numbers, ports, one checksum.

import * as ethernet from "../wire/ethernet";
import * as ipv6 from "../wire/ipv6";
import { Sight } from "./track";
import { Stage } from "./sights";
import { correct, readdress } from "./rewrite6";

/** Is there an IPv6 packet in the frame at `at`, which may say something else of its type? */
// @ts-ignore: decorator
@inline
export function holdsIpv6(at: usize): bool { return ipv6.version(at + ethernet.LENGTH) == 6; }

/** The packet at the end of what came in, in the frame at `at`, as the sight has it; `stage` is null where addresses and ports are as they were. */
export function restage6(at: usize, sight: Sight, stage: Stage | null): void {
  store<u16>(at, <u16>ethernet.TYPE_IPV6, 12);
  const ip = at + ethernet.LENGTH;
  ipv6.setHopLimit(ip, ipv6.hopLimit(ip) - <u32>sight.ttl);
  if (!stage) return;
  readdress(ip, stage.addresses);
  store<u32>(ip, stage.ports, ipv6.LENGTH);
  correct(ip + ipv6.LENGTH, ipv6.nextHeader(ip), stage.l4Delta);
}
