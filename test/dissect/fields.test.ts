import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dnsFields } from '../../src/dissect/dns.js';
import { differingFields, fieldsOf } from '../../src/dissect/fields.js';
import { icmpv6Body } from '../../src/dissect/icmpv6.js';
import { layersOf } from '../../src/dissect/layers.js';
import { explain } from '../../src/replay/explain.js';
import { changed, recorded, SCENARIOS, tapOf } from '../replay/recorded.js';

const installed = spawnSync('tshark', ['--version']).status === 0;
const NAMES = [
  'eth.dst',
  'arp.dst.proto_ipv4',
  'ip.id',
  'ip.ttl',
  'ip.src',
  'ip.len',
  'udp.srcport',
  'udp.checksum',
  'vxlan.vni',
  'vxlan.flags',
  'tcp.seq',
  'tcp.ack',
  'tcp.flags',
  'tcp.window_size_value',
  'tcp.options.timestamp.tsval',
  'tcp.options.mss_val',
];
const ICMPV6 = [
  'icmpv6.type',
  'icmpv6.echo.identifier',
  'icmpv6.echo.sequence_number',
  'icmpv6.nd.ns.target_address',
  'icmpv6.nd.na.target_address',
  'icmpv6.nd.na.flag.r',
  'icmpv6.nd.na.flag.s',
  'icmpv6.nd.na.flag.o',
  'icmpv6.opt.type',
  'icmpv6.opt.src_linkaddr',
  'icmpv6.opt.target_linkaddr',
];
const DNS = [
  'dns.id',
  'dns.flags',
  'dns.count.queries',
  'dns.count.answers',
  'dns.qry.name',
  'dns.qry.type',
  'dns.resp.name',
  'dns.resp.ttl',
  'dns.a',
];
/** Where Wireshark's field of the name is relative, the one that is not. */
const WIRESHARK_RAW: Record<string, string> = { 'tcp.seq': 'tcp.seq_raw', 'tcp.ack': 'tcp.ack_raw' };
const decode = (bytes: Uint8Array) => ({ bytes, layers: layersOf(bytes) });
const frames = [...SCENARIOS, 'S2-user-bridge', 'S12-ipv6-bridge'].flatMap((name) =>
  recorded(name)
    .realTaps()
    .flatMap((tap) => tap.frames.map(({ data }) => data)),
);

