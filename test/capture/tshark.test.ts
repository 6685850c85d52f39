import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pcapHeader, pcapRecord } from '../../src/capture/pcap.js';
import { enhancedPacketBlock, pcapngHeader } from '../../src/capture/pcapng.js';
import { readCapture } from '../../src/capture/read.js';

const installed = spawnSync('tshark', ['--version']).status === 0;
const ORACLE = new URL('../oracle/S7-ingress-one/', import.meta.url);
const { frames } = readCapture(readFileSync(new URL('node1.host.eth0.pcap', ORACLE)));

/** What tshark shows of a file, a line per frame, columns by tabs. */
function tshark(file: string, ...fields: string[]): string[][] {
  const columns = fields.flatMap((field) => ['-e', field]);
  const { stdout, stderr, status } = spawnSync('tshark', ['-r', file, '-T', 'fields', ...columns], {
    encoding: 'utf8',
  });
  expect(stderr.replace(/^Running as user.*\n?/m, '')).toBe('');
  expect(status).toBe(0);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t'));
}

describe.skipIf(!installed)(`tshark${installed ? '' : ' (skipped: tshark is not installed)'}`, () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'swarmwire-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('opens the pcapng that we write: names, times, directions, comments', () => {
    const file = join(folder, 'ours.pcapng');
    const blocks = frames.map(({ time, data }, index) =>
      enhancedPacketBlock({
        interface: index % 2,
        time,
        data,
        direction: index % 2 === 0 ? 'received' : 'transmitted',
        ...(index === 2 ? { comment: 'nat DOCKER-INGRESS: DNAT to 172.19.0.2:8080' } : {}),
      }),
    );
    writeFileSync(
      file,
      Buffer.concat([pcapngHeader([{ name: 'node1/host/eth0' }, { name: 'client/eth0' }]), ...blocks]),
    );
    const rows = tshark(
      file,
      'frame.interface_name',
      'frame.packet_flags_direction',
      'frame.len',
      'frame.time_epoch',
      'frame.comment',
    );
    expect(rows).toHaveLength(frames.length);
    rows.forEach(([name, direction, length, time, comment], index) => {
      expect(name).toBe(index % 2 === 0 ? 'node1/host/eth0' : 'client/eth0');
      expect(Number(direction)).toBe(index % 2 === 0 ? 1 : 2);
      expect(Number(length)).toBe(frames[index]?.data.length);
      expect(BigInt((time ?? '').replace('.', ''))).toBe(frames[index]?.time);
      expect(comment ?? '').toBe(index === 2 ? 'nat DOCKER-INGRESS: DNAT to 172.19.0.2:8080' : '');
    });
  });

  test('opens the pcap that we write', () => {
    const file = join(folder, 'ours.pcap');
    writeFileSync(file, Buffer.concat([pcapHeader(), ...frames.map(pcapRecord)]));
    const rows = tshark(file, 'frame.len', 'frame.time_epoch');
    expect(rows.map(([length, time]) => [Number(length), BigInt((time ?? '').replace('.', ''))])).toEqual(
      frames.map(({ data, time }) => [data.length, time]),
    );
  });
});
