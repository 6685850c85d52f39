/** iptables-restore (v1.8.9): tables from a text as iptables-save writes it; if a line is wrong, all stays as it was. */

import type { Iptables, Table } from '../../engine/index.js';
import { HOOKS, TABLES } from '../../engine/rule-bits.js';
import { ip6tablesSave, iptablesSave } from '../../views/index.js';
import { readOptions } from '../arguments.js';
import { Exit, type Process, pathOf } from '../process.js';
import type { Steps } from '../steps.js';
import { change } from './iptables.js';
import { readLine } from './iptables-line.js';

interface Chosen {
  noflush: boolean;
  counters: boolean;
  program: string;
}

export function* restore(process: Process): Steps<number> {
  const [program = 'iptables-restore', ...args] = process.argv;
  const options = readOptions(program, args, {
    short: 'nctvwT:',
    long: ['noflush', 'counters', 'test', 'verbose', 'table='],
  });
  const [file] = options.operands;
  const text = file === undefined ? yield* process.stdin.text() : process.machine.files.read(pathOf(process, file));
  if (text === undefined) throw new Exit(1, `Can't open ${file}: No such file or directory`);
  const { iptables, ip6tables } = process.machine.namespace;
  const tables = program.includes('ip6') ? ip6tables : iptables;
  const chosen = {
    noflush: options.has('n') || options.has('noflush'),
    counters: options.has('c') || options.has('counters'),
    program,
  };
  const steps = stepsOf(tables, text, chosen);
  if (options.has('t') || options.has('test')) return 0;
  const before = (tables.family === 'ip6' ? ip6tablesSave : iptablesSave)(tables.namespace, { counters: true });
  try {
    for (const step of steps) step();
  } catch (error) {
    for (const step of stepsOf(tables, before, { noflush: false, counters: true, program })) step();
    throw error;
  }
  return 0;
}

/** What each line does. @throws Exit for a line of no known kind */
function stepsOf(tables: Iptables, text: string, { noflush, counters, program }: Chosen): (() => void)[] {
  const steps: (() => void)[] = [];
  let table: Table | undefined;
  for (const [i, line] of text.split('\n').entries()) {
    const bad = (words = 'line %d failed') => new Exit(2, `${program}: ${words.replace('%d', `${i + 1}`)}`);
    if (line === '' || line.startsWith('#')) continue;
    if (line.startsWith('*')) {
      const name = line.slice(1).trim();
      table = (Object.keys(TABLES) as Table[]).find((one) => one === name);
      if (!table) throw bad();
      const opened = table;
      if (!noflush) steps.push(() => empty(tables, opened));
      continue;
    }
    if (!table) throw bad();
    const here = table;
    if (line.trim() === 'COMMIT') {
      table = undefined;
      continue;
    }
    const [, chain, policy] = /^:(\S+) (-|ACCEPT|DROP)(?: \[\d+:\d+\])?$/.exec(line) ?? [];
    if (chain !== undefined) {
      steps.push(() => {
        const made = tables.chain(here, chain);
        if (policy === 'ACCEPT' || policy === 'DROP') made.policy = policy;
      });
      continue;
    }
    const [, packets, bytes, rest = line] = /^\[(\d+):(\d+)\] (.*)$/.exec(line) ?? [];
    if (!rest.startsWith('-')) throw bad();
    steps.push(() => {
      const read = readLine(tables, ['-t', here, ...wordsOf(rest)]);
      change(tables, read);
      const rule = tables.chains[here].get(read.chain ?? '')?.rules.at(-1);
      if (counters && packets !== undefined) rule?.setCounters(Number(packets), Number(bytes));
    });
  }
  if (table !== undefined) throw new Exit(1, `${program}: COMMIT expected at line ${text.split('\n').length}`);
  return steps;
}

function empty(tables: Iptables, table: Table): void {
  const chains = [...tables.chains[table].values()];
  for (const { rules } of chains) for (const rule of [...rules].reverse()) rule.remove();
  for (const { name } of chains) if (!Object.hasOwn(HOOKS, name)) tables.deleteChain(table, name);
}

/** Words, quotes off. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, plain]) =>
    quoted === undefined ? (plain ?? '') : quoted.replaceAll(/\\(.)/g, '$1'),
  );
}
