/** Programs of a line or two that stand in one-liners: true, false, printf, test, whoami, which, tr, tty, clear, timeout. */

import { readOptions } from './arguments.js';
import { durationOf } from './durations.js';
import { Exit, now, type Process, type Program, pathOf } from './process.js';
import { start } from './start.js';
import { join, type Steps } from './steps.js';

const TIMED_OUT = 124;

/** Backslashes as echo -e and printf read them. */
export function unescaped(text: string): string {
  const letters: Record<string, string> = {
    n: '\n',
    r: '\r',
    t: '\t',
    a: '\x07',
    b: '\b',
    f: '\f',
    v: '\v',
    '\\': '\\',
  };
  return text.replaceAll(/\\(?:x([0-9a-fA-F]{1,2})|0?([0-7]{1,3})|(.))/g, (whole, hex, octal, letter: string) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
    return letters[letter] ?? whole;
  });
}

// biome-ignore-start lint/correctness/useYield: every program is a generator, and these have nothing to wait for
function* yes(): Steps<number> {
  return 0;
}

function* no(): Steps<number> {
  return 1;
}

function* printf(process: Process): Steps<number> {
  const [, format, ...args] = process.argv;
  if (format === undefined) throw new Exit(2, 'printf: usage: printf FORMAT [ARG]...');
  const waiting = [...args];
  let status = 0;
  const number = (arg: string, kind: string) => {
    const value = integer(arg);
    if (value === undefined) {
      process.stderr.write(`printf: ${arg}: invalid number\n`);
      status = 1;
    }
    return kind === 'd' || kind === 'i'
      ? String(value ?? 0)
      : BigInt.asUintN(64, value ?? 0n).toString(kind === 'x' ? 16 : 10);
  };
  // The format is used again as long as it takes arguments.
  let before: number;
  do {
    before = waiting.length;
    process.stdout.write(
      unescaped(format).replaceAll(
        /%(-?)(0?)(\d*)([sdiuxc%])/g,
        (_, left: string, zero: string, width: string, kind: string) => {
          if (kind === '%') return '%';
          const arg = waiting.shift() ?? '';
          const text = kind === 's' ? arg : kind === 'c' ? arg.slice(0, 1) : number(arg, kind);
          return left ? text.padEnd(Number(width)) : text.padStart(Number(width), zero || ' ');
        },
      ),
    );
  } while (waiting.length > 0 && waiting.length < before);
  return status;
}

/** As C's strtoll reads it, nothing as 0; undefined: it is no number. */
function integer(text: string): bigint | undefined {
  const [, sign, digits = ''] = /^\s*([+-]?)(0x[\da-f]+|\d+)$/i.exec(text || '0') ?? [];
  if (digits === '' || /^0\d*[89]/.test(digits)) return undefined;
  const size = BigInt(/^0\d/.test(digits) ? `0o${digits.slice(1)}` : digits);
  return sign === '-' ? -size : size;
}

/** `test`, and `[ … ]`. */
function* test(process: Process): Steps<number> {
  const [name, ...args] = process.argv;
  if (name === '[' && args.pop() !== ']') throw new Exit(2, '[: missing ]');
  const negated = args[0] === '!';
  if (negated) args.shift();
  return holds(process, args) !== negated ? 0 : 1;
}

function holds(process: Process, args: readonly string[]): boolean {
  const [a = '', operator = '', b = ''] = args;
  if (args.length === 0) return false;
  if (args.length === 1) return a !== '';
  const { files } = process.machine;
  if (args.length === 2) {
    const path = pathOf(process, operator);
    switch (a) {
      case '-n':
        return operator !== '';
      case '-z':
        return operator === '';
      case '-f':
        return files.read(path) !== undefined;
      case '-d':
        return files.list(path) !== undefined;
      case '-s':
        return (files.read(path) ?? '') !== '';
      case '-e':
      case '-r':
        return files.read(path) !== undefined || files.list(path) !== undefined;
      default:
        throw new Exit(2, `test: ${a}: unknown operand`);
    }
  }
  const [name] = process.argv;
  const busybox = process.machine.flavour === 'busybox';
  if (args.length > 3) throw new Exit(2, `${name}: ${busybox ? `${args[3]}: unknown operand` : 'too many arguments'}`);
  if (operator === '=' || operator === '==') return a === b;
  if (operator === '!=') return a !== b;
  const compared = Object.hasOwn(COMPARED, operator) ? COMPARED[operator] : undefined;
  if (!compared) throw new Exit(2, `${name}: ${operator}: unknown operand`);
  const [left, right] = [a, b].map((text) => {
    if (/^\s*[+-]?\d+\s*$/.test(text)) return Number(text);
    throw new Exit(2, `${name}: ${text}: ${busybox ? 'bad number' : 'integer expression expected'}`);
  });
  return compared(left ?? 0, right ?? 0);
}