describe('the fields of a frame', () => {
  test('cover every byte of every real frame, without gaps', () => {
    for (const frame of frames) {
      let reached = 0;
      for (const { start, end } of fieldsOf(frame, layersOf(frame))) {
        expect(start).toBeLessThanOrEqual(reached);
        reached = Math.max(reached, end);
      }
      expect(reached).toBe(frame.length);
    }
  });

  test('tell every change of any byte', () => {
    fc.assert(
      fc.property(fc.constantFrom(...frames), fc.nat(), fc.integer({ min: 1, max: 255 }), (frame, place, bits) => {
        const at = place % frame.length;
        const other = changed(frame, (bytes) => {
          bytes[at] = (bytes[at] ?? 0) ^ bits;
        });
        expect(differingFields(decode(frame), decode(other))).not.toEqual([]);
        expect(explain(frame, other).join()).not.toBe('');
      }),
      { numRuns: 2000 },
    );
  });

  test('are found in whatever bytes come', () => {
    fc.assert(
      fc.property(fc.constantFrom(...frames), fc.nat(), fc.uint8Array({ maxLength: 60 }), (frame, cut, noise) => {
        const bytes = Uint8Array.from([...frame.subarray(0, cut % frame.length), ...noise]);
        for (const { start, end } of fieldsOf(bytes, layersOf(bytes))) expect(end).toBeGreaterThan(start);
        explain(frame, bytes);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('words', () => {
  const of = (frame: Uint8Array, name: string) =>
    fieldsOf(frame, layersOf(frame)).filter((field) => field.name === name);

  test('for a neighbour that is another one, and an answer that is another address', () => {
    const advertisement =
      frames.find((frame) => of(frame, 'icmpv6.nd.na.target_address').length > 0) ?? new Uint8Array();
    const other = changed(advertisement, (bytes) => {
      bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
    });
    expect(explain(advertisement, other).join()).toMatch(
      /^icmpv6\.opt\.target_linkaddr: real 02:42\S+, ours 02:42\S+$/,
    );
    const answer = frames.find((frame) => of(frame, 'dns.a').length > 0) ?? new Uint8Array();
    const at = of(answer, 'dns.a')[0]?.start ?? 0;
    const wrong = changed(answer, (bytes) => {
      bytes[at] = 9;
    });
    expect(explain(answer, wrong).join()).toMatch(/^dns\.a: real \d+\.\S+, ours 9\.\S+$/);
  });

  test('for names with pointers, which never lead in a circle', () => {
    const message = (name: number[]) => [...[0, 1, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0], ...name, 0, 28, 0, 1];
    const told = (name: number[]) => [...dnsFields(Uint8Array.from(message(name)), 0, 16 + name.length)];
    const web = [3, 119, 101, 98, 0];
    expect(told(web).map(({ name, value }) => `${name} ${value}`)).toContain('dns.qry.name web');
    expect(told(web).map(({ name, value }) => `${name} ${value}`)).toContain('dns.qry.type AAAA (28)');
    // To itself, forward, and into the header: no names.
    for (const name of [
      [0xc0, 12],
      [0xc0, 40],
      [0xc0, 2],
    ])
      expect(told(name).at(-1)).toMatchObject({ name: 'dns.data', value: undefined });
  });

  test('for listeners’ reports, records and sources', () => {
    const group = [0xff, 2, ...Array(13).fill(0), 1];
    const source = [0xfe, 0x80, ...Array(13).fill(0), 9];
    const report = Uint8Array.from([4, 0, 0, 1, ...group, ...source, 3, 1, 0, 0, ...group, 1, 2, 3, 4, 7]);
    const fields = [...icmpv6Body(report, 143, 0, report.length)].map(({ name, value }) => `${name} ${value}`);
    expect(fields).toContain('icmpv6.mldr.mar.multicast_address ff02::1');
    expect(fields).toContain('icmpv6.mldr.mar.source_address fe80::9');
    expect(fields.slice(-2)).toEqual(['icmpv6.mldr.mar.auxiliary_data undefined', 'data.data undefined']);
  });
});

test('a frame of nothing but VLAN tags has an end', () => {
  const frame = new Uint8Array(65_536).map((_, at) => (at % 4 === 0 ? 0x81 : 0));
  frame.copyWithin(12, 0);
  expect(layersOf(frame).length).toBeLessThan(100);
  expect(explain(frame, frame.subarray(1))).not.toEqual([]);
});

describe.skipIf(!installed)(`Wireshark${installed ? '' : ' (skipped: tshark is not installed)'}`, () => {
  test('knows every field by the same name', () => {
    const known = new Set(
      spawnSync('tshark', ['-G', 'fields'], { encoding: 'utf8', maxBuffer: 1 << 28 })
        .stdout.split('\n')
        .map((line) => line.split('\t')[2]),
    );
    const names = new Set(frames.flatMap((frame) => fieldsOf(frame, layersOf(frame)).map(({ name }) => name)));
    expect([...names].filter((name) => !known.has(name))).toEqual([]);
    expect(names.size).toBeGreaterThanOrEqual(50);
  });

  test.each([
    ['S6-ingress', 'node1.host/eth0', NAMES],
    ['S12-ipv6-bridge', 'node1.ct-a6/eth0', ICMPV6],
    ['S2-user-bridge', 'client/eth0', DNS],
  ])('reads the same values: %s %s', (scenario, tap, names) => {
    const real = tapOf(scenario, tap);
    const pcap = fileURLToPath(new URL(`../oracle/${scenario}/${real.pcap}`, import.meta.url));
    const columns = names.flatMap((name) => ['-e', WIRESHARK_RAW[name] ?? name]);
    const { stdout } = spawnSync('tshark', ['-r', pcap, '-T', 'fields', ...columns], { encoding: 'utf8' });
    const theirs = stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split('\t'));
    const ours = real.frames.map(({ data }) => {
      const fields = fieldsOf(data, layersOf(data));
      return names.map((name) =>
        fields
          .filter((field) => field.name === name)
          .map(({ value }) => value)
          .join(),
      );
    });
    // tshark writes hexadecimal of any width as it pleases: compared as numbers. It tells neither pointers in names nor types by name.
    const plain = (value: string) =>
      value
        .split(',')
        .map((part) => part.replace(/ \(at \d+\)/g, '').replace(/^[A-Z]+ \((\d+)\)$/, '$1'))
        .map((part) => (part.startsWith('0x') ? Number(part) : part))
        .join();
    // tshark has the fields of a datagram beside its last fragment, we beside its first.
    const whole = real.frames.map(({ data }) => !layersOf(data).some(({ name }) => name === 'ipv6-fragment'));
    names.forEach((name, column) => {
      expect([name, ...ours.filter((_, row) => whole[row]).map((row) => plain(row[column] ?? ''))]).toEqual([
        name,
        ...theirs.filter((_, row) => whole[row]).map((row) => plain(row[column] ?? '')),
      ]);
      expect(ours.some((row) => row[column] !== '')).toBe(true);
    });
  });
});
