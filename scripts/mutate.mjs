// Mutation tests of the flow table: does a test fail when the engine does not ask, or do, one of the things that it does?
//   npm run mutate                                all mutants: hours
//   npm run mutate -- --only 'forward.ts:2\d\d never'   those whose name matches (it may be given several times)
//   npm run mutate -- --tests groups              tests of these files alone
//   npm run mutate -- --list                      only what there is, and how many tests get there
//   npm run mutate -- --quick 4 --patience 15     by tests of less than 4 s each, for 15 s a mutant
//   npm run mutate -- --again OUTPUT --known      those that lived in what was printed before; the known ones, too
// One engine has all of them (mutation/derive.mjs). A first run of the tests without any says which of them get to which; those
// then run for each mutant, the quick ones first, until one fails. mutation/known.txt names mutants that no test can tell, and why.
import { fork } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import asc from 'assemblyscript/asc';
import { rolldown } from 'rolldown';
import { mutated } from './mutation/derive.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, `build/mutants-${process.pid}`);
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const here = join(root, 'scripts/mutation');
const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    tests: { type: 'string', multiple: true, default: [] },
    list: { type: 'boolean', default: false },
    known: { type: 'boolean', default: false },
    quick: { type: 'string', default: '1e9' },
    again: { type: 'string' },
    patience: { type: 'string', default: '1e9' },
  },
});

// ---- what there is

/** Prefetches decide nothing; neither do pools and what is for reports. */
const LEFT_OUT = /\b(sink|seen|lookAhead|gone\+\+|opened)\b|ensure\w*\(/;

/** What is the flow table's elsewhere. */
const INSIDE = ['cells.ts', 'hooks/steady.ts', 'tables/generation.ts'];

/** What a file calls of the flow table's, or tells it. */
function told(text) {
  const names = [
    ...text.matchAll(
      /import \{([^}]*)\} from "[^"]*(?:flowtable\/(?!forward|foresee)[\w-]+|tables\/generation|\.\/steady)"/g,
    ),
  ]
    .flatMap(([, list]) => list.split(','))
    .map((name) => name.trim().split(/\s+/)[0])
    .filter((name) => /^[a-z]/.test(name));
  return names.length > 0 ? new RegExp(`^\\s*(?:if \\(.*\\) )?(?:return )?(?:${names.join('|')})\\(`) : undefined;
}

function sources() {
  const files = readdirSync(join(root, 'assembly'), { recursive: true }).map(String);
  return files
    .filter((file) => file.endsWith('.ts') && !/foresee|index\.ts$|testing\.ts$/.test(file))
    .sort()
    .map((file) => ({ file, text: readFileSync(join(root, 'assembly', file), 'utf8') }));
}