const COMPARED: Record<string, (a: number, b: number) => boolean> = {
  '-eq': (a, b) => a === b,
  '-ne': (a, b) => a !== b,
  '-lt': (a, b) => a < b,
  '-le': (a, b) => a <= b,
  '-gt': (a, b) => a > b,
  '-ge': (a, b) => a >= b,
};

function* whoami(process: Process): Steps<number> {
  process.stdout.write('root\n');
  return 0;
}

function* pwd(process: Process): Steps<number> {
  process.stdout.write(`${pathOf(process, '.')}\n`);
  return 0;
}

function* which(process: Process): Steps<number> {
  let status = 0;
  for (const name of process.argv.slice(1).filter((arg) => !arg.startsWith('-'))) {
    if (process.machine.program(name)) process.stdout.write(`${name.startsWith('/') ? '' : '/usr/bin/'}${name}\n`);
    else status = 1;
  }
  return status;
}

function* tty(process: Process): Steps<number> {
  process.stdout.write(process.terminal ? '/dev/pts/0\n' : 'not a tty\n');
  return process.terminal ? 0 : 1;
}

function* clear(process: Process): Steps<number> {
  process.stdout.write('\x1b[H\x1b[J');
  return 0;
}
// biome-ignore-end lint/correctness/useYield: every program is a generator, and these have nothing to wait for

/** `a-z`, `[:upper:]` and single letters, in their order. */
function letters(set: string): string[] {
  const classes: Record<string, string> = { upper: 'A-Z', lower: 'a-z', digit: '0-9', space: ' \t\n' };
  const plain = unescaped(set).replaceAll(/\[:(\w+):\]/g, (_, name: string) => classes[name] ?? '');
  return [...plain.matchAll(/(.)-(.)|([\s\S])/g)].flatMap(([, first, last, one]) => {
    if (one !== undefined) return [one];
    const from = first?.charCodeAt(0) ?? 0;
    return Array.from({ length: Math.max(0, (last?.charCodeAt(0) ?? 0) - from + 1) }, (_, i) =>
      String.fromCharCode(from + i),
    );
  });
}

function* tr(process: Process): Steps<number> {
  const options = readOptions('tr', process.argv.slice(1), { short: 'ds' });
  const [from, to] = options.operands.map(letters);
  if (!from || (!to && !options.has('d') && !options.has('s'))) throw new Exit(1, 'Usage: tr [-ds] STRING1 [STRING2]');
  const text = yield* process.stdin.text();
  let out = '';
  for (const letter of text) {
    const at = from.indexOf(letter);
    if (at >= 0 && options.has('d')) continue;
    const now = at >= 0 && to ? (to[Math.min(at, to.length - 1)] ?? letter) : letter;
    if (options.has('s') && (to ?? from).includes(now) && out.endsWith(now)) continue;
    out += now;
  }
  process.stdout.write(out);
  return 0;
}

/** `timeout 5 ping web`: as if somebody pressed Ctrl-C then. */
function* timeout(process: Process): Steps<number> {
  const options = readOptions('timeout', process.argv.slice(1), { short: 't:s:k:', strict: true });
  const [first = '', ...rest] = options.operands;
  const [time, argv] = options.has('t') ? [options.value('t') ?? '', [first, ...rest]] : [first, rest];
  const duration = durationOf('timeout', time);
  const program = process.machine.program(argv[0] ?? '');
  if (!program) throw new Exit(127, `timeout: can't execute '${argv[0] ?? ''}': No such file or directory`);
  const child = start({ ...process, argv, program });
  process.onInterrupt = () => child.interrupt();
  let late = false;
  const callOff = process.machine.namespace.engine.at(now(process) + duration, () => {
    late = true;
    child.interrupt();
  });
  try {
    const status = yield* join(child.task);
    return late ? (process.machine.flavour === 'busybox' ? 143 : TIMED_OUT) : status;
  } finally {
    callOff();
    child.task.stop(143);
  }
}

export const SMALL_TOOLS: Readonly<Record<string, Program>> = {
  true: yes,
  false: no,
  printf,
  test,
  '[': test,
  whoami,
  pwd,
  which,
  tty,
  clear,
  tr,
  timeout,
};
