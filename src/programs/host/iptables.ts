/** iptables and iptables-save (v1.8.9, nf_tables back end): a namespace's rules, shown and changed. */

import type { Chain, Iptables } from '../../engine/index.js';
import { HOOKS } from '../../engine/rule-bits.js';
import { ip6tablesSave, iptablesList, iptablesRules, iptablesSave, listedChains } from '../../views/index.js';
import { readOptions } from '../arguments.js';
import { Exit, type Process } from '../process.js';
import type { Steps } from '../steps.js';
import { type Line, readLine } from './iptables-line.js';
import { VERSION, wrong } from './iptables-values.js';

const NO_CHAIN = 'iptables: No chain/target/match by that name.';
const BAD_RULE = 'iptables: Bad rule (does a matching rule exist in that chain?).';

// biome-ignore-start lint/correctness/useYield: every program is a generator, and these have nothing to wait for

export function* iptables(process: Process): Steps<number> {
  return perform(process, process.machine.namespace.iptables);
}

export function* ip6tables(process: Process): Steps<number> {
  try {
    return perform(process, process.machine.namespace.ip6tables);
  } catch (error) {
    if (error instanceof Exit) throw new Exit(error.status, error.words.replaceAll('iptables', 'ip6tables'));
    throw error;
  }
}

function perform(process: Process, tables: Iptables): number {
  const args = process.argv.slice(1);
  if (args.includes('-V') || args.includes('--version')) {
    process.stdout.write(`${tables.family === 'ip6' ? VERSION.replace('ip', 'ip6') : VERSION}\n`);
    return 0;
  }
  const line = readLine(tables, args);
  if (line.verb === 'L' || line.verb === 'S') process.stdout.write(shown(tables, line));
  else change(tables, line);
  return 0;
}

