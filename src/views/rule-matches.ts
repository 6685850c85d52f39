/**
 * The match extensions of iptables' rules, one entry each: how `-S` writes one, how `-L` shows it, and how a command line gives
 * it. They stand in the order in which Docker writes them, and iptables prints them.
 */

import type { RuleMatch, State } from '../engine/rules.js';
import { portName, portNumber } from './service-names.js';

/** What stands before a value: `! --dport 80`. */
export interface Given {
  value: string;
  not: boolean;
}

export interface Extension {
  /** `-m NAME` */
  names: readonly string[];
  /** Words behind `-m NAME`; undefined: the rule has none of it. */
  written(match: RuleMatch): { name: string; words: string[] } | undefined;
  /** As `-L` has it; `numeric`: `-n`. */
  shown(match: RuleMatch, numeric: boolean): string;
  /** What its options, without their dashes, add to a rule. Throws a RangeError, in iptables' words, for a wrong value. */
  options: Record<string, (given: Given, name: string, match: RuleMatch) => RuleMatch>;
  /** An option without a value. */
  flags?: readonly string[];
}

const STATES: readonly State[] = ['INVALID', 'NEW', 'RELATED', 'ESTABLISHED', 'UNTRACKED'];

const state = connectionStates('state', ['state'], 'state');
const conntrack = connectionStates('conntrack', ['ctstate'], 'ctstate');

function connectionStates(name: 'state' | 'conntrack', options: readonly string[], shown: string): Extension {
  const has = (match: RuleMatch) => match.states !== undefined && (match.stateMatch ?? 'conntrack') === name;
  return {
    names: [name],
    written: (match) => (has(match) ? { name, words: [`--${options[0]}`, match.states?.join(',') ?? ''] } : undefined),
    shown: (match) => (has(match) ? `${shown} ${match.states?.join(',')}` : ''),
    options: Object.fromEntries(
      options.map((option) => [
        option,
        ({ value, not }: Given) => {
          const asked = value.split(',');
          const wrong = asked.find((one) => !STATES.includes(one as State));
          if (wrong !== undefined) throw new RangeError(`Bad ${name === 'state' ? 'state' : 'ctstate'} "${wrong}"`);
          if (not) throw unsupported(`! --${option}`);
          return { states: STATES.filter((one) => asked.includes(one)), stateMatch: name };
        },
      ]),
    ),
  };
}

const policy: Extension = {
  names: ['policy'],
  written: ({ policy: one }) => (one ? { name: 'policy', words: ['--dir', one.dir, '--pol', one.pol] } : undefined),
  shown: ({ policy: one }) => (one ? `policy match dir ${one.dir} pol ${one.pol}` : ''),
  options: {
    dir: ({ value }, _, { policy: one }) => {
      if (value !== 'in' && value !== 'out') throw new RangeError(`policy: Invalid argument to --dir: "${value}"`);
      return { policy: { pol: one?.pol ?? 'none', dir: value } };
    },
    pol: ({ value }, _, { policy: one }) => {
      if (value !== 'none' && value !== 'ipsec') throw new RangeError(`policy: Invalid argument to --pol: "${value}"`);
      return { policy: { dir: one?.dir ?? 'in', pol: value } };
    },
  },
};

const ports: Extension = {
  names: ['tcp', 'udp', 'sctp'],
  written: ({ protocol, sport, dport }) => {
    if (sport === undefined && dport === undefined) return undefined;
    const words = [
      ...(sport === undefined ? [] : ['--sport', `${sport}`]),
      ...(dport === undefined ? [] : ['--dport', `${dport}`]),
    ];
    return { name: protocol ?? 'all', words };
  },
  shown: ({ protocol = 'tcp', sport, dport }, numeric) => {
    if (sport === undefined && dport === undefined) return '';
    const one = (label: string, port: number | undefined) =>
      port === undefined ? '' : ` ${label}:${(numeric ? undefined : portName(port, protocol)) ?? port}`;
    return `${protocol}${one('spt', sport)}${one('dpt', dport)}`;
  },
  options: {
    sport: (given, name) => ({ sport: portOf(given, name) }),
    'source-port': (given, name) => ({ sport: portOf(given, name) }),
    dport: (given, name) => ({ dport: portOf(given, name) }),
    'destination-port': (given, name) => ({ dport: portOf(given, name) }),
  },
};

function portOf({ value, not }: Given, name: string): number {
  if (not) throw unsupported(`! --${name}`);
  if (/^\d*:\d*$/.test(value)) throw unsupported(`--${name} with a range`);
  const number = /^\d+$/.test(value) ? Number(value) : portNumber(value);
  if (number === undefined || number > 65535) throw new RangeError(`invalid port/service \`${value}' specified`);
  return number;
}

const u32: Extension = {
  names: ['u32'],
  written: ({ u32: one }) => (one ? { name: 'u32', words: ['--u32', `"${one}"`] } : undefined),
  shown: ({ u32: one }) => (one ? `u32 "${one}"` : ''),
  options: { u32: ({ value }) => ({ u32: value }) },
};

const addrtype: Extension = {
  names: ['addrtype'],
  written: ({ sourceType, destinationType }) => {
    if (!sourceType && !destinationType) return undefined;
    const words = [
      ...(sourceType ? ['--src-type', sourceType] : []),
      ...(destinationType ? ['--dst-type', destinationType] : []),
    ];
    return { name: 'addrtype', words };
  },
  shown: ({ sourceType, destinationType }) => {
    if (!sourceType && !destinationType) return '';
    return `ADDRTYPE match${sourceType ? ` src-type ${sourceType}` : ''}${destinationType ? ` dst-type ${destinationType}` : ''}`;
  },
  options: {
    'src-type': (given, name) => ({ sourceType: typeOf(given, name) }),
    'dst-type': (given, name) => ({ destinationType: typeOf(given, name) }),
  },
};

function typeOf({ value, not }: Given, name: string): 'LOCAL' {
  if (value !== 'LOCAL') throw unsupported(`--${name} ${value}`);
  if (not) throw unsupported(`! --${name}`);
  return 'LOCAL';
}

const ipvs: Extension = {
  names: ['ipvs'],
  written: ({ ipvs: one }) => (one ? { name: 'ipvs', words: ['--ipvs'] } : undefined),
  shown: ({ ipvs: one }) => (one ? 'ipvs' : ''),
  options: {
    ipvs: ({ not }) => {
      if (not) throw unsupported('! --ipvs');
      return { ipvs: true };
    },
  },
  flags: ['ipvs'],
};

/** Real iptables knows it. */
function unsupported(what: string): RangeError {
  return new RangeError(`${what}: not simulated`);
}

export const EXTENSIONS: readonly Extension[] = [state, policy, ports, u32, conntrack, addrtype, ipvs];
