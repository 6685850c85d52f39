/** Capture files of a whole swarm, written and read back. */

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Capture } from '../../src/capture/capture.js';
import {
  CaptureFileError,
  type CaptureFormat,
  openCapture,
  type PcapngFile,
  pcapName,
  type WrittenFile,
  writePcap,
} from '../../src/capture/files.js';
import { readCapture } from '../../src/capture/read.js';
import { Recording } from '../../src/capture/recording.js';
import { parseStackFile } from '../../src/stack-file/index.js';
import { Swarm } from '../../src/swarm/swarm.js';

const tshark = spawnSync('tshark', ['--version']).status === 0;
if (!tshark && process.env.CI) throw new Error('tshark is not installed, and CI must not skip what needs it');
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'swarmwire-files-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const STACK = 'services: { web: { image: nginx, ports: ["1080:80"], deploy: { replicas: 2 } } }';

async function record(
  name: string,
  format: CaptureFormat = 'pcapng',
  { buffer, comments = true }: { buffer?: number; comments?: boolean } = {},
): Promise<{ files: WrittenFile[]; recording: Recording; swarm: Swarm }> {
  const { spec } = parseStackFile(STACK, { file: 'stack.yml' });
  const swarm = await Swarm.create(spec, { comments, ...(buffer === undefined ? {} : { captureBuffer: buffer }) });
  swarm.tapEverything();
  const { engine } = swarm;
  const taps = () => engine.taps.map(({ path, mtu }) => ({ name: path, mtu }));
  const capture = openCapture(format, join(folder, format), name, taps);
  const recording = new Recording(engine, capture);
  for (const flow of swarm.play()) expect(flow.ok, JSON.stringify(flow)).toBe(true);
  recording.finish();
  return { files: capture.finish(), recording, swarm };
}

function read(path: string): Capture {
  const capture = readCapture(readFileSync(path));
  expect(capture.warnings).toEqual([]);
  return capture;
}

function tsharkOf(path: string, ...fields: string[]): string[][] {
  const columns = fields.flatMap((field) => ['-e', field]);
  const { stdout, status } = spawnSync('tshark', ['-r', path, '-T', 'fields', ...columns], { encoding: 'utf8' });
  expect(status).toBe(0);
  return stdout
    .replace(/\n$/, '')
    .split('\n')
    .map((line) => line.split('\t'));
}

