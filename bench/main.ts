/**
 * How fast the data path is: ns a packet, and how many times a C program's time.
 *
 *   npm run bench -- [--json] [--compare FILE] [--flows 1000,100000] [--size 64,1400] [--only mesh,mesh-back] [--time MS] [--turns N]
 *
 * Batches are timed by tinybench; warm-up goes on until V8's optimizing compiler has had its time. Rows run in turns, the C
 * reference (bench/native) right after each with as many batches; the least of all batches is the figure, the median beside
 * it. After every turn frames, digests and counters are checked.
 */

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { Bench } from 'tinybench';
import { BATCH, type Capturing, Mesh } from './mesh.js';
import { asked, MORE, more } from './more.js';
import { build, Native } from './native.js';
import { establish, opening, type Row, steady } from './rows.js';
import { WAYS, wayRow } from './ways.js';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    /** Results of an earlier run, as --json printed them. */
    compare: { type: 'string' },
    flows: { type: 'string', default: '1000,100000' },
    size: { type: 'string', default: '64,1400' },
    only: { type: 'string' },
    /** Milliseconds a row and turn. */
    time: { type: 'string', default: '250' },
    turns: { type: 'string', default: '3' },
    /** Without the flow table: what the slow way costs. */
    slow: { type: 'boolean', default: false },
    ...MORE,
  },
});
if (asked(values)) {
  await more(values);
  process.exit();
}
const numbers = (text: string) => text.split(',').map(Number);
const wanted = (name: string) => !values.only || values.only.split(',').includes(name);

interface Result {
  name: string;
  flows: number;
  size: number;
  nsPerPacket: number;
  mpps: number;
  /** Of the least times; null where there is no C reference. */
  ratioToNative: number | null;
  gbps: number;
  medianNsPerPacket: number;
  nativeNsPerPacket: number | null;
}

/** What a row's books are read from. */
type World = Pick<Mesh, 'engine' | 'books'>;

interface Measured {
  row: Row;
  mesh: World;
  samples: number[];
  native: { least: number; median: number }[];
}

const say = (text: string) => {
  if (process.stderr.isTTY && !values.json) process.stderr.write(`\r\x1b[K${text}`);
};

const built = build();
const reference = async (mesh: Mesh, flows: number): Promise<Native | undefined> => {
  if ('skipped' in built) return undefined;
  const native = new Native(built.program);
  await native.configure(mesh.nativeConfig(flows));
  return native;
};

const measured: Measured[] = [];
const add = (mesh: World, row: Row) => measured.push({ row, mesh, samples: [], native: [] });
const create = async (capture: Capturing = 'off'): Promise<Mesh> => {
  const mesh = await Mesh.create(capture);
  mesh.engine.exports.setFlowTable(values.slow ? 0 : 1);
  return mesh;
};
for (const flows of numbers(values.flows)) {
  for (const protocol of ['tcp', 'udp'] as const) {
    for (const way of ['out', 'back'] as const) {
      if (!wanted(`mesh${way === 'back' ? '-back' : ''}${protocol === 'udp' ? '-udp' : ''}`)) continue;
      for (const size of numbers(values.size)) {
        say(`${flows} ${protocol} flows are being established`);
        const mesh = await create();
        const native = protocol === 'tcp' ? await reference(mesh, flows) : undefined;
        add(mesh, await steady(await establish(mesh, protocol, flows, native), way, size, native));
      }
    }
  }
  for (const [name, capture] of [
    ['mesh-captured', 'memory'],
    ['mesh-captured-file', 'file'],
  ] as const) {
    if (!wanted(name)) continue;
    for (const size of numbers(values.size)) {
      say(`${flows} captured flows are being established`);
      const mesh = await create(capture);
      add(mesh, await steady(await establish(mesh, 'tcp', flows, undefined), 'out', size, undefined, capture));
    }
  }
  for (const name of WAYS) {
    if (!wanted(name)) continue;
    for (const size of numbers(values.size)) {
      say(`${flows} flows of ${name} are being established`);
      const { row, world } = await wayRow(name, flows, size, values.slow);
      add(world, row);
    }
  }
  if (wanted('mesh-syn')) {
    const mesh = await create();
    add(mesh, opening(mesh, flows));
  }
}

