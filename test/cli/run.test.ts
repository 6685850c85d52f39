/** `swarmwire run`, from the file to the captures. */

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCapture } from '../../src/capture/read.js';
import type { RunReport } from '../../src/cli/run-report.js';
import { EXAMPLES, MAIN, swarmwire } from './command.js';

const THREE_TIER = join(EXAMPLES, 'three-tier.yml');
const LOAD = `services:
  api: {image: nginx, networks: [net1], deploy: {replicas: 2}}
  shell: {image: alpine, networks: [net1]}
networks: {net1: {driver_opts: {encrypted: ""}}}
x-swarmwire:
  traffic:
    - load: {from: shell, to: "api:80", flows: 20, packets: 400, rate: 10kpps}
`;
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'swarmwire-run-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}
const lines = (text: string) => text.split('\n');

describe('the default example', () => {
  test('says who answered, by what way, what was written and how to open it', () => {
    const { code, out, err } = swarmwire(['run', THREE_TIER], { cwd: folder });
    expect([code, err]).toEqual([0, '']);
    expect(lines(out)[0]).toMatch(
      /three-tier\.yml: 3 nodes \(node1 manager, node2, node3\) · .*net1 100\.0\.0\.0\/24 VNI 4097 · nginx\.1 on node2 \(1080→80\) · node\.1 on node3 · redis\.1 on node1$/,
    );
    expect(out).toMatch(/^client → node1:1080 http {2}answered by nginx\.1 on node2 in [\d.]+ (ms|µs)$/m);
    const way = out.slice(out.indexOf('client → node1:1080'), out.indexOf('client → node2:1080'));
    for (const step of [
      /node1\/host +DNAT +192\.168\.99\.110:1080 → 172\.18\.0\.2:1080 +nat DOCKER-INGRESS/,
      /node1\/ingress_sbox +IPVS +172\.18\.0\.2:1080 → 10\.0\.0\.\d+:1080 +FWM 256 rr/,
      /node1\/ingress_sbox +SNAT +192\.168\.99\.1:(\d+) → 10\.0\.0\.2:\1 +nat POSTROUTING/,
      /node1\/ov-ingress +VXLAN +192\.168\.99\.110 → 192\.168\.99\.111 +VNI 4096/,
      /node2\/task-nginx\.1 +REDIRECT +10\.0\.0\.\d+:1080 → 10\.0\.0\.\d+:80 +nat PREROUTING/,
    ]) {
      expect(way).toMatch(step);
    }
    expect(out).toMatch(/^ {4}nginx\S* → node:3000 http {2}answered by node\.1 on node3/m);
    expect(out).toMatch(/^ {8}node\S* → redis:6379 redis {2}answered/m);
    expect(out).toMatch(/^nginx → 203\.0\.113\.10:80 http {2}answered by client/m);
    expect(out).toMatch(/node2\/host +MASQUERADE +172\.18\.0\.\d+:\d+ → 192\.168\.99\.111:\d+ +nat POSTROUTING/);
    expect(out).toContain('4 flows, all answered');
    expect(out).toContain('wireshark -d tcp.port==1080,http captures/three-tier.pcapng');
    expect(out).toContain('dropped otherwise: none');
    const [, made, delivered, dropped, inFlight] = (
      /frames: (\d+) made = (\d+) delivered \+ (\d+) dropped \+ (\d+) in flight/.exec(out) ?? []
    ).map(Number);
    expect(made).toBe((delivered ?? 0) + (dropped ?? 0) + (inFlight ?? 0));
    expect(inFlight).toBe(0);

    const file = join(folder, 'captures', 'three-tier.pcapng');
    const { frames } = readCapture(readFileSync(file));
    expect(out).toMatch(new RegExp(`captures/three-tier\\.pcapng +[\\d.]+ KiB +${frames.length} frames`));
    expect(readdirSync(join(folder, 'captures'))).toEqual(['three-tier.pcapng']);
    // Not a terminal, so no colours, whatever FORCE_COLOR says.
    expect(out).not.toContain('\x1b');
  });

  test('is read by validators that were compiled when swarmwire was built', () => {
    const env = { NODE_OPTIONS: '--disallow-code-generation-from-strings' };
    expect(swarmwire(['run', THREE_TIER], { cwd: folder, env })).toMatchObject({ code: 0, err: '' });
  });

  test('of an encrypted network writes the keys beside the captures, in a configuration of Wireshark', () => {
    const { code, out } = swarmwire(['run', join(EXAMPLES, 'encrypted.yml'), '--out', 'secret', '--json'], {
      cwd: folder,
    });
    expect(code).toBe(0);
    const { captures, stack } = JSON.parse(out) as RunReport;
    expect(captures.keys).toEqual({ directory: join('secret', 'encrypted.wireshark'), associations: 18 });
    expect(stack.networks.filter(({ encrypted }) => encrypted).map(({ name }) => name)).toEqual(['back']);
    const files = join(folder, 'secret', 'encrypted.wireshark');
    expect(readdirSync(files).sort()).toEqual(['esp_sa', 'preferences']);
    const table = readFileSync(join(files, 'esp_sa'), 'utf8').trim().split('\n');
    expect(table).toHaveLength(18);
    const line =
      /^"IPv4","192\.168\.99\.11\d","192\.168\.99\.11\d","0x[0-9a-f]{8}","AES-GCM with 8 octet ICV \[RFC4106\]","0x[0-9a-f]{40}","NULL",""$/;
    for (const one of table) expect(one).toMatch(line);
  });

  test('as JSON is one document with all of it, and the same captures', () => {
    const { code, out, err } = swarmwire(['run', THREE_TIER, '--json', '--out', 'json'], { cwd: folder });
    expect([code, err]).toEqual([0, '']);
    const report = JSON.parse(out) as RunReport;
    expect(report).toMatchObject({
      ok: true,
      seed: 1,
      captures: { format: 'pcapng', directory: 'json', comments: true, missed: 0, late: 0 },
    });
    expect(report.stack.services[0]).toEqual({
      name: 'nginx',
      tasks: [{ name: 'nginx.1', node: 'node2' }],
      ports: [{ published: 1080, target: 80, protocol: 'tcp' }],
    });
    expect(report.flows.map(({ to, answeredBy, ok }) => ({ to, answeredBy, ok }))).toEqual([
      { to: 'node1:1080', answeredBy: 'nginx.1 on node2', ok: true },
      { to: 'node2:1080', answeredBy: 'nginx.1 on node2', ok: true },
      { to: 'node3:1080', answeredBy: 'nginx.1 on node2', ok: true },
      { to: '203.0.113.10:80', answeredBy: 'client', ok: true },
    ]);
    expect(report.flows[1]?.journey.map(({ what }) => what)).toEqual(['DNAT', 'IPVS', 'SNAT', 'REDIRECT']);
    const [file] = report.captures.files;
    expect(file?.bytes).toBe(statSync(join(folder, file?.path ?? '')).size);
    expect(report.captures.interfaces.reduce((sum, { frames }) => sum + frames, 0)).toBe(file?.frames);
    expect(report.drops.other).toEqual([]);
    expect(report.frames).toMatchObject({ balanced: true, inFlight: 0 });
  });

  test('gives the same bytes for the same seed, and others with the same outcome for another', () => {
    const go = (out: string, seed: string) => {
      const { code, out: json } = swarmwire(['run', THREE_TIER, '--json', '--seed', seed, '--out', out], {
        cwd: folder,
      });
      expect(code).toBe(0);
      const { flows, captures } = JSON.parse(json) as RunReport;
      return {
        bytes: readFileSync(join(folder, out, 'three-tier.pcapng')),
        outcome: flows.map(({ to, ok, answeredBy }) => ({ to, ok, answeredBy })),
        frames: captures.frames,
      };
    };
    const [one, same, other] = [go('one', '7'), go('same', '7'), go('other', '8')];
    expect(same.bytes.equals(one.bytes)).toBe(true);
    expect(other.bytes.equals(one.bytes)).toBe(false);
    expect([other.outcome, other.frames]).toEqual([one.outcome, one.frames]);
  });

  test('as pcap is a folder with a file per tap that saw frames', () => {
    const { code, out } = swarmwire(['run', THREE_TIER, '--format', 'pcap', '--out', 'taps'], { cwd: folder });
    expect(code).toBe(0);
    const names = readdirSync(join(folder, 'taps', 'three-tier'));
    expect(names).toContain('node1.host.eth0.pcap');
    expect(names).not.toContain('node1.host.lo.pcap');
    expect(out).toContain('wireshark -d tcp.port==1080,http taps/three-tier/client.host.eth0.pcap');
    expect(out).toContain('more with fewer frames');
  });

  test.each([[], ['--workers', '2']])('writes no captures where none are asked for: %s', (...workers) => {
    const path = write('none.yml', LOAD);
    const there = swarmwire(['run', path, '--json', '--out', 'all', ...workers], { cwd: folder });
    const { code, out } = swarmwire(['run', path, '--json', '--out', 'none', '--format', 'none', ...workers], {
      cwd: folder,
    });
    const [captured, report] = [there.out, out].map((text): RunReport => JSON.parse(text));
    expect([there.code, code, existsSync(join(folder, 'none'))]).toEqual([0, 0, false]);
    expect(report?.captures).toMatchObject({ format: 'none', interfaces: [], frames: 0, files: [] });
    expect(report?.captures.keys).toBeUndefined();
    expect(captured?.captures.keys).toBeDefined();
    expect(report?.flows).toEqual(captured?.flows);
    expect(report?.frames).toEqual(captured?.frames);
    expect(swarmwire(['run', path, '--out', 'none', '--format', 'none'], { cwd: folder }).out).toContain(
      'no captures: none were asked for',
    );
  });
});

