/** Options as getopt reads them: `-c 3`, `-c3`, `-abc`, `--long`, `--long=value`, `--`; the rest are operands. */

import { Exit } from './process.js';

export interface Options {
  /** Value of an option that takes one, the last time it was given. */
  value(name: string): string | undefined;
  /** Times that an option was given. */
  count(name: string): number;
  has(name: string): boolean;
  readonly operands: readonly string[];
}

export interface OptionNames {
  /** Letters, those that take a value with a colon behind them, as getopt has it: `c:i:qv`. */
  short?: string;
  /** Long names; with `=` behind it one takes a value. */
  long?: readonly string[];
  /** Operands end the options: what follows is another program's. */
  strict?: boolean;
}

/** @throws Exit with busybox's words for an option that is not there. */
export function readOptions(program: string, args: readonly string[], names: OptionNames): Options {
  const values = new Map<string, string[]>();
  const operands: string[] = [];
  const { short = '', long = [], strict = false } = names;
  const note = (name: string, value: string) => values.set(name, [...(values.get(name) ?? []), value]);
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    if (arg === '--') {
      operands.push(...args.slice(i + 1));
      break;
    }
    if (arg.startsWith('--')) {
      const [name = '', ...rest] = arg.slice(2).split('=');
      if (long.includes(`${name}=`)) note(name, rest.length > 0 ? rest.join('=') : (args[++i] ?? ''));
      else if (long.includes(name)) note(name, '');
      else throw new Exit(1, `${program}: unrecognized option: ${name}`);
      continue;
    }
    if (!arg.startsWith('-') || arg === '-') {
      operands.push(arg);
      if (!strict) continue;
      operands.push(...args.slice(i + 1));
      break;
    }
    for (let at = 1; at < arg.length; at++) {
      const letter = arg[at] ?? '';
      const place = letter === ':' ? -1 : short.indexOf(letter);
      if (place < 0) throw new Exit(1, `${program}: unrecognized option: ${letter}`);
      if (short[place + 1] !== ':') {
        note(letter, '');
        continue;
      }
      const value = at + 1 < arg.length ? arg.slice(at + 1) : args[++i];
      if (value === undefined) throw new Exit(1, `${program}: option requires an argument: ${letter}`);
      note(letter, value);
      break;
    }
  }
  return {
    value: (name) => values.get(name)?.at(-1),
    count: (name) => values.get(name)?.length ?? 0,
    has: (name) => values.has(name),
    operands,
  };
}

/** A whole number; busybox's `invalid number 'alpine1'` otherwise. */
export function wholeNumber(program: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (!/^\d+$/.test(text)) throw new Exit(1, `${program}: invalid number '${text}'`);
  return Number(text);
}
