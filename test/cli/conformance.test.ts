/** `swarmwire conformance`: its last lines, its exit codes, what it writes. */

import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCapture } from '../../src/capture/read.js';
import { withEarlySynAck } from '../replay/recorded.js';
import { ORACLE, swarmwire } from './command.js';

const S7 = join(ORACLE, 'S7-ingress-one');
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'swarmwire-conformance-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A copy of S7 to do harm to. */
function copy(name: string): string {
  const target = join(folder, name);
  cpSync(S7, target, { recursive: true });
  return target;
}
const lastLines = (out: string) => out.trimEnd().split('\n').slice(-2);
const FRAMES = /^frames: (\d+) compared, (\d+) identical, (\d+) masked, (\d+) different$/;
const counts = (out: string) => (FRAMES.exec(lastLines(out)[1] ?? '') ?? []).slice(1).map(Number);

describe('conformance', () => {
  test('without a directory compares what comes with the source, in both modes', () => {
    const { code, out, err } = swarmwire(['conformance']);
    expect([code, err]).toEqual([0, '']);
    expect(lastLines(out)[0]).toMatch(/^scenarios: [1-9]\d* compared, \d+ waiting$/);
    const [compared = 0, identical = 0, masked = 0, different] = counts(out);
    expect(compared).toBe(identical + masked);
    expect(different).toBe(0);
    expect(out).toMatch(/S6-ingress +path/);
    expect(out).toMatch(/S6-ingress +stack/);
  });

  test('compares the mode that was asked for, and names scenarios of the same name apart', () => {
    const { code, out } = swarmwire(['conformance', '--mode', 'path', S7, copy('S7-ingress-one'), `${S7}/`]);
    expect(code).toBe(0);
    expect(lastLines(out)[0]).toBe('scenarios: 2 compared, 0 waiting');
    expect(out).not.toMatch(/ stack /);
  });

  test('ends with 1 when a real frame was changed', () => {
    const scenario = copy('changed');
    const path = join(scenario, 'node1.ov-ingress.vxlan0.pcap');
    const bytes = readFileSync(path);
    const last = bytes.length - 1;
    bytes[last] = (bytes[last] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    const { code, out } = swarmwire(['conformance', '--mode', 'path', scenario]);
    expect(code).toBe(1);
    expect(counts(out)[3]).toBeGreaterThan(0);
  });

  test('ends with 1 when a reply of the replay would overtake the frame it answers', () => {
    const scenario = copy('overtaken');
    const early = withEarlySynAck((name) => readFileSync(join(S7, name)), 24_000_000);
    for (const name of readdirSync(S7)) {
      const bytes = name === 'state' ? undefined : early(name);
      if (bytes) writeFileSync(join(scenario, name), bytes);
    }
    const { code, err } = swarmwire(['conformance', '--mode', 'path', scenario]);
    expect(code).toBe(1);
    expect(err).toMatch(
      /overtaken \(path\): a reply overtakes what it answers: node2\.task-my-web\.1\/eth0: frame 4, /,
    );
  });

  test('ends with 2 when a scenario cannot be read, and still compares the others', () => {
    const broken = copy('broken');
    writeFileSync(join(broken, 'inputs.json'), '{');
    const { code, out, err } = swarmwire(['conformance', '--mode', 'path', broken, S7]);
    expect(code).toBe(2);
    expect(err).toContain('broken');
    expect(lastLines(out)[0]).toBe('scenarios: 1 compared, 0 waiting');
    expect(counts(out)[3]).toBe(0);

    const headless = copy('headless');
    rmSync(join(headless, 'inputs.json'));
    expect(swarmwire(['conformance', headless])).toMatchObject({
      code: 2,
      err: expect.stringContaining('inputs.json is missing'),
    });
  });

  test('ends with 2 for a directory that is missing or holds no scenario', () => {
    mkdirSync(join(folder, 'empty', 'deeper'), { recursive: true });
    for (const directory of ['nosuch', 'empty']) {
      const { code, out, err } = swarmwire(['conformance', join(folder, directory)]);
      expect([code, out]).toEqual([2, '']);
      expect(err).toContain(directory);
    }
  });

  test('does not pass a named scenario that waits, but lists it in a directory of others', () => {
    const waiting = copy('oracle/waiting');
    cpSync(S7, join(folder, 'oracle', 'S7'), { recursive: true });
    const path = join(waiting, 'inputs.json');
    const inputs = JSON.parse(readFileSync(path, 'utf8'));
    inputs.networks.push({ ...inputs.networks[0], name: 'mv', driver: 'weave' });
    writeFileSync(path, JSON.stringify(inputs));
    const alone = swarmwire(['conformance', '--mode', 'path', waiting]);
    expect(lastLines(alone.out)[0]).toBe('scenarios: 0 compared, 1 waiting');
    expect(alone.code).toBe(1);
    const both = swarmwire(['conformance', '--mode', 'path', join(folder, 'oracle')]);
    expect(lastLines(both.out)[0]).toBe('scenarios: 1 compared, 1 waiting');
    expect(both.code).toBe(0);
    expect(swarmwire(['conformance', '--mode', 'path', waiting, S7]).code).toBe(1);
  });

  test('--out writes what our taps saw under the names of the real captures', () => {
    const ours = join(folder, 'ours');
    const { code, out } = swarmwire(['conformance', S7, '--out', ours]);
    expect(code).toBe(0);
    expect(out.split('\n')[0]).toContain(ours);
    const real = readdirSync(S7).filter((name) => name.endsWith('.pcap'));
    const written = join(ours, 'S7-ingress-one');
    expect(readdirSync(written).sort()).toEqual([...real, 'stack'].sort());
    expect(readdirSync(join(written, 'stack')).sort()).toEqual([...real].sort());
    const frames = (path: string) => readCapture(readFileSync(path)).frames;
    for (const name of real) expect(frames(join(written, name))).toHaveLength(frames(join(S7, name)).length);
    // One that has no random field in it: byte for byte what the real tap saw.
    const name = 'node1.ov-ingress.vxlan0.pcap';
    const sorted = (path: string) =>
      frames(path)
        .map(({ data }) => Buffer.from(data).toString('hex'))
        .sort();
    expect(sorted(join(written, name))).toEqual(sorted(join(S7, name)));
  });

  test('--out that cannot be written is bad input', () => {
    const file = join(folder, 'in-the-way');
    writeFileSync(file, '');
    const { code, err } = swarmwire(['conformance', '--mode', 'path', S7, '--out', file]);
    expect(code).toBe(2);
    expect(err).toContain(`cannot write ${file}`);
  });
});
