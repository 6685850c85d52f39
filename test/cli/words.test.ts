/** The parts of the command that are not worth a process each. */

import picocolors from 'picocolors';
import { describe, expect, test } from 'vitest';
import { columns } from '../../src/cli/columns.js';
import { howToOpen } from '../../src/cli/how-to-open.js';
import { nearest } from '../../src/cli/nearest.js';
import { ProgressLine } from '../../src/cli/progress.js';
import type { RunReport } from '../../src/cli/run-report.js';
import { duration, renderRun, size } from '../../src/cli/run-text.js';

const plain = picocolors.createColors(false);

function report(changes: Partial<RunReport> = {}): RunReport {
  return {
    ok: true,
    swarmwire: '0.1.0',
    file: 'stack.yml',
    seed: 1,
    stack: {
      nodes: [{ name: 'node1', role: 'manager' }],
      networks: [],
      services: [
        {
          name: 'web',
          tasks: [{ name: 'web.1', node: 'node1' }],
          ports: [{ published: 8080, target: 80, protocol: 'tcp' }],
        },
      ],
      pending: [],
    },
    changes: [],
    missingPorts: [],
    flows: [
      {
        kind: 'http',
        from: 'client',
        to: 'node1:8080',
        started: 0,
        finished: 1_200_000,
        ok: true,
        answeredBy: 'web.1 on node1',
        journey: [],
        calls: [],
      },
    ],
    notices: { ignored: [], unsupported: [], warnings: [] },
    captures: {
      format: 'pcapng',
      directory: 'captures',
      comments: true,
      interfaces: [{ name: 'client/host/eth0', frames: 10 }],
      frames: 10,
      files: [{ path: 'captures/stack.pcapng', bytes: 2048, frames: 10 }],
      missed: 0,
      late: 0,
      keys: undefined,
    },
    drops: { expected: [], other: [] },
    frames: { made: 5, injected: 0, generated: 5, cloned: 0, delivered: 5, dropped: 0, inFlight: 0, balanced: true },
    virtualTime: 1,
    ...changes,
  };
}
const told = (changes?: Partial<RunReport>) => renderRun(report(changes), plain).join('\n');

describe('a run in words', () => {
  test('names a failed flow with its reason, whatever is left out', () => {
    const good = report().flows[0];
    if (!good) throw new Error('the report has a flow');
    const flows = [...Array.from({ length: 40 }, () => good), { ...good, ok: false, detail: 'connection refused' }];
    const text = told({ flows });
    expect(text).toContain('client → node1:8080 http  failed: connection refused');
    expect(text).toContain('and 16 more flows, answered');
    expect(text).toContain('1 of 41 flows failed');
  });

  test('tells what the answering task asked, and a call that failed is a failure', () => {
    const [good] = report().flows;
    if (!good) throw new Error('the report has a flow');
    const step = { namespace: 'node1/lb-net1', what: 'IPVS' as const, before: '10.0.1.2:80', after: '10.0.1.3:80' };
    const call = { ...good, from: 'web.1', to: 'api:3000', ok: false, detail: 'refused', journey: [step] };
    const lines = told({ flows: [{ ...good, calls: [call] }] }).split('\n');
    const at = lines.findIndex((line) => line.startsWith('client → node1:8080 http  answered'));
    expect(lines.slice(at + 1, at + 3)).toEqual([
      '    web.1 → api:3000 http  failed: refused',
      '        node1/lb-net1  IPVS  10.0.1.2:80 → 10.0.1.3:80',
    ]);
    expect(lines).toContain('1 of 1 flow failed');
  });

  test('tells drops that are not expected, with their places', () => {
    const text = told({
      drops: {
        expected: [{ reason: 'OTHERHOST', count: 2, devices: {}, why: 'flooded' }],
        other: [{ reason: 'NETFILTER_DROP', count: 5, devices: { 'a/b/c': 1, 'a/b/d': 4 } }],
      },
    });
    expect(text).toContain('dropped, as in any real swarm:\n    OTHERHOST  2  flooded');
    expect(text).toContain('dropped:\n    NETFILTER_DROP  5  at a/b/d (4), a/b/c (1)');
    expect(told()).toContain('dropped: none');
  });

  test('tells tasks that found no node, frames that are lost, and an account that does not add up', () => {
    const { stack, captures, frames } = report();
    const text = told({
      stack: { ...stack, pending: ['db.1: no node is called node9'] },
      captures: { ...captures, missed: 3 },
      frames: { ...frames, delivered: 4, balanced: false },
    });
    expect(text).toContain('pending: db.1: no node is called node9');
    expect(text).toContain('3 frames did not fit');
    expect(text).toContain('does not add up');
  });

  test('says in short what is many', () => {
    const { stack } = report();
    const nodes = Array.from({ length: 30 }, (_, i) => ({ name: `node${i + 1}`, role: 'worker' as const }));
    const tasks = Array.from({ length: 50 }, (_, i) => ({ name: `web.${i + 1}`, node: `node${(i % 30) + 1}` }));
    const services = stack.services.map((service) => ({ ...service, tasks }));
    const [line = ''] = told({ stack: { ...stack, nodes, services } }).split('\n');
    expect(line).toContain('30 nodes (node1, node2, node3, node4 … node30)');
    expect(line).toContain('web ×50 on 30 nodes');
  });
});

