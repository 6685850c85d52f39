/**
 * Wireshark finds nothing to complain of: every tap by itself, with all checksum verification on, no expert item of
 * severity warning or error, nothing malformed.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { pcapHeader, pcapRecord } from '../../src/capture/pcap.js';
import { parseStackFile, Swarm } from '../../src/index.js';

const tshark = spawnSync('tshark', ['--version']).status === 0;
if (!tshark && process.env.CI) throw new Error('tshark is not installed, and CI must not skip what needs it');

const directory = mkdtempSync(join(tmpdir(), 'swarmwire-'));
afterAll(() => rmSync(directory, { recursive: true }));

const CHECKSUMS = ['ip', 'tcp', 'udp'].flatMap((protocol) => ['-o', `${protocol}.check_checksum:TRUE`]);
// Wireshark takes port 1080 for SOCKS.
const DECODE = ['-d', 'tcp.port==1080,http'];
const WARNING = 0x600000;
/** Taps that see frames: on L2 networks most devices see none, and one node without a swarm has few. */
const LEAST: Record<string, number> = { 'l2-networks.yml': 15, 'engine-28.yml': 10 };

async function run(example: string): Promise<Swarm> {
  const file = new URL(`../../examples/${example}`, import.meta.url);
  const { spec } = parseStackFile(readFileSync(file, 'utf8'), { file: example });
  const swarm = await Swarm.create(spec);
  swarm.tapEverything();
  for (const report of swarm.play()) expect(report, JSON.stringify(report)).toMatchObject({ ok: true });
  return swarm;
}

/** A pcap of one tap's frames, and its path. */
function write(swarm: Swarm, tap: string): string | undefined {
  const frames = swarm.frames(tap);
  if (frames.length === 0) return undefined;
  const path = join(directory, `${tap.replaceAll('/', '.')}.pcap`);
  writeFileSync(path, Buffer.concat([pcapHeader(), ...frames.map(({ time, data }) => pcapRecord({ time, data }))]));
  return path;
}

function ask(path: string, ...options: string[]): string {
  const { stdout, stderr, status } = spawnSync('tshark', ['-r', path, ...CHECKSUMS, ...DECODE, ...options], {
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
  return stdout;
}

describe.skipIf(!tshark)('Wireshark (skipped: tshark is not installed)', () => {
  test.each(['three-tier.yml', 'round-robin.yml', 'l2-networks.yml', 'engine-28.yml'])(
    'has no complaint about any tap of %s',
    { timeout: 180_000 },
    async (example) => {
      const swarm = await run(example);
      let seen = 0;
      for (const { path: tap } of swarm.engine.taps) {
        const path = write(swarm, tap);
        if (!path) continue;
        seen++;
        const items = ask(
          path,
          '-Y',
          '_ws.expert',
          '-T',
          'fields',
          '-e',
          'frame.number',
          '-e',
          '_ws.expert.severity',
          '-e',
          '_ws.expert.message',
        );
        const complaints = items
          .split('\n')
          .filter(Boolean)
          .filter((line) => (line.split('\t')[1] ?? '').split(',').some((severity) => Number(severity) >= WARNING));
        expect(complaints, tap).toEqual([]);
      }
      expect(seen).toBeGreaterThan(LEAST[example] ?? 30);
    },
  );

  test('follows the client and dissects HTTP inside VXLAN', { timeout: 60_000 }, async () => {
    const swarm = await run('three-tier.yml');
    const client = write(swarm, 'client/host/eth0');
    const node = write(swarm, 'node1/host/eth0');
    if (!client || !node) throw new Error('nothing was captured');
    const stream = ask(client, '-q', '-z', 'follow,tcp,ascii,0');
    expect(stream).toContain('GET / HTTP/1.1');
    expect(stream).toContain('HTTP/1.1 200 OK');
    const inside = ask(
      node,
      '-Y',
      'vxlan && http.request',
      '-T',
      'fields',
      '-e',
      'vxlan.vni',
      '-e',
      'http.request.uri',
    );
    expect(inside.trim().split('\n')[0]).toBe('4096\t/');
  });
});
