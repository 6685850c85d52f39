/**
 * How fast the routing mesh is: ns a packet, captures off.
 *
 *   npm run bench -- [--json] [--flows 1000,100000] [--size 64,1400] [--only mesh,mesh-back] [--time MS]
 *
 * Batches are timed by tinybench; warm-up goes on until V8's optimizing compiler has had its time. Rows run in turns, and
 * the least of all batches is the figure, the median beside it. After the last turn frames and counters are checked.
 */

import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { Bench } from 'tinybench';
import { BATCH, Mesh } from './mesh.js';
import { establish, opening, type Row, steady } from './rows.js';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    flows: { type: 'string', default: '1000,100000' },
    size: { type: 'string', default: '64,1400' },
    only: { type: 'string' },
    /** Milliseconds a row and turn. */
    time: { type: 'string', default: '250' },
  },
});
const TURNS = 3;
const numbers = (text: string) => text.split(',').map(Number);
const wanted = (name: string) => !values.only || values.only.split(',').includes(name);

interface Measured {
  row: Row;
  mesh: Mesh;
  samples: number[];
}

const say = (text: string) => {
  if (process.stderr.isTTY && !values.json) process.stderr.write(`\r\x1b[K${text}`);
};

const measured: Measured[] = [];
for (const flows of numbers(values.flows)) {
  for (const protocol of ['tcp', 'udp'] as const) {
    const suffix = protocol === 'udp' ? '-udp' : '';
    const ways = (['out', 'back'] as const).filter((way) => wanted(`mesh${way === 'back' ? '-back' : ''}${suffix}`));
    if (ways.length === 0) continue;
    say(`${flows} ${protocol} flows are being established`);
    const mesh = await Mesh.create();
    const established = establish(mesh, protocol, flows);
    for (const way of ways)
      for (const size of numbers(values.size)) measured.push(measure(mesh, steady(established, way, size)));
  }
  if (wanted('mesh-syn')) {
    const mesh = await Mesh.create();
    measured.push(measure(mesh, opening(mesh, flows)));
  }
}

function measure(mesh: Mesh, row: Row): Measured {
  return { row, mesh, samples: [] };
}

for (let turn = 0; turn < TURNS; turn++) {
  for (const { row, mesh, samples } of measured) {
    say(`turn ${turn + 1} of ${TURNS}: ${row.name}, ${row.flows} flows, ${row.size} bytes`);
    const time = Number(values.time);
    const bench = new Bench({ time, warmup: turn === 0, warmupTime: time, throws: true, retainSamples: true });
    const before = mesh.books;
    let batches = 0;
    bench.add(row.name, () => mesh.receive(BATCH), {
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
    // What a turn has done is checked before another row uses the same swarm.
    try {
      row.verify(batches, before);
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

const results = measured.map(({ row, samples }) => {
  samples.sort((a, b) => a - b);
  const each = (milliseconds: number) => Math.round(((milliseconds * 1e6) / BATCH) * 10) / 10;
  const nsPerPacket = each(samples[0] ?? Number.NaN);
  const medianNsPerPacket = each(samples[samples.length >> 1] ?? Number.NaN);
  const { name, flows, size } = row;
  return { name, flows, size, nsPerPacket, mpps: Math.round(1e5 / nsPerPacket) / 100, medianNsPerPacket };
});

if (values.json) console.log(JSON.stringify({ results }));
else {
  const table = new Table({
    head: ['path', 'flows', 'bytes', 'ns/packet', 'Mpps', 'median ns'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const { name, flows, size, nsPerPacket, mpps, medianNsPerPacket } of results)
    table.push([
      name,
      flows.toLocaleString('en'),
      size,
      nsPerPacket.toFixed(1),
      mpps.toFixed(2),
      medianNsPerPacket.toFixed(1),
    ]);
  console.log(table.toString());
  console.log(
    `One core, captures off, batches of ${BATCH} frames, least of all batches. Every frame in came out; checksums and counters agree.`,
  );
}
