// Recording a way over IPv6: what of it is not as over IPv4. Addresses get their numbers here; a flow that names one goes before
// the address is forgotten (flows.sweepFlows6).

import * as ipv6 from "../wire/ipv6";
import { keepAt } from "../tables/addresses6";
import { keyA } from "../tables/connections";
import { Flow } from "./flows";
import { changeOf } from "./rewrite6";

/** The addresses of the packet at `ip`, by their numbers; 0 where one has none. */
export function keyA6(ip: usize): u64 {
  const source = keepAt(ip + ipv6.AT_SOURCE);
  const destination = keepAt(ip + ipv6.AT_DESTINATION);
  return source && destination ? keyA(source, destination) : 0;
}

/** What its packets' addresses and ports change by, on the way from `first` to `ip`. False: an address has no number. */
export function translates6(flow: Flow, first: usize, ip: usize): bool {
  const after = keyA6(ip);
  if (!after) return false;
  flow.newA = after;
  flow.newPorts = load<u32>(ip, ipv6.LENGTH);
  flow.l4Delta = changeOf(flow.keyA, load<u32>(first, ipv6.LENGTH), after, flow.newPorts);
  return true;
}

/** The flow label of the packet at `ip`, as loaded. */
// @ts-ignore: decorator
@inline
export function labelAt(ip: usize): u32 { return load<u32>(ip) & 0xffff0f00; }