const turns = Number(values.turns);
for (let turn = 0; turn < turns; turn++) {
  for (const { row, mesh, samples, native } of measured) {
    say(`turn ${turn + 1} of ${turns}: ${row.name}, ${row.flows} flows, ${row.size} bytes`);
    const time = Number(values.time);
    const bench = new Bench({ time, warmup: turn === 0, warmupTime: time, throws: true, retainSamples: true });
    const before = mesh.books;
    const opened = row.opened();
    let batches = 0;
    bench.add(row.name, row.batch, {
      async: false,
      beforeEach: () => {
        row.stage();
        batches++;
      },
      afterEach: () => row.settle(),
    });
    bench.runSync();
    const result = bench.tasks[0]?.result;
    if (result?.state !== 'completed' || !result.latency.samples) throw new Error(`${row.name} was not measured`);
    samples.push(...result.latency.samples);
    if (row.native) native.push(await row.native.run(batches));
    // What a turn has done is checked before another row uses the same swarm.
    try {
      await row.verify(batches, before, opened);
    } catch (error) {
      const drops = mesh.engine.drops
        .map(({ device, reason, count }) => `${device.path} ${reason} ${count}`)
        .join(', ');
      throw new Error(
        `${row.name}, ${row.flows} flows, ${row.size} bytes: ${(error as Error).message} (drops: ${drops})`,
      );
    }
  }
}
say('');
for (const { row } of measured) row.native?.end();

const round = (value: number, digits: number) => Math.round(value * 10 ** digits) / 10 ** digits;
const results = measured.map(({ row, samples, native }): Result => {
  samples.sort((a, b) => a - b);
  const each = (milliseconds: number) => round((milliseconds * 1e6) / BATCH, 1);
  const nsPerPacket = each(samples[0] ?? Number.NaN);
  const nativeNsPerPacket = native.length > 0 ? each(Math.min(...native.map(({ least }) => least)) / 1e6) : null;
  const { name, flows, size } = row;
  return {
    name,
    flows,
    size,
    nsPerPacket,
    mpps: round(1000 / nsPerPacket, 2),
    ratioToNative: nativeNsPerPacket ? round(nsPerPacket / nativeNsPerPacket, 2) : null,
    gbps: round((size * 8) / nsPerPacket, 2),
    medianNsPerPacket: each(samples[samples.length >> 1] ?? Number.NaN),
    nativeNsPerPacket,
  };
});

const earlier = values.compare
  ? (JSON.parse(readFileSync(values.compare, 'utf8')) as { results: Result[] }).results
  : undefined;
const against = (one: Result) =>
  earlier?.find(({ name, flows, size }) => name === one.name && flows === one.flows && size === one.size);
/** The machine may be slower today: where both runs have the C reference, times are taken in its units. */
const change = (one: Result): number | undefined => {
  const then = against(one);
  if (!then) return undefined;
  return one.ratioToNative && then.ratioToNative
    ? one.ratioToNative / then.ratioToNative
    : one.nsPerPacket / then.nsPerPacket;
};

if (values.json) console.log(JSON.stringify({ results }));
else {
  const table = new Table({
    head: [
      'path',
      'flows',
      'bytes',
      'ns/packet',
      'Mpps',
      'Gbit/s',
      'C ns',
      '× C',
      'median ns',
      ...(earlier ? ['change'] : []),
    ],
    colAligns: ['left', ...Array.from({ length: 9 }, () => 'right' as const)],
    style: { head: [], border: [] },
  });
  for (const one of results) {
    const moved = change(one);
    table.push([
      one.name,
      one.flows.toLocaleString('en'),
      one.size,
      one.nsPerPacket.toFixed(1),
      one.mpps.toFixed(2),
      one.gbps.toFixed(2),
      one.nativeNsPerPacket?.toFixed(1) ?? '',
      one.ratioToNative?.toFixed(2) ?? '',
      one.medianNsPerPacket.toFixed(1),
      ...(earlier ? [moved ? `${moved < 1 ? '' : '+'}${((moved - 1) * 100).toFixed(1)} %` : ''] : []),
    ]);
  }
  console.log(table.toString());
  console.log(
    `One core, captures off but where a row says so, batches of ${BATCH} frames; of the mesh's TCP 1 % new connections and 1 % closing ones; least of all batches. ` +
      'Every frame in came out; checksums, counters and the C reference agree.',
  );
  if ('skipped' in built) console.log(`The C reference was skipped: ${built.skipped}.`);
}
const worse = earlier ? results.filter((one) => (change(one) ?? 1) > 1.1) : [];
if (worse.length > 0) {
  console.error(
    `slower by more than a tenth: ${worse.map(({ name, flows, size }) => `${name} ${flows}/${size}`).join(', ')}`,
  );
  process.exitCode = 1;
}
