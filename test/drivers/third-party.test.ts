/** The driver of docs/drivers.md, as a third party would bring it: a module in a directory of its own, with nothing of ours beside it. */

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Driver, parseStackFile, Swarm } from '../../src/index.js';
import { refusal } from '../stack-file/reading.js';

const page = readFileSync(new URL('../../docs/drivers.md', import.meta.url), 'utf8');
const block = (language: string) => new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'ms').exec(page)?.[1] ?? '';
const stack = block('yaml');

let folder: string;
let plain: Driver;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'driver-'));
  writeFileSync(join(folder, 'plain.js'), block('js'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'stack.yml'), stack);
  plain = (await import(pathToFileURL(join(folder, 'plain.js')).href)).default;
});
afterAll(() => rmSync(folder, { recursive: true }));

const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const swarmwire = (...args: string[]) =>
  execFileSync(process.execPath, [cli, ...args], { cwd: folder, encoding: 'utf8', stdio: 'pipe' });

describe('a driver from outside the package', () => {
  it('has about twenty lines', () => {
    expect(block('js').trim().split('\n').length).toBeLessThanOrEqual(28);
  });

  it('makes its networks and endpoints when it is handed to the library', async () => {
    const drivers = [plain];
    const { spec } = parseStackFile(stack, { file: 'stack.yml', drivers });
    const swarm = await Swarm.create(spec, { drivers });
    swarm.tapEverything();
    expect(swarm.play().map(({ ok, detail }) => ({ ok, detail }))).toEqual([
      { ok: true, detail: '1 of 1 answered, ttl 64' },
    ]);
    const bridge = swarm.topology.networks.find(({ name }) => name === 'wire')?.onNode.node1?.bridge ?? '';
    expect(bridge).toMatch(/^br-[0-9a-f]{12}$/);
    expect(swarm.frames(`node1/host/${bridge}`).length).toBeGreaterThan(0);
    // It gave no gateway: there is no way out.
    expect(swarm.namespace('node1/ct-one').routes.map(({ destination }) => destination)).not.toContain('0.0.0.0/0');
  });

  it('is loaded by its file on the command line', () => {
    const report = JSON.parse(swarmwire('run', 'stack.yml', '--driver', './plain.js', '--json'));
    expect(report.flows.map(({ ok }: { ok: boolean }) => ok)).toEqual([true]);
  });

  it('is loaded by every engine of a run that several share', () => {
    const one = JSON.parse(swarmwire('run', 'stack.yml', '--driver', './plain.js', '--json'));
    const two = JSON.parse(swarmwire('run', 'stack.yml', '--driver', './plain.js', '--json', '--workers', '2'));
    expect(two.flows).toEqual(one.flows);
  });

  it.each([1, 2])('meets the very classes that it imports (--workers %i)', (workers) => {
    const library = new URL('../../dist/index.js', import.meta.url).href;
    const importing = `
      import { Namespace } from '${library}';
      import plain from './plain.js';
      const join = (call) => {
        if (!(call.sandbox.namespace instanceof Namespace)) throw new Error('a namespace of another class');
        return plain.join(call);
      };
      export default { ...plain, join };`;
    writeFileSync(join(folder, 'importing.js'), importing);
    const args = ['run', 'stack.yml', '--driver=./importing.js', '--json', '--workers', `${workers}`];
    expect(JSON.parse(swarmwire(...args)).flows).toMatchObject([{ ok: true }]);
  });

  it('is loaded to draw, to serve and to replay as well', { timeout: 180_000 }, async () => {
    const driver = ['--driver', './plain.js'];
    swarmwire('draw', 'stack.yml', ...driver);
    expect(readFileSync(join(folder, 'drawings/stack.mmd'), 'utf8')).toContain('plain');
    swarmwire('run', 'stack.yml', ...driver, '--format', 'pcap', '--out', 'taps');
    const [capture = ''] = readdirSync(join(folder, 'taps'), { recursive: true })
      .map(String)
      .filter((name) => name.endsWith('ct-one.eth0.pcap'));
    const at = ['--at', 'node1/ct-one/eth0', '--as', 'transmitted', '--json'];
    const report = JSON.parse(swarmwire('replay', join('taps', capture), 'stack.yml', ...at, ...driver));
    expect(report.injected).toBeGreaterThan(0);
    const served = spawn(process.execPath, [cli, 'serve', 'stack.yml', ...driver, '--host', 'tcp://127.0.0.1:0'], {
      cwd: folder,
    });
    try {
      const [, url] = await new Promise<RegExpExecArray>((resolve, reject) => {
        let said = '';
        let noted = '';
        served.stderr.on('data', (piece) => {
          noted += piece;
        });
        served.on('exit', () => reject(new Error(noted)));
        served.stdout.on('data', (piece) => {
          said += piece;
          const found = /DOCKER_HOST=tcp:(\S+)\s/.exec(said);
          if (found) resolve(found);
        });
      });
      const networks = (await (await fetch(`http:${url}/networks`)).json()) as { Name: string; Driver: string }[];
      expect(networks.find(({ Name }) => Name === 'wire')?.Driver).toBe('plain');
    } finally {
      served.kill();
    }
  });

  it('is missed with the words of dockerd, at its place', () => {
    const { message, line, column } = refusal(stack);
    expect({ line, column }).toEqual({ line: 2, column: 19 });
    expect(message).toContain('plugin "plain" not found');
    expect(page).toContain('stack.yml:2:19: plugin "plain" not found');
  });

  it.each([
    ['nothing.js', '', 'there is no such file'],
    ['empty.js', 'export const x = 1;', 'it has no default export'],
    ['nameless.js', 'export default { scope: "local" };', 'a driver needs a name'],
    ['scopeless.js', 'export default { name: "x", scope: "galaxy" };', 'its scope is "local" or "swarm"'],
    ['callless.js', 'export default { name: "x", scope: "local" };', 'lacks createNetwork, deleteNetwork, join, leave'],
    ['second.js', 'export { bridge as default } from "./twin.js";', 'there are two drivers called "bridge"'],
    ['broken.js', 'export default {', 'Unexpected'],
  ])('%s is bad input', (file, text, words) => {
    writeFileSync(
      join(folder, 'twin.js'),
      'const f = () => {}; export const bridge = { name: "bridge", scope: "local", createNetwork: f, deleteNetwork: f, join: f, leave: f };',
    );
    if (text) writeFileSync(join(folder, file), text);
    try {
      swarmwire('run', 'stack.yml', '--driver', `./${file}`);
    } catch (error) {
      const { status, stderr } = error as { status: number; stderr: string };
      expect(status).toBe(2);
      expect(stderr).toContain(words);
      return;
    }
    throw new Error('it was accepted');
  });
});
