/**
 * The match extensions of iptables' rules, one entry each: how `-S` writes one, how `-L` shows it, and how a command line gives
 * it. They stand in the order in which Docker writes them, and iptables prints them.
 */

import type { Negated, Port, RuleMatch, State } from '../engine/rules.js';
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

const state = connectionStates('state', 'state');
const conntrack = connectionStates('conntrack', 'ctstate');

function connectionStates(name: 'state' | 'conntrack', option: 'state' | 'ctstate'): Extension {
  const has = (match: RuleMatch) => match.states !== undefined && (match.stateMatch ?? 'conntrack') === name;
  return {
    names: [name],
    written: (match) =>
      has(match) ? { name, words: [...bang(match, 'state'), `--${option}`, match.states?.join(',') ?? ''] } : undefined,
    shown: (match) => (has(match) ? `${negates(match, 'state') ? '! ' : ''}${option} ${match.states?.join(',')}` : ''),
    options: {
      [option]: ({ value, not }, _, match) => {
        const asked = value.split(',');
        const wrong = asked.find((one) => !STATES.includes(one as State));
        if (wrong !== undefined) throw new RangeError(`Bad ${option} "${wrong}"`);
        const states = STATES.filter((one) => asked.includes(one));
        return { states, stateMatch: name, ...noted(match, 'state', not) };
      },
    },
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
  written: (match) => {
    const words = (['sport', 'dport'] as const).flatMap((side) =>
      match[side] === undefined ? [] : [...bang(match, side), `--${side}`, `${match[side]}`],
    );
    return words.length === 0 ? undefined : { name: match.protocol ?? 'all', words };
  },
  shown: (match, numeric) => {
    const { protocol = 'tcp', sport, dport } = match;
    if (sport === undefined && dport === undefined) return '';
    const one = (label: string, side: 'sport' | 'dport') => {
      const port = match[side];
      if (port === undefined) return '';
      const names = `${port}`
        .split(':')
        .map((text) => (numeric ? undefined : portName(Number(text), protocol)) ?? text);
      return ` ${label}${names.length > 1 ? 's' : ''}:${negates(match, side) ? '!' : ''}${names.join(':')}`;
    };
    return `${protocol}${one('spt', 'sport')}${one('dpt', 'dport')}`;
  },
  options: {
    sport: portOption('sport'),
    'source-port': portOption('sport'),
    dport: portOption('dport'),
    'destination-port': portOption('dport'),
  },
};

function portOption(side: 'sport' | 'dport') {
  return ({ value, not }: Given, _: string, match: RuleMatch): RuleMatch => ({
    [side]: portOf(value),
    ...noted(match, side, not),
  });
}

/** `80`, `http`, `80:90`, `:90`, `80:` */
function portOf(text: string): Port {
  const [first = '', last] = text.split(':');
  const number = (name: string, empty: number): number => {
    if (name === '' && last !== undefined) return empty;
    const found = /^\d+$/.test(name) ? Number(name) : portNumber(name);
    if (found === undefined || found > 65535) throw new RangeError(`invalid port/service \`${name}' specified`);
    return found;
  };
  if (last === undefined) return number(first, 0);
  const [from, to] = [number(first, 0), number(last, 65535)];
  if (from > to) throw new RangeError('invalid portrange (min > max)');
  return from === to ? from : `${from}:${to}`;
}

const u32: Extension = {
  names: ['u32'],
  written: ({ u32: one }) => (one ? { name: 'u32', words: ['--u32', `"${one}"`] } : undefined),
  shown: ({ u32: one }) => (one ? `u32 "${one}"` : ''),
  options: { u32: ({ value }) => ({ u32: value }) },
};

const bpf: Extension = {
  names: ['bpf'],
  written: ({ bpf: one }) => (one ? { name: 'bpf', words: ['--bytecode', `"${one}"`] } : undefined),
  // -L prints the instructions without their number.
  shown: ({ bpf: one }) => (one ? `match bpf ${one.replace(/^\d+,/, '')}` : ''),
  options: { bytecode: ({ value }) => ({ bpf: value }) },
};

const ADDRESS_TYPES =
  'UNSPEC UNICAST LOCAL BROADCAST ANYCAST MULTICAST BLACKHOLE UNREACHABLE PROHIBIT THROW NAT XRESOLVE'.split(' ');
const SIDES = [
  ['sourceType', 'src-type'],
  ['destinationType', 'dst-type'],
] as const;

const addrtype: Extension = {
  names: ['addrtype'],
  written: (match) => {
    const words = SIDES.flatMap(([side, option]) => {
      const type = match[side];
      return type ? [...bang(match, side), `--${option}`, type] : [];
    });
    return words.length === 0 ? undefined : { name: 'addrtype', words };
  },
  shown: (match) => {
    const words = SIDES.flatMap(([side, option]) => {
      const type = match[side];
      return type ? [`${option} ${negates(match, side) ? '!' : ''}${type}`] : [];
    });
    return words.length === 0 ? '' : `ADDRTYPE match ${words.join(' ')}`;
  },
  options: Object.fromEntries(
    SIDES.map(([side, option]) => [
      option,
      ({ value, not }: Given, name: string, match: RuleMatch): RuleMatch => {
        if (!ADDRESS_TYPES.includes(value)) throw new RangeError(`addrtype: bad type "${value}"`);
        if (value !== 'LOCAL') throw unsupported(`--${name} ${value}`);
        return { [side]: 'LOCAL', ...noted(match, side, not) };
      },
    ]),
  ),
};

const ipvs: Extension = {
  names: ['ipvs'],
  written: (match) => (match.ipvs ? { name: 'ipvs', words: [...bang(match, 'ipvs'), '--ipvs'] } : undefined),
  shown: (match) => (match.ipvs ? `${negates(match, 'ipvs') ? '! ' : ''}ipvs` : ''),
  options: { ipvs: ({ not }, _, match) => ({ ipvs: true, ...noted(match, 'ipvs', not) }) },
  flags: ['ipvs'],
};

const mark: Extension = {
  names: ['mark'],
  written: (match) =>
    match.mark ? { name: 'mark', words: [...bang(match, 'mark'), '--mark', markText(match.mark)] } : undefined,
  shown: (match) => (match.mark ? `mark match ${negates(match, 'mark') ? '! ' : ''}${markText(match.mark)}` : ''),
  options: {
    mark: ({ value: text, not }, _, match) => {
      const [value = Number.NaN, mask = 0xffffffff] = text.split('/').map(Number);
      if (Number.isNaN(value) || Number.isNaN(mask))
        throw new RangeError('mark: bad value for option "--mark", or out of range (0-4294967295).');
      return { mark: { value, mask }, ...noted(match, 'mark', not) };
    },
  },
};

function markText({ value, mask }: { value: number; mask: number }): string {
  return `0x${value.toString(16)}${mask === 0xffffffff ? '' : `/0x${mask.toString(16)}`}`;
}

const comment: Extension = {
  names: ['comment'],
  written: ({ comment: text }) =>
    text === undefined
      ? undefined
      : { name: 'comment', words: ['--comment', /^[\w./:-]+$/.test(text) ? text : JSON.stringify(text)] },
  shown: ({ comment: text }) => (text === undefined ? '' : `/* ${text} */`),
  options: { comment: ({ value }) => ({ comment: value }) },
};

function negates({ not }: RuleMatch, what: Negated): boolean {
  return not?.includes(what) ?? false;
}

/** The words before an option. */
function bang(match: RuleMatch, what: Negated): string[] {
  return negates(match, what) ? ['!'] : [];
}

function noted(match: RuleMatch, what: Negated, not: boolean): Pick<RuleMatch, 'not'> {
  return not ? { not: [...(match.not ?? []), what] } : {};
}

/** Real iptables knows it. */
function unsupported(what: string): RangeError {
  return new RangeError(`${what}: not simulated`);
}

export const EXTENSIONS: readonly Extension[] = [
  state,
  policy,
  ports,
  u32,
  bpf,
  conntrack,
  addrtype,
  ipvs,
  mark,
  comment,
];
