/** Rule chains as iptables and ip6tables know them: a rule as data, written into the engine, read back with its counters. */

import { bpfProgram } from './bpf.js';
import type { Engine } from './engine.js';
import { Chain as ChainLayout, Route6Type, RouteType, Rule as RuleLayout, Target } from './generated/layout.js';
import type { Field } from './memory.js';
import type { Namespace } from './namespace.js';
import {
  HOOKS,
  type HookName,
  MATCH,
  POLICY,
  PROTOCOLS,
  REJECTIONS,
  type Rejection,
  type RuleProtocol,
  STATES,
  type State,
  TABLES,
  TABLES6,
  type Table,
} from './rule-bits.js';
import { type InterfaceName, RuleInterfaces, recordOf } from './rule-interfaces.js';
import { u32Program } from './u32.js';
import { cidr, ipv4, mask } from './wire.js';
import { cidr6, numberOf, prefixOf } from './wire6.js';

export type { HookName, RuleProtocol, State, Table };
export { PROTOCOLS };

/** `-m`, `-i`, `-s` …: what must hold. A name with "not" in front is its "!". */
export interface RuleMatch {
  in?: InterfaceName;
  notIn?: InterfaceName;
  out?: InterfaceName;
  notOut?: InterfaceName;
  /** CIDR */
  source?: string;
  notSource?: string;
  destination?: string;
  notDestination?: string;
  protocol?: RuleProtocol;
  sport?: Port;
  dport?: Port;
  /** `-m conntrack --ctstate`, or `-m state --state` with `stateMatch`. */
  states?: State[];
  stateMatch?: 'conntrack' | 'state';
  sourceType?: 'LOCAL';
  destinationType?: 'LOCAL';
  ipvs?: true;
  /** `-m u32 --u32`: an expression, as iptables reads it. */
  u32?: string;
  /** `-m bpf --bytecode`: a program in numbers, as iptables reads it. */
  bpf?: string;
  /** `-m policy --dir … --pol …` */
  policy?: { dir: 'in' | 'out'; pol: 'none' | 'ipsec' };
  /** `-m mark --mark VALUE/MASK` */
  mark?: { value: number; mask: number };
  /** What has a "!" before it, beside addresses and interfaces. */
  not?: Negated[];
  /** `-m comment --comment`: the engine has no use for it. */
  comment?: string;
}

/** One, or `FIRST:LAST`. */
export type Port = number | `${number}:${number}`;
export type Negated = 'protocol' | 'sport' | 'dport' | 'state' | 'sourceType' | 'destinationType' | 'ipvs' | 'mark';

/** `-j`: what happens. */
export type RuleTarget =
  /** NONE: it counts, and the walk goes on. */
  | { target: 'ACCEPT' | 'DROP' | 'RETURN' | 'MASQUERADE' | 'NONE' }
  | { target: 'JUMP'; chain: string }
  | { target: 'MARK'; value: number; mask?: number }
  /** Without an address, or without a port, that part stays. */
  | { target: 'DNAT' | 'SNAT'; address?: string; port?: number }
  | { target: 'REDIRECT'; port: number }
  /** `--reject-with`; by itself the family's "port unreachable". */
  | { target: 'REJECT'; with?: Rejection };

export type RuleSpec = RuleMatch & RuleTarget;

/** A rule that stands in a chain. */
export class Rule {
  constructor(
    readonly chain: Chain,
    readonly spec: RuleSpec,
    readonly at: number,
  ) {}
  get id(): number {
    return this.chain.engine.memory.get(this.at, RuleLayout.id);
  }
  get packets(): number {
    return this.chain.engine.memory.get(this.at, RuleLayout.packets);
  }
  get bytes(): number {
    return this.chain.engine.memory.get(this.at, RuleLayout.bytes);
  }
  setCounters(packets: number, bytes: number): void {
    const { memory } = this.chain.engine;
    memory.set(this.at, RuleLayout.packets, packets);
    memory.set(this.at, RuleLayout.bytes, bytes);
  }
  /** Takes it out of its chain, if nobody else has done so before. */
  remove(): void {
    const { engine, rules, interfaces } = this.chain;
    const index = rules.indexOf(this);
    if (index < 0) return;
    engine.drain();
    engine.rules.delete(this.id);
    rules.splice(index, 1);
    interfaces.forget(this);
    engine.exports.unlinkRule(this.at);
  }
}

export class Chain {
  readonly rules: Rule[] = [];
  constructor(
    readonly engine: Engine,
    readonly table: Table,
    readonly name: string,
    readonly at: number,
    /** Base chains only. */
    readonly hook: HookName | undefined,
    /** Of its tables. */
    readonly interfaces: RuleInterfaces,
  ) {}
  get policy(): 'ACCEPT' | 'DROP' | undefined {
    const policy = this.engine.memory.get(this.at, ChainLayout.policy);
    return policy === Target.ACCEPT ? 'ACCEPT' : policy === Target.DROP ? 'DROP' : undefined;
  }
  set policy(policy: 'ACCEPT' | 'DROP') {
    this.engine.memory.set(this.at, ChainLayout.policy, Target[policy]);
  }
  get packets(): number {
    return this.engine.memory.get(this.at, ChainLayout.packets);
  }
  get bytes(): number {
    return this.engine.memory.get(this.at, ChainLayout.bytes);
  }
  /** `iptables -Z CHAIN`: its counters and its rules'. */
  zero(): void {
    const { memory } = this.engine;
    memory.set(this.at, ChainLayout.packets, 0);
    memory.set(this.at, ChainLayout.bytes, 0);
    for (const rule of this.rules) rule.setCounters(0, 0);
  }
}

