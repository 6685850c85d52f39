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

/** What its packets' addresses and ports change by. */
export function translates6(flow: Flow, before: u64, ports: u32, after: u64, newPorts: u32): void {
  flow.keyA = before;
  flow.newA = after;
  flow.newPorts = newPorts;
  flow.l4Delta = changeOf(before, ports, after, newPorts);
}

/** The flow label of the packet at `ip`, as loaded. */
// @ts-ignore: decorator
@inline
export function labelAt(ip: usize): u32 { return load<u32>(ip) & 0xffff0f00; }