describe('a stack file', () => {
  test('that is refused is refused as its reader says it, with nothing written', () => {
    const file = write('wrong.yml', 'services:\n  web:\n    image: nginx\n    ports: ["99999:80"]\n');
    const { code, out, err } = swarmwire(['run', file, '--out', 'never'], { cwd: folder });
    expect([code, out]).toEqual([2, '']);
    expect(lines(err)[0]).toMatch(/wrong\.yml:4:\d+: /);
    expect(existsSync(join(folder, 'never'))).toBe(false);
  });

  test('that is not there, or is a directory, is bad input', () => {
    expect(swarmwire(['run', 'nosuch.yml'], { cwd: folder })).toMatchObject({
      code: 2,
      err: 'swarmwire: cannot read nosuch.yml: there is no such file\n',
    });
    expect(swarmwire(['run', '.'], { cwd: folder })).toMatchObject({
      code: 2,
      err: 'swarmwire: cannot read .: it is a directory\n',
    });
  });

  test('says what is ignored, and has its variables from the environment', () => {
    const file = write('notices.yml', 'services:\n  web:\n    image: nginx\n    build: .\n    ports: ["$PORT:80"]\n');
    const { code, out } = swarmwire(['run', file, '--nodes', '1'], { cwd: folder, env: { PORT: '8081' } });
    expect(code).toBe(0);
    expect(out).toMatch(/notices\.yml:4:5: ignored: build/);
    expect(out).toMatch(/1 node \(node1 manager\) .* web\.1 on node1 \(8081→80\)/);
    expect(out).toContain('client → node1:8081');
  });

  test('without traffic says so, and is well', () => {
    const file = write('quiet.yml', 'services: { web: { image: nginx } }');
    const { code, out } = swarmwire(['run', file], { cwd: folder });
    expect(code).toBe(0);
    expect(out).toContain('no traffic: no port is published');
  });

  test('whose traffic fails ends with exit code 1, and with the captures that show why', () => {
    const file = write(
      'failing.yml',
      'services: { web: { image: nginx, ports: ["8080:80"] } }\nx-swarmwire: { traffic: [ { http: { from: client, to: "node1:8081" } } ] }\n',
    );
    const { code, out } = swarmwire(['run', file], { cwd: folder });
    expect(code).toBe(1);
    expect(out).toMatch(/^client → node1:8081 http {2}failed: /m);
    expect(out).toContain('1 of 1 flow failed');
    expect(readCapture(readFileSync(join(folder, 'captures', 'failing.pcapng'))).frames.length).toBeGreaterThan(0);
    expect(swarmwire(['run', file, '--json'], { cwd: folder }).code).toBe(1);
  });
});

