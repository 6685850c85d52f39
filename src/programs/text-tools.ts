/** The little programs that stand in pipes and one-liners: cat, echo, grep, head, tail, wc, sort, cut, seq and their like. */

import { readOptions, wholeNumber } from './arguments.js';
import { durationOf } from './durations.js';
import { Exit, MILLISECOND, type Process, type Program, pathOf, sleep as wait } from './process.js';
import { unescaped } from './small-tools.js';
import { type Steps, until } from './steps.js';

/** Files named, or standard input. */
function* inputs(process: Process, names: readonly string[]): Steps<string> {
  if (names.length === 0) return yield* process.stdin.text();
  const [program = ''] = process.argv;
  let whole = '';
  for (const name of names) {
    if (name === '-') {
      whole += yield* process.stdin.text();
      continue;
    }
    const text = process.machine.files.read(pathOf(process, name));
    if (text === undefined)
      throw new Exit(
        program === 'grep' ? 2 : 1,
        `${program}: can't open '${name}': No such file or directory`.replace(/^grep: can't open '(.*)':/, 'grep: $1:'),
      );
    whole += text;
  }
  return whole;
}

function linesOf(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

function* cat(process: Process): Steps<number> {
  const names = process.argv.slice(1).filter((arg) => !/^-[A-Za-z]+$/.test(arg));
  const { files } = process.machine;
  const kept = names.map((name) => files.bytes(pathOf(process, name)));
  if (names.length > 0) {
    if (kept.every((one) => one !== undefined)) for (const bytes of kept) process.stdout.write(bytes);
    else process.stdout.write(yield* inputs(process, names));
    return 0;
  }
  while (true) {
    const piece = yield* process.stdin.read();
    if (piece === undefined) return 0;
    process.stdout.write(piece);
  }
}

// biome-ignore lint/correctness/useYield: every program is a generator, and this one has nothing to wait for
function* echo(process: Process): Steps<number> {
  const args = process.argv.slice(1);
  let end = '\n';
  let escapes = false;
  while (args[0] && /^-[ne]+$/.test(args[0])) {
    const flags = args.shift() ?? '';
    if (flags.includes('n')) end = '';
    if (flags.includes('e')) escapes = true;
  }
  const text = args.join(' ');
  process.stdout.write((escapes ? unescaped(text) : text) + end);
  return 0;
}

function* grep(process: Process): Steps<number> {
  const options = readOptions('grep', process.argv.slice(1), {
    short: 'ivcEnqowFe:m:A:B:',
    long: ['color=', 'colour='],
  });
  const [first, ...names] = options.operands;
  const pattern = options.value('e') ?? first;
  if (pattern === undefined) throw new Exit(2, 'Usage: grep [OPTIONS] PATTERN [FILE]...');
  if (options.value('e') !== undefined && first !== undefined) names.unshift(first);
  let source = options.has('F')
    ? pattern.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
    : options.has('E')
      ? pattern
      : basic(pattern);
  if (options.has('w')) source = `\\b(?:${source})\\b`;
  let match: RegExp;
  try {
    match = new RegExp(source, options.has('i') ? 'i' : '');
  } catch {
    throw new Exit(2, `grep: bad regex '${pattern}': Invalid preceding regular expression`);
  }
  const lines = linesOf(yield* inputs(process, names));
  const hits = lines
    .map((line, index) => ({ line, index }))
    .filter(({ line }) => match.test(line) !== options.has('v'))
    .slice(0, wholeNumber('grep', options.value('m'), Number.POSITIVE_INFINITY));
  if (options.has('c')) process.stdout.write(`${hits.length}\n`);
  else if (!options.has('q')) {
    for (const { line, index } of hits) {
      const shown = options.has('o') ? (match.exec(line)?.[0] ?? '') : line;
      process.stdout.write(`${options.has('n') ? `${index + 1}:` : ''}${shown}\n`);
    }
  }
  return hits.length > 0 ? 0 : 1;
}

/** A basic regular expression as an extended one: `\|`, `\+`, `\(…\)` are operators, their bare kin are letters. */
function basic(pattern: string): string {
  return pattern.replaceAll(
    /\\([|+?(){}])|([|+?(){}])/g,
    (_, escaped: string | undefined, bare: string | undefined) => escaped ?? `\\${bare}`,
  );
}

function* headOrTail(process: Process): Steps<number> {
  const [program = ''] = process.argv;
  const args = process.argv.slice(1).map((arg) => (/^-\d+$/.test(arg) ? `-n${arg.slice(1)}` : arg));
  const options = readOptions(program, args, { short: 'n:c:f' });
  const count = wholeNumber(program, options.value('n')?.replace(/^[-+]/, ''), 10);
  const lines = linesOf(yield* inputs(process, options.operands));
  const kept = program === 'head' ? lines.slice(0, count) : count === 0 ? [] : lines.slice(-count);
  for (const line of kept) process.stdout.write(`${line}\n`);
  return 0;
}

function* wc(process: Process): Steps<number> {
  const options = readOptions('wc', process.argv.slice(1), { short: 'lwc' });
  const text = yield* inputs(process, options.operands);
  const all = !options.has('l') && !options.has('w') && !options.has('c');
  const counts = [
    ...(all || options.has('l') ? [text.split('\n').length - 1] : []),
    ...(all || options.has('w') ? [text.split(/\s+/).filter((word) => word !== '').length] : []),
    ...(all || options.has('c') ? [new TextEncoder().encode(text).length] : []),
  ];
  const name = options.operands[0] ?? '';
  const shown = counts.length === 1 ? String(counts[0]) : counts.map((count) => String(count).padStart(9)).join(' ');
  process.stdout.write(`${`${shown} ${name}`.trimEnd()}\n`);
  return 0;
}

function* sort(process: Process): Steps<number> {
  const options = readOptions('sort', process.argv.slice(1), { short: 'nru' });
  const lines = linesOf(yield* inputs(process, options.operands));
  lines.sort((a, b) =>
    options.has('n') ? Number.parseFloat(a) - Number.parseFloat(b) || (a < b ? -1 : 1) : a < b ? -1 : a > b ? 1 : 0,
  );
  if (options.has('r')) lines.reverse();
  const kept = options.has('u') ? lines.filter((line, i) => line !== lines[i - 1]) : lines;
  for (const line of kept) process.stdout.write(`${line}\n`);
  return 0;
}

function* uniq(process: Process): Steps<number> {
  const options = readOptions('uniq', process.argv.slice(1), { short: 'c' });
  const runs: { line: string; count: number }[] = [];
  for (const line of linesOf(yield* inputs(process, options.operands))) {
    const last = runs.at(-1);
    if (last?.line === line) last.count++;
    else runs.push({ line, count: 1 });
  }
  for (const { line, count } of runs)
    process.stdout.write(`${options.has('c') ? `${String(count).padStart(7)} ` : ''}${line}\n`);
  return 0;
}

function* cut(process: Process): Steps<number> {
  const options = readOptions('cut', process.argv.slice(1), { short: 'd:f:c:' });
  const separator = options.value('d') ?? '\t';
  const list = options.value('f') ?? options.value('c') ?? '1';
  const wanted = list.split(',').map((range) => {
    const [from = '', to = from] = range.split('-');
    return { from: Number(from || 1), to: range.includes('-') && to === '' ? Number.POSITIVE_INFINITY : Number(to) };
  });
  const taken = <T>(parts: readonly T[]) =>
    parts.filter((_, i) => wanted.some(({ from, to }) => i + 1 >= from && i + 1 <= to));
  for (const line of linesOf(yield* inputs(process, options.operands))) {
    if (options.value('c') !== undefined) process.stdout.write(`${taken([...line]).join('')}\n`);
    else process.stdout.write(`${line.includes(separator) ? taken(line.split(separator)).join(separator) : line}\n`);
  }
  return 0;
}

// biome-ignore-start lint/correctness/useYield: every program is a generator, and these have nothing to wait for
function* seq(process: Process): Steps<number> {
  const numbers = process.argv.slice(1).map(Number);
  if (numbers.length === 0 || numbers.some(Number.isNaN)) throw new Exit(1, 'Usage: seq [FIRST [INC]] LAST');
  const [first, step, last] =
    numbers.length === 1 ? [1, 1, numbers[0]] : numbers.length === 2 ? [numbers[0], 1, numbers[1]] : numbers;
  for (let n = first ?? 1; (step ?? 1) > 0 ? n <= (last ?? 0) : n >= (last ?? 0); n += step ?? 1)
    process.stdout.write(`${n}\n`);
  return 0;
}

function* hostname(process: Process): Steps<number> {
  const options = readOptions('hostname', process.argv.slice(1), { short: 'isfdI' });
  const { machine } = process;
  const own = machine.files
    .read('/etc/hosts')
    ?.split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([address, ...names]) => address !== undefined && names.includes(machine.hostname))
    .map(([address]) => address);
  // All of the interfaces' own, not those of a name (net-tools).
  const all = [...machine.namespace.devices.values()]
    .filter(({ name }) => name !== 'lo')
    .flatMap(({ addresses }) => addresses.map(({ address }) => address));
  const shown = options.has('I') ? `${all.join(' ')} ` : options.has('i') ? (own?.join(' ') ?? '') : machine.hostname;
  process.stdout.write(`${shown}\n`);
  return 0;
}

function* ps(process: Process): Steps<number> {
  const { machine } = process;
  if (machine.flavour === 'debian') {
    process.stdout.write(procps(process));
    return 0;
  }
  process.stdout.write('PID   USER     TIME  COMMAND\n');
  for (const { pid, command } of process.machine.processes)
    process.stdout.write(`${String(pid).padStart(5)} root      0:00 ${command}\n`);
  return 0;
}

/** procps': bare, `aux` or `-ef`. */
function procps({ argv, machine, terminal }: Process): string {
  const args = argv.slice(1).join('');
  const line = terminal ? 'pts/0' : '?';
  const lines = machine.processes.map(({ pid, command }) => {
    if (args.includes('u'))
      return `root ${String(pid).padStart(11)}  0.0  0.0      0     0 ${line.padEnd(8)} Ss   00:00   0:00 ${command}`;
    if (args.includes('f'))
      return `root ${String(pid).padStart(11)} ${'0'.padStart(7)}  0 00:00 ${line.padEnd(8)} 00:00:00 ${command}`;
    return `${String(pid).padStart(7)} ${line.padEnd(8)} 00:00:00 ${command.split(' ')[0]}`;
  });
  const title = args.includes('u')
    ? 'USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND'
    : args.includes('f')
      ? 'UID          PID    PPID  C STIME TTY          TIME CMD'
      : '    PID TTY          TIME CMD';
  return `${[title, ...lines].join('\n')}\n`;
}

function* env(process: Process): Steps<number> {
  for (const [name, value] of process.environment) process.stdout.write(`${name}=${value}\n`);
  return 0;
}

function* date(process: Process): Steps<number> {
  const { engine } = process.machine.namespace;
  const [format] = process.argv.slice(1).filter((arg) => arg.startsWith('+'));
  if (format !== undefined) {
    const now = new Date(Number(engine.epoch / 1_000_000n) + engine.now / MILLISECOND).toISOString();
    const parts: Record<string, string> = {
      Y: now.slice(0, 4),
      m: now.slice(5, 7),
      d: now.slice(8, 10),
      H: now.slice(11, 13),
      M: now.slice(14, 16),
      S: now.slice(17, 19),
      F: now.slice(0, 10),
      T: now.slice(11, 19),
      s: String(Math.floor(Date.parse(now) / 1000)),
      N: `${now.slice(20, 23)}000000`,
      Z: 'UTC',
      '%': '%',
    };
    process.stdout.write(`${format.slice(1).replaceAll(/%(.)/g, (whole, letter: string) => parts[letter] ?? whole)}\n`);
    return 0;
  }
  const [week = '', day = '', month = '', year = '', time = ''] = new Date(
    Number(engine.epoch / 1_000_000n) + engine.now / MILLISECOND,
  )
    .toUTCString()
    .replace(',', '')
    .split(' ');
  process.stdout.write(`${week} ${month} ${String(Number(day)).padStart(2)} ${time} UTC ${year}\n`);
  return 0;
}

function* ls(process: Process): Steps<number> {
  const names = process.argv.slice(1).filter((arg) => !arg.startsWith('-'));
  const { files } = process.machine;
  for (const name of names.length > 0 ? names : ['.']) {
    const path = pathOf(process, name);
    const list = files.list(path);
    if (list) for (const entry of list) process.stdout.write(`${entry}\n`);
    else if (files.read(path) !== undefined) process.stdout.write(`${name}\n`);
    else throw new Exit(1, `ls: ${name}: No such file or directory`);
  }
  return 0;
}

function* uname(process: Process): Steps<number> {
  const options = readOptions('uname', process.argv.slice(1), { short: 'asnrvmo' });
  const parts: [string, string][] = [
    ['s', 'Linux'],
    ['n', process.machine.hostname],
    ['r', '6.1.0-swarmwire'],
    ['m', 'x86_64'],
  ];
  const all = options.has('a');
  const shown = parts.filter(([letter]) => all || options.has(letter) || (letter === 's' && process.argv.length === 1));
  process.stdout.write(`${shown.map(([, text]) => text).join(' ')}\n`);
  return 0;
}

function* id(process: Process): Steps<number> {
  process.stdout.write('uid=0(root) gid=0(root) groups=0(root)\n');
  return 0;
}
// biome-ignore-end lint/correctness/useYield: every program is a generator, and these have nothing to wait for

function* sleep(process: Process): Steps<number> {
  const [, ...durations] = process.argv;
  if (durations.length === 0) throw new Exit(1, 'Usage: sleep [N]...');
  for (const text of durations) {
    if (text === 'infinity' || text === 'inf') yield* until<never>(() => undefined);
    yield* wait(process, durationOf('sleep', text));
  }
  return 0;
}

export const TEXT_TOOLS: Record<string, Program> = {
  cat,
  echo,
  grep,
  head: headOrTail,
  tail: headOrTail,
  wc,
  sort,
  uniq,
  cut,
  seq,
  hostname,
  ps,
  env,
  printenv: env,
  date,
  ls,
  uname,
  id,
  sleep,
};
