/** Results of rows: figures, the table, and the comparison with an earlier run. */

import Table from 'cli-table3';
import { BATCH } from './mesh.js';

export interface Result {
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
  nativeMedianNsPerPacket: number | null;
  /** At the processor's clock; null where that is not known. */
  cyclesPerPacket: number | null;
}

/** What was measured of a row: milliseconds a batch, and nanoseconds a batch of the C reference, for each turn. */
export interface Samples {
  name: string;
  flows: number;
  size: number;
  batches: number[];
  native: readonly { least: number; median: number }[];
}

/** Slower than this against an earlier run is a regression. */
export const WORSE = 1.1;

const round = (value: number, digits: number) => Math.round(value * 10 ** digits) / 10 ** digits;
function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

export function resultOf({ name, flows, size, batches, native }: Samples, ghz: number | undefined): Result {
  const each = (nanoseconds: number) => round(nanoseconds / BATCH, 1);
  const least = batches.reduce((least, one) => Math.min(least, one), Number.POSITIVE_INFINITY);
  const nsPerPacket = each(least * 1e6);
  const nativeNsPerPacket = native.length > 0 ? each(Math.min(...native.map((one) => one.least))) : null;
  return {
    name,
    flows,
    size,
    nsPerPacket,
    mpps: round(1000 / nsPerPacket, 2),
    ratioToNative: nativeNsPerPacket ? round(nsPerPacket / nativeNsPerPacket, 2) : null,
    gbps: round((size * 8) / nsPerPacket, 2),
    medianNsPerPacket: each(median(batches) * 1e6),
    nativeNsPerPacket,
    nativeMedianNsPerPacket: native.length > 0 ? each(median(native.map((one) => one.median))) : null,
    cyclesPerPacket: ghz ? Math.round(nsPerPacket * ghz) : null,
  };
}

/** By how much a result has changed: where both runs have the C reference, times are taken in its units, for the machine may be slower today. */
export function change(one: Result, earlier: readonly Result[]): number | undefined {
  const then = earlier.find(({ name, flows, size }) => name === one.name && flows === one.flows && size === one.size);
  if (!then) return undefined;
  return one.ratioToNative && then.ratioToNative
    ? one.ratioToNative / then.ratioToNative
    : one.nsPerPacket / then.nsPerPacket;
}
export function slower(results: readonly Result[], earlier: readonly Result[]): Result[] {
  return results.filter((one) => (change(one, earlier) ?? 1) > WORSE);
}

export class NotResults extends Error {}

/** What `--json` printed. */
export function readResults(text: string): Result[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new NotResults(`is not JSON: ${(error as Error).message}`);
  }
  const results = (parsed as { results?: unknown } | null)?.results;
  const whole = (one: Partial<Result> | null) => typeof one?.name === 'string' && typeof one.nsPerPacket === 'number';
  if (!Array.isArray(results) || !results.every(whole))
    throw new NotResults('holds no results: it is to be what `npm run bench -- --json` printed');
  return results as Result[];
}

const HEAD = ['row', 'flows', 'bytes', 'ns', 'cycles', 'Mpps', 'Gbit/s', 'C ns', '× C', 'median ns', 'C median ns'];

export function table(results: readonly Result[], earlier: readonly Result[] | undefined): string {
  const made = new Table({
    head: [...HEAD, ...(earlier ? ['change'] : [])],
    colAligns: ['left', ...HEAD.map(() => 'right' as const)],
    style: { head: [], border: [] },
  });
  for (const one of results) {
    const moved = earlier && change(one, earlier);
    made.push([
      one.name,
      one.flows.toLocaleString('en'),
      one.size,
      one.nsPerPacket.toFixed(1),
      one.cyclesPerPacket ?? '',
      one.mpps.toFixed(2),
      one.gbps.toFixed(2),
      one.nativeNsPerPacket?.toFixed(1) ?? '',
      one.ratioToNative?.toFixed(2) ?? '',
      one.medianNsPerPacket.toFixed(1),
      one.nativeMedianNsPerPacket?.toFixed(1) ?? '',
      ...(earlier ? [moved ? `${moved < 1 ? '' : '+'}${((moved - 1) * 100).toFixed(1)} %` : 'new'] : []),
    ]);
  }
  return made.toString();
}

export const LEGEND = `ns: a packet, on one core, of the least batch of ${BATCH} frames; cycles, Mpps and Gbit/s (of the frames that come in) follow from it.
C ns: the C reference's least batch; × C: the ratio of these two. median ns: of all batches; C median ns: of the turns' medians.
Captures are off but where a row says so. Of the mesh's TCP 1 % are new connections, and 1 % closing ones.
Every frame that went in came out, by the counters of every turn. After each turn the frames of 512 packets were looked at: those of the mesh
have right checksums and the digest of the C reference's; of the other ways each byte is what comes out without the flow table.`;