test('an out directory that cannot be written is bad input', () => {
  const file = write('in-the-way', '');
  const { code, out, err } = swarmwire(['run', THREE_TIER, '--out', file]);
  expect([code, out]).toEqual([2, '']);
  expect(err).toBe(`swarmwire: cannot write ${file}: a file of that name is in the way\n`);
});

describe('a load', () => {
  const stack = (packets: number) => `services:
  web: { image: nginx, ports: ["8080:80"], deploy: { replicas: 2 } }
x-swarmwire:
  traffic:
    - load: { to: "node1:8080", flows: 10, packets: ${packets}, rate: 100kpps }
`;

  test('is told task by task, and captured in the order of time without comments', () => {
    const { code, out } = swarmwire(['run', write('load.yml', stack(5000))], { cwd: folder });
    expect(code).toBe(0);
    expect(out).toMatch(
      /client → node1:8080 load {2}5 000 of 5 000 packets arrived \(tcp, 10 flows; 99\.8 kpps, 51\.1 Mbps/,
    );
    expect(out).toMatch(/web\.1 on node\d +5 flows +2 500 packets +50\.0 %/);
    const { frames } = readCapture(readFileSync(join(folder, 'captures', 'load.pcapng')));
    expect(frames.length).toBeGreaterThan(50_000);
    expect(frames.some(({ comment }) => comment !== undefined)).toBe(false);
    expect(frames.every(({ time }, index) => index === 0 || time >= (frames[index - 1]?.time ?? 0n))).toBe(true);
  });

  test.each(['1', '2'])(
    'ends early by Ctrl-C (--workers %s): captures are whole, what is missing is said',
    async (workers) => {
      const name = `endless-${workers}`;
      const file = write(`${name}.yml`, stack(1_000_000_000));
      const child = spawn(process.execPath, [MAIN, 'run', file, '--workers', workers], { cwd: folder });
      let out = '';
      child.stdout.on('data', (text) => {
        out += text;
      });
      const part = () =>
        readdirSync(join(folder, 'captures')).some((one) => one.includes(name) && one.endsWith('.part'));
      while (!existsSync(join(folder, 'captures')) || !part()) await new Promise((resolve) => setTimeout(resolve, 50));
      await new Promise((resolve) => setTimeout(resolve, 300));
      child.kill('SIGINT');
      const code = await new Promise((resolve) => child.on('exit', resolve));
      expect(code).toBe(130);
      expect(out).toMatch(
        /^interrupted after .* of virtual time, 0 of 1 flow over: the captures are whole up to then/m,
      );
      expect(out).toMatch(/packets were not sent/);
      const capture = readCapture(readFileSync(join(folder, 'captures', `${name}.pcapng`)));
      expect(capture.truncated).toBe(false);
      expect(capture.warnings).toEqual([]);
      expect(part()).toBe(false);
    },
    60_000,
  );

  test.runIf(process.platform === 'linux').each([
    ['1', 9_000_000, 'swarmwire: the system', 'raise the limit'],
    ['2', 16_000_000, 'swarmwire: --workers 2: the system', 'fewer workers need less'],
  ])('bad input is what the system has no addresses for (--workers %s)', (workers, kibibytes, told, hint) => {
    const shell = `ulimit -v ${kibibytes}; exec "$@"`;
    const command = [process.execPath, MAIN, 'run', write('load.yml', stack(10)), '--workers', workers];
    const { status, stderr } = spawnSync('sh', ['-c', shell, 'sh', ...command], { cwd: folder, encoding: 'utf8' });
    expect([status, lines(stderr)]).toEqual([
      2,
      [expect.stringMatching(new RegExp(`^${told} does not give .* memory`)), expect.stringContaining(hint), ''],
    ]);
  });
});
