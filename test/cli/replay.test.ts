/** `swarmwire replay`: a capture injected at a device, what every tap saw, what the report says of it. */

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pcapHeader, pcapRecord } from '../../src/capture/pcap.js';
import { readCapture } from '../../src/capture/read.js';
import type { ReplayReport } from '../../src/cli/replay-report.js';
import { diffSides } from '../../src/replay/diff.js';
import { type Side, sideOf } from '../../src/replay/diff-sides.js';
import { ORACLE, swarmwire } from './command.js';

const REAL = join(ORACLE, 'S6-ingress', 'client.eth0.pcap');
const STACK = `
services: { web: { image: nginx, ports: ["8080:80"] }, echo: { image: echo, ports: ["5353:53/udp"], deploy: { replicas: 3 } } }
x-swarmwire:
  traffic:
    - udp: { from: client, to: "node1:5353", size: 64, datagrams: 4 }
    - udp: { from: client, to: "node1:5353", size: 3000 }
    - ping: { from: client, to: node1 }
`;
const HTTP = `
services: { web: { image: nginx, ports: ["8080:80"] } }
x-swarmwire: { traffic: [ { http: { from: client, to: "node1:8080" } } ] }
`;
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'swarmwire-replay-'));
  writeFileSync(join(folder, 'stack.yml'), STACK);
  writeFileSync(join(folder, 'http.yml'), HTTP);
  for (const args of [['stack.yml'], ['stack.yml', '--format', 'pcap'], ['http.yml']]) {
    expect(swarmwire(['run', ...args], { cwd: folder }).code).toBe(0);
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

const replay = (...args: string[]) => swarmwire(['replay', ...args], { cwd: folder });
const report = (...args: string[]): ReplayReport => {
  const { code, out, err } = replay(...args, '--json');
  expect([code, err]).toEqual([0, '']);
  return JSON.parse(out);
};
const read = (path: string) => readFileSync(join(folder, path));
/** Of a side the interfaces that a pattern matches. */
const only = (side: Side, pattern: RegExp): Side => ({
  ...side,
  interfaces: new Map([...side.interfaces].filter(([name]) => pattern.test(name ?? ''))),
});
const WHOLE = 'captures/stack.pcapng';
const FROM_CLIENT = [WHOLE, '--interface', 'client/host/eth0', '--at', 'node1/host/eth0', 'stack.yml'];

describe('what the client sent, once more into the same swarm', () => {
  test('makes the same frames at every device of node1 but for what is drawn', () => {
    const { code, out, err } = replay(...FROM_CLIENT);
    expect([code, err]).toEqual([0, '']);
    const [a, b] = [read(WHOLE), read('captures/stack.replay.pcapng')].map((bytes) =>
      only(sideOf(bytes), /^node1\//),
    ) as [Side, Side];
    const diff = diffSides(a, b, { mask: ['outer:udp.srcport', 'outer:ip.id', 'ip.id'] });
    expect(diff.differences).toEqual([]);
    expect(diff.compared).toBeGreaterThan(80);
    expect(out).toMatch(
      /^captures\/stack\.pcapng: \d+ frames of client\/host\/eth0 injected at node1\/host\/eth0, as received$/m,
    );
    expect(out).toMatch(/^left out: \d+ frames, received at client\/host\/eth0$/m);
  });

  test('keeps the time of the first frame, and the times between', () => {
    const times = (bytes: Uint8Array, tap: string, direction: string) => {
      const { interfaces, frames } = readCapture(bytes);
      return frames
        .filter((frame) => interfaces[frame.interface]?.name === tap && frame.direction === direction)
        .map(({ time }) => time);
    };
    replay(...FROM_CLIENT);
    const sent = times(read(WHOLE), 'client/host/eth0', 'transmitted');
    const came = times(read('captures/stack.replay.pcapng'), 'node1/host/eth0', 'received');
    const hop = 1000n;
    for (const time of sent) expect(came).toContain(time + hop);
  });

  test('accounts for every frame, with reasons and places of drops', () => {
    const { ok, injected, frames, drops, leftOut, capture } = report(...FROM_CLIENT);
    expect(ok).toBe(true);
    expect(frames.injected).toBe(injected);
    expect(frames.made).toBe(frames.delivered + frames.dropped + frames.inFlight);
    expect(injected + leftOut.reduce((sum, { count }) => sum + count, 0)).toBe(
      readCapture(read('captures/stack/client.host.eth0.pcap')).frames.length,
    );
    expect(capture).toMatchObject({ file: WHOLE, interface: 'client/host/eth0', truncated: false, warnings: [] });
    expect(drops.other).toEqual([]);
  });

  test('is the same from a pcap, where the device’s MAC tells who sent what', () => {
    const a = report(...FROM_CLIENT, '--out', 'ng');
    const b = report(
      'captures/stack/client.host.eth0.pcap',
      '--at',
      'node1/host/eth0',
      'stack.yml',
      '--out',
      'classic',
    );
    expect(b.injected).toBe(a.injected);
    expect(b.leftOut).toEqual([{ count: a.leftOut[0]?.count, why: 'sent by node1/host/eth0 itself (eth.src)' }]);
    const files = [read('ng/stack.replay.pcapng'), read('classic/client.host.eth0.replay.pcapng')].map(sideOf);
    expect(diffSides(files[0] as Side, files[1] as Side).equal).toBe(true);
  });

  test('may be sent by the client itself, and then is answered again', () => {
    const { injected, frames } = report(
      WHOLE,
      '--at',
      'client/host/eth0',
      '--as',
      'transmitted',
      'stack.yml',
      '--out',
      'tx',
    );
    expect(frames.injected).toBe(injected);
    const [a, b] = [read(WHOLE), read('tx/stack.replay.pcapng')].map((bytes) =>
      only(sideOf(bytes), /^client\/host\/eth0$/),
    );
    const diff = diffSides(a as Side, b as Side, { mask: ['ip.id'] });
    expect(diff.differences).toEqual([]);
    expect(diff.compared).toBeGreaterThan(15);
  });
});

describe('TCP', () => {
  test('gets as far as the SYN, ACK of a service, and that is said', () => {
    const { notes } = report(
      'captures/http.pcapng',
      '--interface',
      'client/host/eth0',
      '--at',
      'node1/host/eth0',
      'http.yml',
    );
    expect(notes).toEqual([
      expect.stringMatching(/^\d+ of \d+ frames acknowledge TCP sequence numbers of the recorded/),
    ]);
    const [a, b] = [read('captures/http.pcapng'), read('captures/http.replay.pcapng')].map((bytes) => {
      const { interfaces, frames } = readCapture(bytes);
      const tap = interfaces.findIndex(({ name }) => name === 'node1/host/eth0');
      // SYN and SYN, ACK between the client and node1.
      return frames.filter(
        ({ data, ...frame }) => frame.interface === tap && data[23] === 6 && ((data[47] ?? 0) & 2) !== 0,
      );
    });
    const diff = diffSides(sideOf(a ?? []), sideOf(b ?? []));
    expect(diff.compared).toBe(2);
    expect(Object.keys(diff.fields).sort()).toEqual(['tcp.options.timestamp.tsval', 'tcp.seq']);
  });

  test('that comes back to a recorded sender is not reset by the machine that stands in its place', () => {
    report(
      'captures/http.pcapng',
      '--interface',
      'client/host/eth0',
      '--at',
      'node1/host/eth0',
      'http.yml',
      '--out',
      'rst',
    );
    const { interfaces, frames } = readCapture(read('rst/http.replay.pcapng'));
    const tap = interfaces.findIndex(({ name }) => name === 'client/host/eth0');
    const sent = frames.filter((frame) => frame.interface === tap && frame.direction === 'transmitted');
    expect(sent).toEqual([]);
  });
});

describe('a capture of real machines', () => {
  test('is injected as it is, and frames for another machine are named once', () => {
    const { code, out } = replay(REAL, '--at', 'node2/host/eth0', 'http.yml', '--nodes', '2', '--out', 'real');
    expect(code).toBe(0);
    expect(out.match(/are for another machine/g)).toHaveLength(1);
    expect(out).toMatch(/not node2\/host\/eth0's \(52:54:00:[0-9a-f:]+\), so they end as OTHERHOST$/m);
    expect(out).toMatch(/^ {4}OTHERHOST +\d+ {2}at .*node2\/host\/eth0 \(\d+\)/m);
    expect(existsSync(join(folder, 'real', 'client.eth0.replay.pcapng'))).toBe(true);
  });

  test('that other nodes of the swarm have sent says so', () => {
    const { notes } = report(WHOLE, '--at', 'node1/host/eth0', 'stack.yml', '--out', 'both');
    expect(notes).toContainEqual(
      expect.stringMatching(/^\d+ of \d+ frames were sent by node\d \([\d.]+\): this swarm has it too/),
    );
  });

  test('that is cut short is injected up to the cut', () => {
    const bytes = readFileSync(REAL);
    writeFileSync(join(folder, 'cut.pcap'), bytes.subarray(0, 3000));
    const { capture } = report('cut.pcap', '--at', 'node1/host/eth0', 'http.yml', '--out', 'cut');
    expect(capture).toMatchObject({ truncated: true, warnings: [expect.stringContaining('cut short at byte 3000')] });
  });

  test('may hold anything: nothing is lost, nothing breaks', () => {
    const noise = [0, 1, 13, 14, 60, 1514, 9000, 70_000, 200_000].map((length) =>
      Uint8Array.from({ length }, (_, index) => (index * 31 + length) & 0xff),
    );
    const records = noise.map((data, index) => pcapRecord({ time: BigInt(9 - index) * 10n ** 9n, data }));
    writeFileSync(join(folder, 'noise.pcap'), Buffer.concat([pcapHeader(), ...records]));
    const { ok, injected, leftOut } = report('noise.pcap', '--at', 'node1/host/eth0', 'http.yml', '--out', 'noise');
    expect(ok).toBe(true);
    expect(injected + leftOut.reduce((sum, { count }) => sum + count, 0)).toBe(noise.length);
    expect(leftOut).toEqual([{ count: expect.any(Number), why: 'longer than any frame that the engine takes' }]);
  });
});

test('--format pcap writes a file per interface', () => {
  const { code, out } = replay(...FROM_CLIENT, '--format', 'pcap', '--out', 'pcaps');
  expect(code).toBe(0);
  expect(readdirSync(join(folder, 'pcaps', 'stack.replay'))).toContain('node1.ov-ingress.vxlan0.pcap');
  expect(out).toContain('pcaps/stack.replay/node1.host.eth0.pcap');
});

test('the two files may come in either order', () => {
  const { code } = replay('stack.yml', WHOLE, '--at', 'node1/host/eth0', '--out', 'order');
  expect(code).toBe(0);
});

test.each([
  [[], 'which capture, and into which stack?', 'swarmwire replay IN.pcap --at'],
  [[REAL], 'and which other file?', 'swarmwire replay IN.pcap --at'],
  [[REAL, 'stack.yml'], 'at which device?', '--at node1/host/eth0'],
  [[REAL, 'stack.yml', 'c.pcap', '--at', 'x'], 'c.pcap', 'too many'],
  [
    [REAL, 'stack.yml', '--at', 'node1/host/eht0'],
    '--at node1/host/eht0: the swarm has no such device',
    'node1/host/eth0',
  ],
  [[REAL, 'stack.yml', '--at', 'node1/eth0'], 'no such device', 'node1/host/eth0'],
  [[REAL, 'stack.yml', '--at', 'node9/host/eth0'], 'no such device', 'node1/host/eth0'],
  [[REAL, 'stack.yml', '--at', 'web'], 'no such device', 'namespaces are client/host node1/host'],
  [[REAL, 'stack.yml', '--at', 'node1/host/eth0', '--as', 'sent'], '--as sent', 'it is received or transmitted'],
  [['nosuch.pcap', 'stack.yml', '--at', 'node1/host/eth0'], 'cannot read nosuch.pcap', ''],
  [[REAL, 'nosuch.yml', '--at', 'node1/host/eth0'], 'cannot read nosuch.yml', ''],
  [[WHOLE, 'stack.yml', '--at', 'node1/host/docker0', '--as', 'received'], 'no frame to inject', ''],
  [
    [WHOLE, 'stack.yml', '--at', 'node1/host/eth0', '--interface', 'client/host/eht0'],
    'there is no interface',
    'client/host/eth0',
  ],
  [[WHOLE, 'http.yml', '--at', 'client/host/lo', '--interface', 'client/host/eth0', '--seed', 'x'], '--seed x', ''],
])('replay %j is refused with exit code 2, and nothing is written', (args, message, hint) => {
  const { code, out, err } = replay(...args, '--out', 'never');
  expect([code, out]).toEqual([2, '']);
  expect(err).toContain(message);
  expect(err).toContain(hint);
  expect(existsSync(join(folder, 'never'))).toBe(false);
});

test('a capture of many interfaces, none of them the device, asks which', () => {
  writeFileSync(join(folder, 'one.yml'), 'services: { web: { image: nginx } }');
  const { code, err } = replay(WHOLE, 'one.yml', '--at', 'node1/lb-default/lo', '--nodes', '1');
  expect(code).toBe(2);
  expect(err).toMatch(/no frame to inject|--interface NAME picks one/);
});

test('replay --help teaches', () => {
  const { code, out } = replay('--help');
  expect(code).toBe(0);
  for (const words of ['--at', '--as transmitted', '--interface', 'OTHERHOST', 'Examples:', 'Exit codes']) {
    expect(out).toContain(words);
  }
});