test('a port that Wireshark takes for another protocol is named, one that it knows is not', () => {
  expect(howToOpen(report())[0]).toBe('wireshark captures/stack.pcapng');
  const socks = report();
  for (const { ports } of socks.stack.services) for (const port of ports) port.published = 1080;
  for (const flow of socks.flows) flow.to = 'node1:1080';
  for (const file of socks.captures.files) file.path = 'my captures/stack.pcapng';
  expect(howToOpen(socks)).toEqual([
    "wireshark -d tcp.port==1080,http 'my captures/stack.pcapng'",
    "tshark -r 'my captures/stack.pcapng' -d tcp.port==1080,http -Y 'frame.interface_name == \"client/host/eth0\"'",
  ]);
});

test('times and sizes are short', () => {
  expect([999, 1000, 327_400, 999_999, 1_866_000, 2_500_000_000].map(duration)).toEqual([
    '999 ns',
    '1 µs',
    '327 µs',
    '1000 µs',
    '1.87 ms',
    '2.5 s',
  ]);
  expect([1023, 1536, 5 << 20].map(size)).toEqual(['1023 B', '1.5 KiB', '5.0 MiB']);
});

test('columns stand under each other, coloured or not', () => {
  const { red } = picocolors.createColors(true);
  expect(
    columns(
      [
        ['a', red('bb'), '1'],
        ['ccc', 'd', '22'],
      ],
      2,
      [2],
    ),
  ).toEqual([`  a    ${red('bb')}   1`, '  ccc  d   22']);
  expect(columns([['a'], ['b', 'c']], 0)).toEqual(['a', 'b  c']);
  expect(columns([], 4)).toEqual([]);
});

test('the nearest word is one that a person may have meant', () => {
  expect(nearest('rnu', ['run', 'conformance'])).toBe('run');
  expect(nearest('conf', ['run', 'conformance'])).toBe('conformance');
  expect(nearest('deploy', ['run', 'conformance'])).toBeUndefined();
});

describe('the progress line', () => {
  test('shows after a second, not too often, and goes again', () => {
    const written: string[] = [];
    let now = 0;
    const line = new ProgressLine(
      true,
      (text) => written.push(text),
      () => now,
    );
    line.update(1, 4, 'flows');
    expect(written).toEqual([]);
    now = 1500;
    line.update(2, 4, 'flows');
    now = 1550;
    line.update(3, 4, 'flows');
    expect(written).toHaveLength(1);
    expect(written[0]).toContain(`${'█'.repeat(12)}${'░'.repeat(12)} 2 of 4 flows`);
    line.clear();
    line.clear();
    expect(written.slice(1)).toEqual(['\r\x1b[K']);
  });

  test('is not there when nobody watches', () => {
    const written: string[] = [];
    let now = 0;
    const line = new ProgressLine(
      false,
      (text) => written.push(text),
      () => now,
    );
    now = 5000;
    line.update(1, 2, 'flows');
    line.clear();
    expect(written).toEqual([]);
  });
});

test('of a stack with an encrypted network names the configuration that holds the keys', () => {
  const plain = report();
  const keys = { directory: 'captures/stack.wireshark', associations: 8 };
  const [whole, one, note] = howToOpen({ ...plain, captures: { ...plain.captures, keys } });
  expect(whole).toBe('WIRESHARK_CONFIG_DIR=captures/stack.wireshark wireshark captures/stack.pcapng');
  expect(one).toMatch(/^WIRESHARK_CONFIG_DIR=captures\/stack.wireshark tshark -r captures\/stack.pcapng /);
  expect(note).toContain('captures/stack.wireshark holds the keys of 8 security associations');
});
