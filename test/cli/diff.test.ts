/** `swarmwire diff`: what it says, its exit codes, its JSON. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ORACLE, swarmwire } from './command.js';

const REAL = join(ORACLE, 'S6-ingress', 'node1.host.eth0.pcap');
const STACK =
  'services: { echo: { image: echo, ports: ["5353:53/udp"], deploy: { replicas: 3 } } }\n' +
  'x-swarmwire: { traffic: [ { udp: { from: client, to: "node1:5353", datagrams: 2 } } ] }\n';
let folder = '';
const file = (name: string) => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'swarmwire-diff-'));
  writeFileSync(file('stack.yml'), STACK);
  for (const [seed, format, out] of [
    ['1', 'pcapng', 'one'],
    ['1', 'pcap', 'one'],
    ['2', 'pcapng', 'two'],
  ] as const) {
    const { code } = swarmwire(['run', 'stack.yml', '--seed', seed, '--format', format, '--out', out], { cwd: folder });
    expect(code).toBe(0);
  }
  const bytes = readFileSync(REAL);
  writeFileSync(file('cut.pcap'), bytes.subarray(0, bytes.length - 5));
  const last = bytes.length - 1;
  bytes[last] = (bytes[last] ?? 0) ^ 1;
  writeFileSync(file('changed.pcap'), bytes);
  const cooked = readFileSync(REAL);
  cooked.writeUInt32LE(276, 20);
  writeFileSync(file('cooked.pcap'), cooked);
  writeFileSync(file('text.pcap'), 'no capture\n');
});
afterAll(() => rmSync(folder, { recursive: true }));

const diff = (...args: string[]) => swarmwire(['diff', ...args], { cwd: folder });
const lines = (text: string) => text.trimEnd().split('\n');

describe('equal captures', () => {
  test('end with 0 and their counts', () => {
    const { code, out, err } = diff(REAL, REAL);
    expect([code, err]).toEqual([0, '']);
    const [a, b, interfaces, ...rest] = lines(out);
    expect(a).toMatch(/^A {2}\S+node1\.host\.eth0\.pcap {2}\d+ frames$/);
    expect(b).toMatch(/^B {2}/);
    expect(interfaces).toBe('interfaces: neither side names its interfaces: all frames of A with all of B');
    expect(rest).toEqual([expect.stringMatching(/^frames: (\d+) compared, \1 identical, 0 masked, 0 different$/)]);
  });

  test('are a pcap of one interface and the pcapng that has it among others', () => {
    const { code, out } = diff(
      'one/stack.pcapng',
      'one/stack/node1.ov-ingress.vxlan0.pcap',
      '--interface',
      'node1/ov-ingress/vxlan0',
    );
    expect(code).toBe(0);
    expect(out).toContain(
      'interfaces: node1/ov-ingress/vxlan0 alone; B does not name its interface: all of it\nframes: ',
    );
    expect(lines(out).at(-1)).not.toContain('frames: 0 compared');
  });
});

describe('different captures', () => {
  test('end with 1, the differences in words', () => {
    const { code, out, err } = diff(REAL, 'changed.pcap');
    expect([code, err]).toEqual([1, '']);
    expect(out).toMatch(/^A frame (\d+), B frame \1, .*: changed\n {4}\S/m);
    expect(lines(out).at(-1)).toMatch(/ 0 masked, 1 different$/);
  });

  test('are equal under a mask, in a list or one by one', () => {
    const args = ['one/stack.pcapng', 'two/stack.pcapng', '--interface', 'node1/host/eth0'];
    const found = diff(...args);
    expect(found.code).toBe(1);
    const fields = /^differing fields: (.*)$/m.exec(found.out)?.[1] ?? '';
    const names = fields.split(', ').map((field) => field.replace(/ \d+$/, ''));
    expect(names).toEqual(expect.arrayContaining(['outer:udp.srcport', 'outer:ip.id', 'inner:udp.srcport']));
    expect(names.every((name) => /(^|:)(ip\.id|(udp)\.(src|dst)port|eth\.(src|dst))$/.test(name))).toBe(true);
    for (const masks of [['--mask', names.join(',')], names.flatMap((name) => ['--mask', name])]) {
      const { code, out } = diff(...args, ...masks);
      expect(code).toBe(0);
      expect(out).toContain('\nmasked fields: ');
      expect(lines(out).at(-1)).toMatch(/, [1-9]\d* masked, 0 different$/);
    }
  });

  test('are told up to a limit', () => {
    const { out } = diff('one/stack.pcapng', 'two/stack.pcapng', '--limit', '1');
    expect(out.match(/^ *A frame /gm)).toHaveLength(1);
    expect(out).toMatch(/^and \d+ more differences; --limit N tells N of them$/m);
    expect(diff(REAL, 'changed.pcap', '--limit', '0').out).not.toContain('A frame');
  });

  test('as JSON are one document', () => {
    const { code, out, err } = diff('cut.pcap', REAL, '--json');
    expect([code, err]).toEqual([1, '']);
    const document = JSON.parse(out);
    expect(document).toMatchObject({
      equal: false,
      a: { file: 'cut.pcap', truncated: true, interfaces: 1, warnings: [expect.stringContaining('cut short')] },
      b: { file: REAL, truncated: false, frames: document.a.frames + 1 },
      compared: document.b.frames,
      identical: document.a.frames,
      masked: 0,
      different: 1,
      differences: [{ kind: 'extra', b: document.b.frames }],
    });
  });

  test('that were cut short say so', () => {
    const { code, out } = diff('cut.pcap', REAL);
    expect(code).toBe(1);
    expect(out).toMatch(/^note: A: cut short at byte \d+: frame \d+ has \d+ of its \d+ bytes$/m);
  });
});

test.each([
  [[], 'which two captures?', 'swarmwire diff A.pcapng B.pcapng'],
  [[REAL], 'which other capture?', 'swarmwire diff A.pcapng B.pcapng'],
  [[REAL, REAL, 'c.pcap'], 'two captures at a time', 'c.pcap'],
  [[REAL, 'nosuch.pcap'], 'cannot read nosuch.pcap: there is no such file', ''],
  [[REAL, '.'], 'cannot read .: it is a directory', ''],
  [[REAL, 'text.pcap'], 'cannot read text.pcap: neither pcap nor pcapng', ''],
  [['cooked.pcap', REAL], 'not of Ethernet frames, but of link type 276', 'tcpdump -i eth0'],
  [[REAL, REAL, '--mask', 'ip.idd'], '--mask ip.idd: there is no such field', 'did you mean ip.id?'],
  [[REAL, REAL, '--mask', 'outer:udp.scrport'], 'there is no such field', 'did you mean udp.srcport?'],
  [[REAL, REAL, '--mask', 'udp.port'], 'there is no such field', 'udp.srcport udp.dstport'],
  [[REAL, REAL, '--mask', 'nonsense'], 'there is no such field', 'eth, vlan, arp'],
  [[REAL, REAL, '--mask', 'ip.id,'], '--mask: a field name is missing', ''],
  [[REAL, REAL, '--interface', 'eth0'], 'neither file names its interfaces', ''],
  [
    ['one/stack.pcapng', REAL, '--interface', 'node1/host/eht0'],
    'neither file has it',
    'did you mean node1/host/eth0?',
  ],
  [[REAL, REAL, '--limit', '-1'], '--limit', ''],
  [[REAL, REAL, '--vxlan-port', '70000'], '--vxlan-port 70000: not a whole number from 1 to 65535', ''],
  [[REAL, REAL, '--msak', 'ip.id'], 'unknown option --msak', 'did you mean --mask?'],
])('diff %j is refused with exit code 2', (args, message, hint) => {
  const { code, out, err } = diff(...args);
  expect([code, out]).toEqual([2, '']);
  expect(err).toContain(message);
  expect(err).toContain(hint);
  expect(lines(err).length).toBeLessThanOrEqual(2);
});

test('diff --help teaches masks and the last line', () => {
  const { code, out } = diff('--help');
  expect(code).toBe(0);
  for (const words of ['--mask', 'outer:ip.id', '--json', 'Examples:', 'Exit codes: 0 equal'])
    expect(out).toContain(words);
  expect(out).toContain('frames: N compared, N identical, N masked, N different');
});