/** All mutants but those that the compiler refuses, and the engine's sources with them. */
function derive(refused) {
  const mutants = [];
  const texts = new Map();
  for (const { file, text } of sources()) {
    const inside = file.startsWith('flowtable/') || INSIDE.includes(file);
    const calls = told(text);
    if (!inside && !calls) continue;
    const before = mutants.length;
    const next = (rule, what, line) => {
      const name = `${file}:${line} ${rule}: ${what}`;
      // Without the question the compiler would not know that it is no null, without the assignment that it is anything.
      const alone = /^(?:!?(\w+)|(?:this\.)?(\w+) = .*)$/.exec(what);
      if (refused.has(`${file}:${line}`) || (alone && refused.has(`${file}:${alone[1] ?? alone[2]}`))) return 0;
      return mutants.push({ name, plain: `${file} ${rule}: ${what}` });
    };
    const wants = (line) =>
      !LEFT_OUT.test(line) && (inside || (calls.test(line) && !/^\s*if \(!?(is|was|asks)\w*\(/.test(line)));
    const now = mutated(text, wants, next);
    const up = relative(dirname(join('assembly', file)), 'assembly') || '.';
    if (mutants.length > before) texts.set(file, `import { m } from "${up}/mutant";${now}`);
  }
  return { mutants, texts };
}

// ---- one engine of them all

const MUTANT = `const met: usize = memory.data(16384);
let on: u32 = 0;
// @ts-ignore: decorator
@inline
export function m(n: u32): bool {
  store<u8>(met + n, 1);
  return on == n;
}
export function setMutant(n: u32): void { on = n; }
export function mutantsMet(): usize { return met; }
`;

async function compiled() {
  // What it refused the last time it refuses again.
  const before = join(root, 'build/mutants-refused.json');
  const refused = new Set(existsSync(before) ? JSON.parse(readFileSync(before, 'utf8')) : []);
  for (;;) {
    const { mutants, texts } = derive(refused);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(join(folder, 'build'), { recursive: true });
    cpSync(join(root, 'assembly'), join(folder, 'assembly'), { recursive: true });
    cpSync(join(root, 'asconfig.json'), join(folder, 'asconfig.json'));
    symlinkSync(join(root, 'test'), join(folder, 'test'));
    for (const [file, text] of texts) writeFileSync(join(folder, 'assembly', file), text);
    writeFileSync(join(folder, 'assembly/mutant.ts'), MUTANT);
    const entry = join(folder, 'assembly/testing.ts');
    writeFileSync(entry, `${readFileSync(entry, 'utf8')}export { setMutant, mutantsMet } from "./mutant";\n`);
    process.chdir(folder);
    const { error, stderr } = await asc.main(['assembly/testing.ts', '--target', 'testing']);
    process.chdir(root);
    writeFileSync(before, JSON.stringify([...refused]));
    if (!error) return mutants;
    const { size } = refused;
    const names = new Set(refused);
    for (const [, code, marks, file, line] of stderr
      .toString()
      .matchAll(/^ +\d+ │ (.*)\n +│ ( *~+)\n +└─ in assembly\/([\w/-]+\.ts)\((\d+),/gm)) {
      const name = code.slice(marks.indexOf('~'), marks.length);
      refused.add(/^\w+$/.test(name) && !names.has(`${file}:${name}`) ? `${file}:${name}` : `${file}:${line}`);
    }
    if (refused.size === size) throw new Error(stderr.toString());
  }
}

async function bundled() {
  const all = readdirSync(join(root, 'test/flowtable'))
    .filter((name) => name.endsWith('.test.ts') && !/allocation|sizes/.test(name))
    .map((name) => join('flowtable', name));
  all.push('tables/cells.test.ts');
  const files = all.filter((name) => values.tests.length === 0 || values.tests.some((part) => name.includes(part)));
  const entry = join(folder, 'entry.mjs');
  const imports = files.map((name) => `import ${JSON.stringify(join(root, 'test', name))};`);
  writeFileSync(entry, `${imports.join('\n')}\nexport { tests, before } from 'vitest';\n`);
  const bundle = await rolldown({
    input: entry,
    platform: 'node',
    resolve: { alias: { vitest: join(here, 'vitest.mjs') }, extensionAlias: { '.js': ['.ts', '.js'] } },
  });
  await bundle.write({ file: join(folder, 'tests.mjs'), format: 'esm', codeSplitting: false });
}

// ---- judging

/** A process that runs tests, and another one when it hangs. */
class Runner {
  #child;
  names = [];
  async #begin() {
    this.#child = fork(join(here, 'runner.mjs'), [folder], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const [{ ready }] = await this.#answer(60_000);
    this.names = ready;
  }
  #answer(patience) {
    const child = this.#child;
    return new Promise((done) => {
      const over = (answer) => {
        clearTimeout(timer);
        child.removeAllListeners();
        done([answer]);
      };
      const timer = setTimeout(() => over(undefined), patience);
      child.once('message', over);
      child.once('exit', () => over(undefined));
    });
  }
  async run(test, number, count, patience = 600_000) {
    if (!this.#child) await this.#begin();
    this.#child.send({ test, number, count });
    const [answer] = await this.#answer(patience);
    if (!answer || answer.spoiled) this.end();
    if (answer) return answer;
    return { failed: 'it does not end, or ends the process', took: patience, reached: [] };
  }
  async begin() {
    await this.#begin();
  }
  end() {
    this.#child?.kill('SIGKILL');
    this.#child = undefined;
  }
}

const mutants = await compiled();
await bundled();
const runner = new Runner();
await runner.begin();
const { names } = runner;
const reaching = mutants.map(() => []);
const took = [];
for (const [test, name] of names.entries()) {
  const { failed, took: time, reached } = await runner.run(test, 0, mutants.length);
  if (failed) console.log(`fails without any mutant, and is left out: ${name}: ${failed}`);
  took.push(time);
  if (!failed) for (const n of reached) reaching[n - 1].push(test);
}

const list = join(here, 'known.txt');
const known = existsSync(list)
  ? readFileSync(list, 'utf8')
      .split('\n')
      .map((line) => line.split(' # ')[0].trim())
  : [];
for (const line of known)
  if (line !== '' && !line.startsWith('#') && !mutants.some(({ plain }) => plain === line))
    console.log(`known.txt names what is no mutant any more: ${line}`);
const again =
  values.again &&
  new Set(
    [...readFileSync(values.again, 'utf8').matchAll(/^LIVES (\S+?):\d+ (.*) \(\d+ tests, \d+ s\)$/gm)].map(
      ([, file, what]) => `${file} ${what}`,
    ),
  );
let order = [...names.keys()].sort((a, b) => took[a] - took[b]);
const totals = { killed: 0, lives: 0, unreached: 0, known: 0 };
// Those that few tests get to come first: they are the ones that may live.
const rarely = [...mutants.entries()].sort(([a], [b]) => reaching[a].length - reaching[b].length);
for (const [i, { name, plain }] of rarely) {
  if (again && !again.has(plain)) continue;
  if (values.only.length > 0 && !values.only.some((part) => new RegExp(part).test(name))) continue;
  const tests = reaching[i].filter((test) => took[test] < values.quick * 1000);
  if (values.list) {
    console.log(`${name} (${tests.length} tests)`);
    continue;
  }
  if (!values.known && known.includes(plain)) {
    totals.known++;
    continue;
  }
  if (reaching[i].length === 0) {
    totals.unreached++;
    console.log(`NOT REACHED ${name}`);
    continue;
  }
  let by;
  const began = performance.now();
  for (const test of order.filter((one) => tests.includes(one))) {
    const { failed } = await runner.run(test, i + 1, mutants.length, took[test] * 20 + 20_000);
    if (!failed && performance.now() - began > values.patience * 1000) break;
    if (!failed) continue;
    by = `${names[test]}: ${failed}`;
    // Who has killed one kills its neighbours.
    order = [test, ...order.filter((one) => one !== test)];
    break;
  }
  totals[by ? 'killed' : 'lives']++;
  console.log(
    by
      ? `killed ${name} || ${by}`
      : `LIVES ${name} (${tests.length} tests, ${Math.round((performance.now() - began) / 1000)} s)`,
  );
}
runner.end();
console.log(totals);
