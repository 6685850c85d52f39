import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { differingFields, fieldsOf } from '../../src/dissect/fields.js';
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
/** Where Wireshark's field of the name is relative, the one that is not. */
const WIRESHARK_RAW: Record<string, string> = { 'tcp.seq': 'tcp.seq_raw', 'tcp.ack': 'tcp.ack_raw' };
const decode = (bytes: Uint8Array) => ({ bytes, layers: layersOf(bytes) });
const frames = SCENARIOS.flatMap((name) =>
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

  test('reads the same values', () => {
    const pcap = fileURLToPath(new URL('../oracle/S6-ingress/node1.host.eth0.pcap', import.meta.url));
    const columns = NAMES.flatMap((name) => ['-e', WIRESHARK_RAW[name] ?? name]);
    const { stdout } = spawnSync('tshark', ['-r', pcap, '-T', 'fields', ...columns], { encoding: 'utf8' });
    const theirs = stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split('\t'));
    const ours = tapOf('S6-ingress', 'node1.host/eth0').frames.map(({ data }) => {
      const fields = fieldsOf(data, layersOf(data));
      return NAMES.map((name) =>
        fields
          .filter((field) => field.name === name)
          .map(({ value }) => value)
          .join(),
      );
    });
    // tshark writes hexadecimal of any width as it pleases: compared as numbers.
    const plain = (value: string) =>
      value
        .split(',')
        .map((part) => (part.startsWith('0x') ? Number(part) : part))
        .join();
    NAMES.forEach((name, column) => {
      expect([name, ...ours.map((row) => plain(row[column] ?? ''))]).toEqual([
        name,
        ...theirs.map((row) => plain(row[column] ?? '')),
      ]);
      expect(ours.some((row) => row[column] !== '')).toBe(true);
    });
  });
});
