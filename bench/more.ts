/** The benchmark's other subjects, each asked for by an option of its own; all but the way of single packets, which is `main.ts`'s. */

import { disk } from './disk.js';

export const MORE = {
  /** A directory on the disk that is to be measured. */
  disk: { type: 'string' },
  packets: { type: 'string', default: '1000000' },
} as const;

interface Values {
  disk?: string | undefined;
  packets: string;
  turns: string;
  json: boolean;
}

export function asked({ disk }: Values): boolean {
  return disk !== undefined;
}

export async function more(values: Values): Promise<void> {
  if (values.disk !== undefined) {
    const result = await disk(values.disk, Number(values.packets), Number(values.turns));
    print(values.json, result, [
      `${result.frames} frames at every tap, ${(result.bytes / 1e9).toFixed(2)} GB, fsync included:`,
      `  ${result.seconds.toFixed(2)} s, ${result.nsPerPacket} ns a packet; ${result.cpuSeconds.toFixed(2)} s of processors' time`,
      `  ${result.writeSeconds.toFixed(2)} s for the same bytes by writes of 1 MiB: ${result.ratioToWrites} times that`,
    ]);
  }
}

function print(json: boolean, result: object, lines: readonly string[]): void {
  process.stdout.write(`${json ? JSON.stringify({ results: [result] }, null, 2) : lines.join('\n')}\n`);
}