/** Of a table that nobody has used yet: most namespaces have such. */
const NONE = new Map<string, Chain>();

/** The tables of one namespace: iptables', or with `family` ip6 those of ip6tables. */
export class Iptables {
  readonly #chains: Record<Table, Map<string, Chain>> = { mangle: NONE, nat: NONE, filter: NONE, raw: NONE };
  readonly interfaces = new RuleInterfaces();

  constructor(
    readonly engine: Engine,
    readonly namespace: Namespace,
    readonly family: 'ip' | 'ip6' = 'ip',
  ) {}

  get chains(): Readonly<Record<Table, ReadonlyMap<string, Chain>>> {
    return this.#chains;
  }

  #number(table: Table): number {
    return TABLES[table] + (this.family === 'ip6' ? TABLES6 : 0);
  }

  /** The chain of that name; a base chain is registered at its hook when it is first asked for. */
  chain(table: Table, name: string): Chain {
    const known = this.#chains[table].get(name);
    if (known) return known;
    const hook = name in HOOKS ? (name as HookName) : undefined;
    const at = this.engine.exports.newChain(hook ? Target.ACCEPT : Target.NONE);
    const chain = new Chain(this.engine, table, name, at, hook, this.interfaces);
    if (hook) this.engine.exports.setBaseChain(this.namespace.at, this.#number(table), HOOKS[hook], at);
    if (this.#chains[table] === NONE) this.#chains[table] = new Map();
    this.#chains[table].set(name, chain);
    if (table === 'nat') this.namespace.trackConnections(this.family);
    return chain;
  }

  /** `iptables -C`: is there a rule in that chain that says the same? */
  has(table: Table, chainName: string, spec: RuleSpec): boolean {
    return this.#chains[table].get(chainName)?.rules.some((one) => sameSpec(one.spec, spec)) ?? false;
  }

  /** `iptables -D`: the first rule of that chain that says the same. False: there is none. */
  delete(table: Table, chainName: string, spec: RuleSpec): boolean {
    const rule = this.#chains[table].get(chainName)?.rules.find((one) => sameSpec(one.spec, spec));
    rule?.remove();
    return rule !== undefined;
  }

  /** All rules and chains go. */
  clear(): void {
    for (const chains of Object.values(this.#chains)) for (const chain of chains.values()) flush(chain);
    for (const table of Object.keys(TABLES) as Table[])
      for (const name of [...this.#chains[table].keys()]) this.deleteChain(table, name);
  }

  /** `iptables -F`, then `-X`: no rule may still jump to it. */
  deleteChain(table: Table, name: string): void {
    const chain = this.#chains[table].get(name);
    if (!chain) return;
    flush(chain);
    if (chain.hook) this.engine.exports.setBaseChain(this.namespace.at, this.#number(table), HOOKS[chain.hook], 0);
    this.engine.exports.removeChain(chain.at);
    this.#chains[table].delete(name);
  }

  append(table: Table, chain: string, spec: RuleSpec): Rule {
    return this.insert(table, chain, spec, Number.MAX_SAFE_INTEGER);
  }

  /** Before the rule at `position`, counted from 0. */
  insert(table: Table, chainName: string, spec: RuleSpec, position = 0): Rule {
    const chain = this.chain(table, chainName);
    const { exports } = this.engine;
    const at = exports.newRule();
    this.#write(at, table, spec);
    const index = Math.min(position, chain.rules.length);
    exports.linkRule(chain.at, at, index);
    const rule = new Rule(chain, spec, at);
    chain.rules.splice(index, 0, rule);
    this.engine.noteRule(rule);
    this.interfaces.note(rule);
    return rule;
  }

  /** A program of `-m u32` or `-m bpf`, written where it stays. */
  #program(program: Uint32Array): number {
    const at = this.engine.exports.scratch(program.byteLength) >>> 0;
    program.forEach((word, i) => {
      this.engine.memory.view.setUint32(at + i * 4, word, true);
    });
    return at;
  }

  #write(at: number, table: Table, spec: RuleSpec): void {
    const { memory } = this.engine;
    const L = RuleLayout;
    let match = 0;
    let invert = (spec.not ?? []).reduce((bits, name) => bits | MATCH[name], 0);
    const device = (
      bit: number,
      field: Field,
      plain: InterfaceName | undefined,
      not: InterfaceName | undefined,
    ): void => {
      const chosen = plain ?? not;
      if (!chosen) return;
      match |= bit;
      if (not) invert |= bit;
      memory.set(at, field, recordOf(this.namespace, chosen));
    };
    device(MATCH.in, L.in, spec.in, spec.notIn);
    device(MATCH.out, L.out, spec.out, spec.notOut);
    const prefix = (bit: number, value: Field, bits: Field, plain?: string, not?: string): void => {
      const chosen = plain ?? not;
      if (!chosen) return;
      match |= bit;
      if (not) invert |= bit;
      if (this.family === 'ip6') {
        memory.set(at, bits, cidr6(chosen).length);
        memory.set(at, value, numberOf(this.engine.exports, prefixOf(chosen)));
        return;
      }
      const { address, length } = cidr(chosen);
      memory.set(at, bits, mask(length));
      memory.set(at, value, (address & mask(length)) >>> 0);
    };
    prefix(MATCH.source, L.source, L.sourceMask, spec.source, spec.notSource);
    prefix(MATCH.destination, L.destination, L.destinationMask, spec.destination, spec.notDestination);
    if (spec.protocol) {
      match |= MATCH.protocol;
      memory.set(at, L.protocol, PROTOCOLS[spec.protocol]);
    }
    const ports = (bit: number, low: Field, high: Field, chosen: Port | undefined): void => {
      if (chosen === undefined) return;
      match |= bit;
      const [first = 0, last = first] = typeof chosen === 'number' ? [chosen] : chosen.split(':').map(Number);
      memory.set(at, low, first);
      memory.set(at, high, last);
    };
    ports(MATCH.sport, L.sportMin, L.sportMax, spec.sport);
    ports(MATCH.dport, L.dportMin, L.dportMax, spec.dport);
    if (spec.mark) {
      match |= MATCH.mark;
      memory.set(at, L.markValue, spec.mark.value);
      memory.set(at, L.markMask, spec.mark.mask);
    }
    if (spec.states) {
      match |= MATCH.state;
      memory.set(
        at,
        L.states,
        spec.states.reduce((bits, state) => bits | STATES[state], 0),
      );
      this.namespace.trackConnections(this.family);
    }
    const types = this.family === 'ip6' ? Route6Type : RouteType;
    if (spec.sourceType) {
      match |= MATCH.sourceType;
      memory.set(at, L.sourceType, types[spec.sourceType]);
    }
    if (spec.destinationType) {
      match |= MATCH.destinationType;
      memory.set(at, L.destinationType, types[spec.destinationType]);
    }
    if (spec.ipvs) match |= MATCH.ipvs;
    if (spec.u32) {
      match |= MATCH.u32;
      memory.set(at, L.u32, this.#program(u32Program(spec.u32)));
    }
    if (spec.bpf) {
      match |= MATCH.bpf;
      memory.set(at, L.bpf, this.#program(bpfProgram(spec.bpf)));
    }
    if (spec.policy) {
      match |= MATCH.policy;
      const { dir, pol } = spec.policy;
      memory.set(at, L.policy, (dir === 'out' ? POLICY.out : 0) | (pol === 'ipsec' ? POLICY.ipsec : 0));
    }
    memory.set(at, L.match, match);
    memory.set(at, L.invert, invert);
    memory.set(at, L.target, Target[spec.target]);
    switch (spec.target) {
      case 'JUMP':
        memory.set(at, L.jump, this.chain(table, spec.chain).at);
        break;
      case 'MARK':
        memory.set(at, L.setMark, spec.value);
        memory.set(at, L.setMask, spec.mask ?? 0xffffffff);
        break;
      case 'DNAT':
      case 'SNAT':
        memory.set(at, L.toAddress, spec.address ? this.#address(spec.address) : 0);
        memory.set(at, L.toPortMin, spec.port ?? 0);
        memory.set(at, L.toPortMax, spec.port ?? 0);
        break;
      case 'REDIRECT':
        memory.set(at, L.toPortMin, spec.port);
        memory.set(at, L.toPortMax, spec.port);
        break;
      case 'REJECT': {
        const [type, code] =
          REJECTIONS[spec.with ?? (this.family === 'ip6' ? 'icmp6-port-unreachable' : 'icmp-port-unreachable')];
        memory.set(at, L.rejectType, type);
        memory.set(at, L.rejectCode, code);
        break;
      }
      default:
    }
  }

  #address(text: string): number {
    return this.family === 'ip6' ? numberOf(this.engine.exports, text) : ipv4(text);
  }
}

function sameSpec(one: RuleSpec, other: RuleSpec): boolean {
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]) as Set<keyof RuleSpec>;
  return [...keys].every((key) => comparable(one[key]) === comparable(other[key]));
}

/** Interfaces by their names; lists and pairs by what is in them. */
function comparable(value: RuleSpec[keyof RuleSpec]): unknown {
  if (typeof value !== 'object') return value;
  return 'name' in value ? value.name : JSON.stringify(value);
}

function flush({ rules }: Chain): void {
  for (const rule of [...rules].reverse()) rule.remove();
}
