/** The benchmark's other subjects, each asked for by an option of its own; all but the way of single packets, which is `main.ts`'s. */

import { disk } from './disk.js';
import { growth, type SetUp, setUp } from './growth.js';
import type { Options } from './options.js';
import { peers } from './peers.js';

const CONTAINERS = [500, 1000, 2000, 5000, 10_000];
const FLOWS = '1000,10000,100000,1000000';

export function asked({ disk, growth, containers, peers }: Options): boolean {
  return disk !== undefined || growth !== undefined || containers !== undefined || peers;
}

export async function more(values: Options): Promise<void> {
  if (values.disk !== undefined) {
    const result = await disk(values.disk, values.packets, values.turns);
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

function print(json: boolean, results: readonly object[], lines: readonly string[]): void {
  process.stdout.write(`${json ? JSON.stringify({ results }, null, 2) : lines.join('\n')}\n`);
}
