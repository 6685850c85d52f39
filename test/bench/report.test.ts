/** What the benchmark makes of its samples: figures, their names, and the verdict against an earlier run. */

import { describe, expect, it } from 'vitest';
import { gigahertz, hugePages } from '../../bench/machine.js';
import { BATCH } from '../../bench/mesh.js';
import { BadOption, options, ROWS } from '../../bench/options.js';
import { change, NotResults, type Result, readResults, resultOf, slower, table } from '../../bench/report.js';

/** Batches of so many nanoseconds a packet. */
const batches = (...nanoseconds: number[]) => nanoseconds.map((one) => (one * BATCH) / 1e6);
const row = { name: 'mesh', flows: 1000, size: 64 };
const native = [
  { least: 100 * BATCH, median: 130 * BATCH },
  { least: 90 * BATCH, median: 150 * BATCH },
  { least: 95 * BATCH, median: 140 * BATCH },
];

describe('a result', () => {
  it('is the least batch, beside the least of the C reference', () => {
    const result = resultOf({ ...row, batches: batches(300, 180, 200), native }, 2.5);
    expect(result).toEqual({
      name: 'mesh',
      flows: 1000,
      size: 64,
      nsPerPacket: 180,
      mpps: 5.56,
      ratioToNative: 2,
      gbps: 2.84,
      medianNsPerPacket: 200,
      nativeNsPerPacket: 90,
      nativeMedianNsPerPacket: 140,
      cyclesPerPacket: 450,
    });
  });

  it('has no ratio without the C reference, and no cycles without a clock', () => {
    const result = resultOf({ ...row, batches: batches(180), native: [] }, undefined);
    expect(result).toMatchObject({ ratioToNative: null, nativeNsPerPacket: null, cyclesPerPacket: null });
    expect(Object.keys(result).slice(0, 6)).toEqual(['name', 'flows', 'size', 'nsPerPacket', 'mpps', 'ratioToNative']);
  });

  it('stands in the table with its name, its flows and its size', () => {
    const text = table([resultOf({ ...row, flows: 100_000, batches: batches(180), native }, undefined)], undefined);
    expect(text).toMatch(/│ mesh +│ +100,000 +│ +64 +│ +180\.0 +│/);
    expect(text).not.toContain('change');
  });
});

describe('a comparison', () => {
  const result = (name: string, nsPerPacket: number, ratioToNative: number | null): Result => ({
    ...resultOf({ ...row, name, batches: batches(nsPerPacket), native: [] }, undefined),
    ratioToNative,
  });

  it('is by units of the C reference where both runs have it', () => {
    expect(change(result('mesh', 400, 2), [result('mesh', 200, 2)])).toBe(1);
    expect(slower([result('mesh', 200, 2.3)], [result('mesh', 400, 2)])).toHaveLength(1);
  });

  it('is by time where one of them has none', () => {
    expect(change(result('vip', 109, null), [result('vip', 100, null)])).toBeCloseTo(1.09);
    expect(slower([result('vip', 109, null)], [result('vip', 100, null)])).toEqual([]);
    expect(slower([result('vip', 112, null)], [result('vip', 100, null)]).map(({ name }) => name)).toEqual(['vip']);
  });

  it('says nothing of a row that the earlier run had not', () => {
    const here = [result('vip', 100, null)];
    expect(slower(here, [result('mesh', 1, null), { ...result('vip', 1, null), flows: 5 }])).toEqual([]);
    expect(table(here, [])).toContain('new');
  });

  it('reads what --json printed, and nothing else', () => {
    const results = [result('mesh', 200, 2)];
    expect(readResults(JSON.stringify({ results }))).toEqual(results);
    expect(() => readResults('> npm run bench\n{}')).toThrow(NotResults);
    expect(() => readResults('{"results": [{"name": "mesh"}]}')).toThrow(/--json/);
    expect(() => readResults('null')).toThrow(NotResults);
  });
});

describe('options', () => {
  it('are 1 000 and 100 000 flows of 64 and 1400 bytes, and all rows', () => {
    expect(options([])).toMatchObject({ flows: [1000, 100_000], size: [64, 1400], only: ROWS, json: false });
    for (const name of ['mesh', 'mesh-back', 'mesh-captured', 'mesh-syn', 'decapsulation'])
      expect(ROWS).toContain(name);
  });

  it.each([
    [['--only', 'mesh,mush'], /--only mush: there is no such row. Rows: mesh, /],
    [['--flows', 'many'], /--flows many: a whole number from 1 to 4000000/],
    [['--size', '64,9000'], /--size 9000: a whole number from 64 to 1400/],
    [['--turns', '0'], /--turns 0/],
    [['--fast'], /--fast/],
  ])('%j are refused with a word', (args, word) => {
    expect(() => options(args)).toThrow(BadOption);
    expect(() => options(args)).toThrow(word);
  });
});

it('takes the clock of the fastest core, where the system says it', () => {
  expect(gigahertz('cpu MHz\t\t: 2445.400\nflags\t: fpu\ncpu MHz\t\t: 3200.000\n')).toBe(3.2);
  expect(gigahertz('')).toBeUndefined();
});

it('tells who gets large pages, where the system says it', () => {
  expect(hugePages('always [madvise] never\n')).toBe('madvise');
  expect(hugePages('')).toBeUndefined();
});