describe('one pcapng', () => {
  test('holds every tap by name, frames in the order of time, with directions and comments', async () => {
    const { files, recording, swarm } = await record('whole');
    expect(files).toMatchObject([{ path: join(folder, 'pcapng', 'whole.pcapng'), frames: recording.frames }]);
    const [{ path, bytes } = { path: '', bytes: 0 }] = files;
    expect(readFileSync(path)).toHaveLength(bytes);
    const { interfaces, frames } = read(path);
    expect(interfaces.map(({ name }) => name)).toEqual(swarm.engine.devices.map((device) => device.path));
    expect(interfaces[0]).toMatchObject({ resolution: 1_000_000_000n, linkType: 1, description: 'MTU 65536' });
    expect(frames).toHaveLength(recording.frames);
    expect(recording.late).toBe(0);
    for (const [index, frame] of frames.entries()) {
      expect(frame.direction).toBeDefined();
      expect(frame.time >= (frames[index - 1]?.time ?? 0n)).toBe(true);
    }
    expect(frames[0]?.time).toBeGreaterThan(swarm.engine.epoch);
  });

  test('tells the whole way of a request through the mesh in its comments', async () => {
    const { files } = await record('comments');
    const { interfaces, frames } = read(files[0]?.path ?? '');
    const told = frames.flatMap(({ interface: tap, comment }) =>
      comment ? [`${interfaces[tap]?.name} ${comment}`] : [],
    );
    const way = [
      /^node\d\/host\/docker_gwbridge nat DOCKER-INGRESS: DNAT 192\.168\.99\.\d+:1080 → 172\.18\.0\.\d+:1080; forward: TTL 64 → 63$/,
      /^node\d\/ingress_sbox\/eth0 mangle PREROUTING: MARK 0x0 → 0x100; ipvs FWM 256 rr: 172\.18\.0\.\d+:1080 → 10\.0\.0\.\d+:1080 \(Masq\); nat POSTROUTING: SNAT 192\.168\.99\.1:\d+ → 10\.0\.0\.\d+:\d+$/,
      /^node\d\/host\/eth0 vxlan0: encapsulated, VNI 4096, to 192\.168\.99\.\d+$/,
      /^node\d\/ov-ingress\/vxlan0 vxlan0: decapsulated, VNI 4096, from 192\.168\.99\.\d+$/,
      /^node\d\/task-web\.\d\/eth0 conntrack: un-REDIRECT 10\.0\.0\.\d+:80 → 10\.0\.0\.\d+:1080 \(nat PREROUTING\)$/,
      /^node\d\/ingress_sbox\/eth1 conntrack: un-SNAT .* \(nat POSTROUTING\); forward: TTL 64 → 63; ipvs FWM 256 rr: reply /,
      /^node\d\/host\/eth0 forward: TTL 63 → 62; conntrack: un-DNAT 172\.18\.0\.\d+:1080 → 192\.168\.99\.\d+:1080 \(nat DOCKER-INGRESS\)$/,
    ];
    let from = 0;
    for (const step of way) {
      const at = told.findIndex((line, index) => index >= from && step.test(line));
      expect(at, `${step} after line ${from} of\n${told.slice(0, 60).join('\n')}`).toBeGreaterThanOrEqual(from);
      from = at + 1;
    }
  });

  test('has no comment when none was asked for, and the same frames', async () => {
    const [plain, told] = [await record('plain', 'pcapng', { comments: false }), await record('told')];
    const without = read(plain.files[0]?.path ?? '').frames;
    const withComments = read(told.files[0]?.path ?? '').frames;
    expect(without.some(({ comment }) => comment !== undefined)).toBe(false);
    expect(withComments.map(({ comment, ...frame }) => frame)).toEqual(without);
  });

  test('has the same bytes however often the engine is drained', async () => {
    const [often, once] = [await record('often', 'pcapng', { buffer: 32 << 10 }), await record('once')];
    expect(often.recording.late).toBe(0);
    expect(readFileSync(often.files[0]?.path ?? '')).toEqual(readFileSync(once.files[0]?.path ?? ''));
  });

  test('describes a tap that was added in the middle of a run', async () => {
    const { spec } = parseStackFile(STACK, { file: 'stack.yml' });
    const swarm = await Swarm.create(spec);
    const { engine } = swarm;
    swarm.tap('client/host/eth0');
    const capture = openCapture('pcapng', folder, 'added', () => engine.taps.map(({ path }) => ({ name: path })));
    const recording = new Recording(engine, capture);
    const [flow] = swarm.traffic;
    if (!flow) throw new Error('the stack has no traffic');
    swarm.send(flow);
    swarm.tap('node1/host/eth0');
    swarm.send(flow);
    swarm.tap('node2/host/eth0');
    recording.finish();
    const { interfaces, frames } = read(capture.finish()[0]?.path ?? '');
    expect(interfaces.map(({ name }) => name)).toEqual(['client/host/eth0', 'node1/host/eth0', 'node2/host/eth0']);
    expect(new Set(frames.map((frame) => frame.interface))).toEqual(new Set([0, 1]));
  });

  test.skipIf(!tshark)(
    'opens in tshark, names and comments included (skipped where tshark is not installed)',
    async () => {
      const { files } = await record('tshark');
      const path = files[0]?.path ?? '';
      const { interfaces, frames } = read(path);
      const rows = tsharkOf(path, 'frame.interface_name', 'frame.comment', 'frame.len');
      expect(rows).toEqual(
        frames.map(({ interface: tap, comment, data }) => [interfaces[tap]?.name, comment ?? '', String(data.length)]),
      );
    },
  );
});

