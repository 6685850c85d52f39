/** Numbers and bits of rule records, as assembly/tables/rules.ts has them. */

export type Table = 'raw' | 'mangle' | 'nat' | 'filter';
export type HookName = 'PREROUTING' | 'INPUT' | 'FORWARD' | 'OUTPUT' | 'POSTROUTING';
export type State = 'INVALID' | 'ESTABLISHED' | 'RELATED' | 'NEW' | 'UNTRACKED';
export type RuleProtocol = 'tcp' | 'udp' | 'icmp' | 'ipv6-icmp' | 'sctp';

export const TABLES: Record<Table, number> = { mangle: 0, nat: 1, filter: 2, raw: 3 };
/** Added to a table's number: ip6tables'. */
export const TABLES6 = 4;
export const HOOKS: Record<HookName, number> = { PREROUTING: 0, INPUT: 1, FORWARD: 2, OUTPUT: 3, POSTROUTING: 4 };
export const STATES: Record<State, number> = { INVALID: 1, ESTABLISHED: 2, RELATED: 4, NEW: 8, UNTRACKED: 64 };
export const PROTOCOLS: Record<RuleProtocol, number> = { icmp: 1, tcp: 6, udp: 17, 'ipv6-icmp': 58, sctp: 132 };
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
  bpf: 16384,
} as const;
/** `--reject-with`: type and code of the error. */
export const REJECTIONS = {
  'icmp-net-unreachable': [3, 0],
  'icmp-host-unreachable': [3, 1],
  'icmp-proto-unreachable': [3, 2],
  'icmp-port-unreachable': [3, 3],
  'icmp-net-prohibited': [3, 9],
  'icmp-host-prohibited': [3, 10],
  'icmp-admin-prohibited': [3, 13],
  'icmp6-no-route': [1, 0],
  'icmp6-adm-prohibited': [1, 1],
  'icmp6-addr-unreachable': [1, 3],
  'icmp6-port-unreachable': [1, 4],
} as const;
export type Rejection = keyof typeof REJECTIONS;
/** assembly/tables/rules.ts: Rule.policy */
export const POLICY = { out: 1, ipsec: 2 } as const;
