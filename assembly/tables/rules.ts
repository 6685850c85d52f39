// Rule chains as iptables and ip6tables have them: tables raw, mangle, nat, filter; base chains with a policy at the five hooks, user
// chains to jump to; packet and byte counters on every rule and policy. Walking them is hooks/filter's business.
//
// Both families share the records: a chain belongs to one of them, and where a rule of IPv4 holds an address one of IPv6 holds
// the number of an address (tables/addresses6), where the one has a mask the other has a prefix length.
//
// JavaScript makes a rule with `newRule`, fills in the fields that `match` announces, and links it into a chain.

import { Pool } from "../memory";
import { changed } from "./generation";
import { Device } from "../devices/device";

export const MANGLE: u32 = 0;
export const NAT: u32 = 1;
export const FILTER: u32 = 2;
export const RAW: u32 = 3;
/** Added to a table's number: ip6tables'. */
export const TABLES6: u32 = 4;
export const BASE_CHAINS: u32 = 2 * 4 * 5;

export enum Hook { PREROUTING, INPUT, FORWARD, OUTPUT, POSTROUTING }

// Rule.match: which conditions stand; Rule.invert has the same bits for "!".
export const IN: u32 = 1;
export const OUT: u32 = 2;
export const SOURCE: u32 = 4;
export const DESTINATION: u32 = 8;
export const PROTOCOL: u32 = 16;
export const SPORT: u32 = 32;
export const DPORT: u32 = 64;
export const STATE: u32 = 128;
export const SOURCE_TYPE: u32 = 256;
export const DESTINATION_TYPE: u32 = 512;
export const IPVS: u32 = 1024;
export const MARKED: u32 = 2048;
export const U32: u32 = 4096;
export const POLICY: u32 = 8192;
export const BPF: u32 = 16384;

// Rule.policy, of `-m policy`
/** --dir out; else in */
export const POLICY_OUT: u8 = 1;
/** --pol ipsec; else none */
export const POLICY_IPSEC: u8 = 2;

// Rule.states
export const STATE_INVALID: u8 = 1;
export const STATE_ESTABLISHED: u8 = 2;
export const STATE_RELATED: u8 = 4;
export const STATE_NEW: u8 = 8;
export const STATE_UNTRACKED: u8 = 64;

export enum Target { NONE, ACCEPT, DROP, RETURN, JUMP, MARK, DNAT, REDIRECT, SNAT, MASQUERADE, REJECT }

@unmanaged
export class Chain {
  first: Rule | null;
  /** 0: a user chain; else the Target of its policy. */
  policy: u32;
  id: u32;
  rules: u32;
  packets: u64;
  bytes: u64;
}

@unmanaged
export class Rule {
  next: Rule | null;
  chain: Chain | null;
  id: u32;
  match: u32;
  invert: u32;
  in: Device | null;
  out: Device | null;
  source: u32;
  sourceMask: u32;
  destination: u32;
  destinationMask: u32;
  /** Port ranges, host order, both ends included. */
  sportMin: u16;
  sportMax: u16;
  dportMin: u16;
  dportMax: u16;
  protocol: u8;
  states: u8;
  /** RouteType of `-m addrtype --src-type` and `--dst-type`; Route6Type for IPv6. */
  sourceType: u8;
  destinationType: u8;
  markValue: u32;
  markMask: u32;
  /** `-m u32`: its program (hooks/u32). */
  u32: usize;
  /** `-m bpf`: its program (hooks/bpf). */
  bpf: usize;
  policy: u8;
  target: u32;
  jump: Chain | null;
  /** DNAT and SNAT: address (network byte order, or a number; 0: unchanged) and port range (host order, 0: unchanged). */
  toAddress: u32;
  toPortMin: u16;
  toPortMax: u16;
  /** MARK: mark = (mark & ~mask) ^ value. */
  setMark: u32;
  setMask: u32;
  /** REJECT: type and code of the ICMP error that tells of it. */
  rejectType: u8;
  rejectCode: u8;
  packets: u64;
  bytes: u64;

  /** Does a port of a segment or datagram, as loaded, match (xt_tcpudp)? `invert` is the rule's. */
  @inline
  sportMatches(loaded: u32, invert: u32): bool {
    const port = bswap<u16>(<u16>loaded);
    return (port >= this.sportMin && port <= this.sportMax) != ((invert & SPORT) != 0);
  }
  @inline
  dportMatches(loaded: u32, invert: u32): bool {
    const port = bswap<u16>(<u16>loaded);
    return (port >= this.dportMin && port <= this.dportMax) != ((invert & DPORT) != 0);
  }
}

const rules = new Pool(offsetof<Rule>(), 128);
const chains = new Pool(offsetof<Chain>(), 64);
let lastChain: u32 = 0;
let lastRule: u32 = 0;

export function newChain(policy: u32): Chain {
  chains.ensure(1);
  const chain = changetype<Chain>(chains.take(offsetof<Chain>()));
  chain.id = ++lastChain;
  chain.policy = policy;
  return chain;
}

/** Its rules have been unlinked, and no rule jumps to it. */
export function removeChain(chain: Chain): void { chains.give(changetype<usize>(chain)); }
export function liveRules(): u32 { return rules.used; }
export function liveChains(): u32 { return chains.used; }

export function newRule(): Rule {
  rules.ensure(1);
  const rule = changetype<Rule>(rules.take(offsetof<Rule>()));
  rule.id = ++lastRule;
  return rule;
}

/** Before the rule that stands at `position` (0: first); a position past the end appends. */
export function linkRule(chain: Chain, rule: Rule, position: u32): void {
  changed();
  rule.chain = chain;
  chain.rules++;
  if (position == 0 || !chain.first) {
    rule.next = chain.first;
    chain.first = rule;
    return;
  }
  let at = chain.first!;
  for (let i: u32 = 1; i < position && at.next; i++) at = at.next!;
  rule.next = at.next;
  at.next = rule;
}

export function unlinkRule(rule: Rule): void {
  const chain = rule.chain;
  if (!chain) return;
  changed();
  if (chain.first == rule) chain.first = rule.next;
  else {
    let at = chain.first!;
    while (at.next && at.next != rule) at = at.next!;
    if (at.next == rule) at.next = rule.next;
  }
  chain.rules--;
  rules.give(changetype<usize>(rule));
}