export function* save(process: Process): Steps<number> {
  const options = readOptions('iptables-save', process.argv.slice(1), {
    short: 'ct:M:f:',
    long: ['counters', 'table='],
  });
  const only = options.value('t') ?? options.value('table');
  const { namespace } = process.machine;
  const six = process.argv[0]?.includes('ip6');
  const text = (six ? ip6tablesSave : iptablesSave)(namespace, {
    counters: options.has('c') || options.has('counters'),
  });
  if (only === undefined) process.stdout.write(text);
  else {
    // From a table's first comment to its last.
    for (const part of text.split(/^(?=# Generated)/m)) if (part.includes(`\n*${only}\n`)) process.stdout.write(part);
  }
  return 0;
}
// biome-ignore-end lint/correctness/useYield: every program is a generator, and these have nothing to wait for

function shown(tables: Iptables, { verb, table, chain, number, ...options }: Line): string {
  if (chain !== undefined && !listedChains(tables, table).some(({ name }) => name === chain))
    throw new Exit(1, `${VERSION}: chain \`${chain}' in table \`${table}' is incompatible, use 'nft' tool.`);
  const asked = {
    ...options,
    ...(chain === undefined ? {} : { chain }),
    ...(number > 0 ? { rule: number } : {}),
  };
  return verb === 'L' ? iptablesList(tables, table, asked) : iptablesRules(tables, table, asked);
}

function isBase(name: string): boolean {
  return Object.hasOwn(HOOKS, name);
}

export function change(tables: Iptables, line: Line): void {
  const { engine } = tables;
  const { verb, table, chain: name, number, rules, word } = line;
  engine.drain();
  const known = tables.chains[table];
  const found = name === undefined ? undefined : chainNamed(line, known, () => tables.chain(table, name));
  const chosen = name === undefined ? [...known.values()] : found ? [found] : [];
  switch (verb) {
    case 'A':
    case 'I':
    case 'R': {
      if (!found || name === undefined) throw new Exit(1, NO_CHAIN);
      if (verb === 'I' && number > found.rules.length + 1) throw new Exit(1, 'iptables: Index of insertion too big.');
      if (verb === 'R') {
        const old = found.rules[number - 1];
        if (!old) throw new Exit(1, 'iptables: Index of replacement too big.');
        old.remove();
      }
      checkTarget(line);
      for (const rule of rules) {
        if (verb === 'A') tables.append(table, name, rule);
        else tables.insert(table, name, rule, Math.max(number - 1, 0));
      }
      return;
    }
    case 'C':
      for (const rule of rules) if (!tables.has(table, name ?? '', rule)) throw new Exit(1, BAD_RULE);
      return;
    case 'D': {
      if (number > 0) {
        if (!found) throw new Exit(1, NO_CHAIN);
        const old = found.rules[number - 1];
        if (!old) throw new Exit(1, 'iptables: Index of deletion too big.');
        old.remove();
        return;
      }
      for (const rule of rules) if (!tables.delete(table, name ?? '', rule)) throw new Exit(1, BAD_RULE);
      return;
    }
    case 'F':
      if (name !== undefined && !found) throw new Exit(1, NO_CHAIN);
      for (const chain of chosen) for (const rule of [...chain.rules].reverse()) rule.remove();
      return;
    case 'Z':
      if (name !== undefined && !found) throw new Exit(1, NO_CHAIN);
      for (const chain of chosen) chain.zero();
      return;
    case 'N':
      if (found || isBase(name ?? '')) throw new Exit(1, 'iptables: Chain already exists.');
      tables.chain(table, name ?? '');
      return;
    case 'X': {
      if (name !== undefined && (!found || isBase(name))) throw new Exit(1, NO_CHAIN);
      const used = new Set(
        [...known.values()].flatMap(({ rules: all }) => all.map(({ spec }) => ('chain' in spec ? spec.chain : ''))),
      );
      for (const chain of chosen) {
        if (isBase(chain.name)) continue;
        if (chain.rules.length > 0 || used.has(chain.name))
          throw new Exit(4, `${VERSION}:  CHAIN_DEL failed (Device or resource busy): chain ${chain.name}`);
      }
      for (const chain of chosen) if (!isBase(chain.name)) tables.deleteChain(table, chain.name);
      return;
    }
    case 'P':
      if (!found || !isBase(found.name)) throw new Exit(1, 'iptables: Bad built-in chain name.');
      if (word !== 'ACCEPT' && word !== 'DROP')
        throw new Exit(1, "iptables: Bad policy name. Run `dmesg' for more information.");
      found.policy = word;
      return;
    case 'E':
      throw wrong('-E: not simulated');
    default:
  }
}

/** A base chain of a table comes with the first command that needs it. */
function chainNamed(
  { table, chain = '' }: Line,
  known: ReadonlyMap<string, Chain>,
  make: () => Chain,
): Chain | undefined {
  const there = known.get(chain);
  if (there || !isBase(chain)) return there;
  const hooks: Record<string, readonly string[]> = {
    filter: ['INPUT', 'FORWARD', 'OUTPUT'],
    nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
    raw: ['PREROUTING', 'OUTPUT'],
  };
  return (hooks[table] ?? [chain]).includes(chain) ? make() : undefined;
}

/** NAT's targets stand in the table nat, at the hooks that they are for. */
function checkTarget({ table, chain = '', rules, verb }: Line): void {
  const places: Record<string, readonly string[]> = {
    DNAT: ['PREROUTING', 'OUTPUT'],
    REDIRECT: ['PREROUTING', 'OUTPUT'],
    SNAT: ['POSTROUTING', 'INPUT'],
    MASQUERADE: ['POSTROUTING'],
  };
  for (const { target } of rules) {
    const allowed = places[target];
    if (!allowed) continue;
    if (table === 'nat' && (!isBase(chain) || allowed.includes(chain))) continue;
    const what = verb === 'A' ? 'RULE_APPEND' : verb === 'I' ? 'RULE_INSERT' : 'RULE_REPLACE';
    throw new Exit(4, `${VERSION}:  ${what} failed (Invalid argument): rule in chain ${chain}`);
  }
}
