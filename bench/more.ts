/** The benchmark's other subjects, each asked for by an option of its own; all but the way of single packets, which is `main.ts`'s. */

import { disk } from './disk.js';
import { growth, type SetUp, setUp } from './growth.js';
import type { Options } from './options.js';
import { peers } from './peers.js';
import { cores, type WorkersResult } from './workers.js';

const CONTAINERS = [500, 1000, 2000, 5000, 10_000];
const FLOWS = '1000,10000,100000,1000000';
const FLOWS_OF_A_LOAD = 1000;
const PACKETS = 1_000_000;
/** What several engines are for takes seconds: of one second their start is a tenth. */
const PACKETS_OF_SEVERAL = [PACKETS, 4 * PACKETS];

export function asked({ disk, growth, containers, workers, peers }: Options): boolean {
  return [disk, growth, containers, workers].some((one) => one !== undefined) || peers;
}

export async function more(values: Options): Promise<void> {
  if (values.workers !== undefined) {
    const { workers, turns, disk: directory, usualFlows } = values;
    const flows = usualFlows ? FLOWS_OF_A_LOAD : (values.flows[0] ?? 1);
    const results: WorkersResult[] = [];
    for (const packets of values.packets ?? (directory === undefined ? PACKETS_OF_SEVERAL : [PACKETS]))
      results.push(await cores(workers, packets, flows, turns, directory));
    print(values.json, results, results.flatMap(coresWords));
  } else if (values.disk !== undefined) {
    const result = await disk(values.disk, values.packets?.[0] ?? PACKETS, values.turns);
    print(
      values.json,
      [result],
      [
        `${result.frames} frames at every tap, ${(result.bytes / 1e9).toFixed(2)} GB, fsync included:`,
        `  ${result.seconds.toFixed(2)} s, ${result.nsPerPacket} ns a packet; ${result.cpuSeconds.toFixed(2)} s of processors' time`,
        `  ${result.writeSeconds.toFixed(2)} s for the same bytes by writes of 1 MiB: ${result.ratioToWrites} times that`,
      ],
    );
  } else if (values.growth !== undefined) {
    const counts = values.containers ?? CONTAINERS;
    const flows = values.usualFlows ? FLOWS : values.flows.join(',');
    const results = growth(values.growth, counts, flows);
    print(
      values.json,
      results,
      results.map((row) => JSON.stringify(row)),
    );
  } else if (values.containers !== undefined) {
    const result = await setUp(values.containers[0] ?? 0);
    print(values.json, [result], [words(result)]);
  } else {
    const results = await peers();
    print(
      values.json,
      results,
      results.map((one) =>
        'skipped' in one
          ? `${one.name}: skipped: ${one.skipped}`
          : `${one.name}: ${one.nsPerPacket} ns a packet, ${one.mpps} Mpps (${one.what})`,
      ),
    );
  }
}

function words({ containers, nodes, seconds, cpuSeconds, mebibytes }: SetUp): string {
  return `${containers} containers on ${nodes} nodes: ${seconds.toFixed(2)} s, ${cpuSeconds.toFixed(2)} s of a processor, ${mebibytes} MiB`;
}

function coresWords(result: WorkersResult): string[] {
  const seconds = (value: number) => `${value.toFixed(2)} s`;
  return [
    `${result.packets} packets ${result.captured ? 'captured at every tap' : 'without captures'}, start and end of all threads included:`,
    `  one engine: ${seconds(result.secondsOfOne)}; of processors ${seconds(result.cpuSecondsOfOne)}, the engine ${seconds(result.engineSecondsOfOne)}`,
    `  ${result.workers} engines: ${seconds(result.seconds)}; of processors ${seconds(result.cpuSeconds)}, the busiest engine ${seconds(result.engineSeconds)}, merging ${seconds(result.mergeSeconds)}`,
    `  ${result.gain.toFixed(2)} times as fast`,
  ];
}

function print(json: boolean, results: readonly object[], lines: readonly string[]): void {
  process.stdout.write(`${json ? JSON.stringify({ results }, null, 2) : lines.join('\n')}\n`);
}