describe('a folder of pcap files', () => {
  test('has a file for each tap that saw frames, with those frames', async () => {
    const [{ files, swarm }, { files: whole }] = [await record('folder', 'pcap'), await record('whole')];
    const { interfaces, frames } = read(whole[0]?.path ?? '');
    const busy = new Set(frames.map((frame) => interfaces[frame.interface]?.name ?? ''));
    expect(busy.size).toBeLessThan(swarm.engine.taps.length);
    expect(readdirSync(join(folder, 'pcap', 'folder')).sort()).toEqual([...busy].map(pcapName).sort());
    for (const { path, tap, frames: count, bytes } of files) {
      const own = frames.filter((frame) => interfaces[frame.interface]?.name === tap);
      const pcap = read(path);
      expect(pcap.frames.map(({ time, data }) => ({ time, data }))).toEqual(
        own.map(({ time, data }) => ({ time, data })),
      );
      expect(count).toBe(own.length);
      expect(readFileSync(path)).toHaveLength(bytes);
      expect(pcap.interfaces).toMatchObject([{ resolution: 1_000_000_000n, linkType: 1 }]);
    }
  });

  test('loses the file of a tap that saw nothing this time, and no file of anybody else', async () => {
    const target = join(folder, 'pcap', 'again');
    mkdirSync(target, { recursive: true });
    writeFileSync(join(target, 'client.host.lo.pcap'), 'of an earlier run');
    writeFileSync(join(target, 'notes.pcap'), 'mine');
    await record('again', 'pcap');
    expect(existsSync(join(target, 'client.host.lo.pcap'))).toBe(false);
    expect(readFileSync(join(target, 'notes.pcap'), 'utf8')).toBe('mine');
    expect(readdirSync(join(folder, 'pcap')).filter((name) => name.includes('.part'))).toEqual([]);
  });

  test.skipIf(!tshark)('opens in tshark (skipped where tshark is not installed)', async () => {
    const { files } = await record('tshark', 'pcap');
    const client = files.find(({ tap }) => tap === 'client/host/eth0');
    const rows = tsharkOf(client?.path ?? '', 'frame.time_epoch');
    expect(rows).toHaveLength(client?.frames ?? 0);
    expect(rows[0]?.[0]).toMatch(/^17672256\d\d\.\d{9}$/);
  });

  test('is named as the captures of a real swarm are, whatever a tap is called', () => {
    expect(pcapName('node1/task-my-nginx.3/eth0')).toBe('node1.task-my-nginx.3.eth0.pcap');
    expect(pcapName('../../etc/passwd')).toBe('......etc.passwd.pcap');
    expect(pcapName('a b/c:d/é')).toBe('a_b.c_d.é.pcap');
  });
});

describe('what cannot be written', () => {
  const taps = () => [];

  test('is refused in a sentence, and leaves nothing behind', () => {
    const file = join(folder, 'a-file');
    writeFileSync(file, '');
    for (const place of [file, join(file, 'below')]) {
      expect(() => openCapture('pcapng', place, 'x', taps)).toThrow(CaptureFileError);
      expect(() => openCapture('pcap', place, 'x', taps)).toThrow(/^cannot write .*a-file/);
    }
    expect(() => openCapture('pcapng', '/proc/nowhere', 'x', taps)).toThrow('none can be made there');
    expect(() => writePcap(join(file, 'x.pcap'), [])).toThrow(CaptureFileError);
  });

  test.skipIf(process.getuid?.() === 0)('says when permission is denied (skipped as root, who may do all)', () => {
    const closed = join(folder, 'closed');
    mkdirSync(closed);
    chmodSync(closed, 0o500);
    expect(() => openCapture('pcapng', closed, 'x', taps)).toThrow('permission denied');
  });

  test('takes no records in lent pieces unless it is written in the background', async () => {
    const capture = openCapture('pcapng', join(folder, 'foreground'), 'x', taps) as PcapngFile;
    expect(() => capture.borrow([])).toThrow('in the background');
    expect(() => capture.fill(() => ({ bytes: 0, frames: 0 }))).toThrow('in the background');
    await capture.discard();
  });

  test('is gone when it is discarded, and what was there before stays', async () => {
    const place = join(folder, 'discarded');
    mkdirSync(place);
    writeFileSync(join(place, 'x.pcapng'), 'of an earlier run');
    for (const format of ['pcapng', 'pcap'] as const) {
      const capture = openCapture(format, place, 'x', taps);
      expect(readdirSync(place)).toHaveLength(2);
      await capture.discard();
    }
    expect(readdirSync(place)).toEqual(['x.pcapng']);
    expect(readFileSync(join(place, 'x.pcapng'), 'utf8')).toBe('of an earlier run');
  });
});
