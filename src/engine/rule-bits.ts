/** Numbers and bits of rule records, as assembly/tables/rules.ts has them. */

export type Table = 'mangle' | 'nat' | 'filter';
export type HookName = 'PREROUTING' | 'INPUT' | 'FORWARD' | 'OUTPUT' | 'POSTROUTING';
export type State = 'INVALID' | 'ESTABLISHED' | 'RELATED' | 'NEW' | 'UNTRACKED';
export type RuleProtocol = 'tcp' | 'udp' | 'icmp' | 'sctp';

export const TABLES: Record<Table, number> = { mangle: 0, nat: 1, filter: 2 };
export const HOOKS: Record<HookName, number> = { PREROUTING: 0, INPUT: 1, FORWARD: 2, OUTPUT: 3, POSTROUTING: 4 };
export const STATES: Record<State, number> = { INVALID: 1, ESTABLISHED: 2, RELATED: 4, NEW: 8, UNTRACKED: 64 };
export const PROTOCOLS: Record<RuleProtocol, number> = { icmp: 1, tcp: 6, udp: 17, sctp: 132 };
// assembly/tables/rules.ts: Rule.match
export const MATCH = {
  in: 1,
  out: 2,
  source: 4,
  destination: 8,
  protocol: 16,
  sport: 32,
  dport: 64,
  state: 128,
  sourceType: 256,
  destinationType: 512,
  ipvs: 1024,
  mark: 2048,
  u32: 4096,
  policy: 8192,
} as const;
/** assembly/tables/rules.ts: Rule.policy */
export const POLICY = { out: 1, ipsec: 2 } as const;
