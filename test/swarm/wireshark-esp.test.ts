/** Wireshark with the written keys: every ESP frame of a run is read, its ICV is right, and nothing inside is malformed. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ESP_PREFERENCES, type EspKey, espSa } from '../../src/capture/esp-keys.js';
import { pcapHeader, pcapRecord } from '../../src/capture/pcap.js';
import { parseStackFile } from '../../src/stack-file/index.js';
import { Swarm } from '../../src/swarm/swarm.js';
import { hex } from '../engine/packets.js';
import { ASSOCIATIONS, ESP_FRAMES } from '../engine/recorded-esp.js';

const tshark = spawnSync('tshark', ['--version']).status === 0;
const directory = mkdtempSync(join(tmpdir(), 'swarmwire-esp-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A configuration of Wireshark's with these keys, and its answers about these frames. */
function ask(name: string, keys: readonly EspKey[], frames: readonly Uint8Array[], ...options: string[]): string[] {
  const folder = join(directory, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'esp_sa'), espSa(keys));
  writeFileSync(join(folder, 'preferences'), ESP_PREFERENCES);
  const file = join(folder, 'frames.pcap');
  const records = frames.map((data, i) => pcapRecord({ time: BigInt(i) * 1_000_000n, data }));
  writeFileSync(file, Buffer.concat([pcapHeader(), ...records]));
  const checks = ['-o', 'udp.check_checksum:TRUE', '-o', 'tcp.check_checksum:TRUE', '-o', 'ip.check_checksum:TRUE'];
  const { stdout, stderr, status } = spawnSync('tshark', ['-r', file, ...checks, ...options], {
    encoding: 'utf8',
    env: { ...process.env, WIRESHARK_CONFIG_DIR: folder },
  });
  expect(status, stderr).toBe(0);
  // Nothing in the table that it does not understand.
  expect(stderr).not.toMatch(/UAT|esp_sa/);
  return stdout.split('\n').filter(Boolean);
}
const fields = (...names: string[]) => ['-T', 'fields', ...names.flatMap((name) => ['-e', name])];

describe.skipIf(!tshark)('Wireshark (skipped: tshark is not installed)', () => {
  test('reads the recorded frames with the recorded keys in our table', () => {
    const keys = ASSOCIATIONS.map(({ src, dst, spi, key }) => ({
      source: src,
      destination: dst,
      spi: Number(spi),
      key: hex(key.slice(2)),
    }));
    const frames = ESP_FRAMES.map(({ frame }) => frame);
    const read = ask('recorded', keys, frames, ...fields('esp.icv_good', 'vxlan.vni'));
    expect(read).toEqual(frames.map(() => '1\t4100'));
  });

  test('reads every ESP frame of a run, whose keys were rotated on the way, at every tap', {
    timeout: 120_000,
  }, async () => {
    const file = new URL('../../examples/encrypted.yml', import.meta.url);
    const swarm = await Swarm.create(parseStackFile(readFileSync(file, 'utf8'), { file: 'encrypted.yml' }).spec);
    swarm.tapEverything();
    for (let i = 0; i < 3; i++) {
      for (const report of swarm.play()) expect(report).toMatchObject({ ok: true });
      swarm.rotateKeys();
      swarm.engine.run(swarm.engine.now + 1e9, swarm.sockets.handle);
    }
    const back = swarm.topology.networks.find(({ name }) => name === 'back')?.vni;
    let seen = 0;
    for (const { path } of swarm.engine.taps) {
      const frames = swarm.frames(path).map(({ data }) => data);
      const esp = frames.filter((frame) => frame[12] === 8 && frame[13] === 0 && frame[23] === 50);
      if (esp.length === 0) continue;
      expect(path).toMatch(/\/host\/eth0$/);
      seen += esp.length;
      const { espKeys } = swarm.engine;
      const name = path.replaceAll('/', '.');
      expect(ask(name, espKeys, esp, ...fields('esp.icv_good', 'vxlan.vni')), path).toEqual(
        esp.map(() => `1\t${back}`),
      );
      const bad =
        '_ws.malformed or esp.icv_bad == 1 or ip.checksum.status == 0 or udp.checksum.status == 0 or tcp.checksum.status == 0';
      expect(ask(name, espKeys, frames, '-Y', bad), path).toEqual([]);
      // Without the keys the outside alone is read.
      expect(ask(`${name}.closed`, [], esp, '-Y', 'vxlan'), path).toEqual([]);
    }
    expect(seen).toBeGreaterThan(150);
    const spis = new Set(swarm.engine.espKeys.map(({ spi }) => spi));
    expect(spis.size).toBeGreaterThan(18);
  });
});
