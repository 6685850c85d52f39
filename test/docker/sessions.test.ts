/** The real docker command against engines of both versions: versions it asks for, terminals, stacks with configs and secrets, lists. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { CLIENTS, has } from './clients.js';
import { Served } from './served.js';

const SLOW = 240_000;
const SCRIPT = has('script', ['--version']);

let served: Served | undefined;
afterEach(() => {
  served?.close();
  served = undefined;
});

const CASES = [...CLIENTS].flatMap(([name, program]) =>
  (['20.10', '28'] as const).map((engine) => [name, engine, program] as const),
);

test.skipIf(CASES.length > 0)('there is no docker command on this machine: its tests are skipped', () => {});

describe.each(CASES)('%s, engine %s', (_, engine, program) => {
  const session = async (nodes: number) => {
    const started = await Served.of(nodes, undefined, engine);
    served = started;
    return (line: string | readonly string[], environment: Record<string, string> = {}) =>
      started.client(program, typeof line === 'string' ? line.split(' ') : line, { environment, seconds: 90 });
  };

  test('speaks the version that it is told to, or comes down to the engine’s', { timeout: SLOW }, async () => {
    const docker = await session(1);
    const format = '{{.Client.APIVersion}} {{.Server.APIVersion}} {{.Server.MinAPIVersion}}';
    const { out } = await docker(['version', '--format', format]);
    const [client = '', server, least] = out.trim().split(' ');
    expect([server, least]).toEqual([engine === '28' ? '1.51' : '1.41', '1.24']);
    expect(Number(client.split('.')[1])).toBeLessThanOrEqual(Number(server?.split('.')[1]));
    for (const DOCKER_API_VERSION of ['1.24', '1.30', '1.41'])
      expect(await docker('ps -q', { DOCKER_API_VERSION })).toEqual({ status: 0, out: '', err: '' });
    expect((await docker('ps', { DOCKER_API_VERSION: '1.99' })).err).toMatch(/client version 1\.99 is too new/);
  });

  test('lists what it made, in every form', { timeout: SLOW }, async () => {
    const docker = await session(1);
    await docker('network create --label a=b net1');
    const { out: id } = await docker('run -d --name web -p 8080:80 --network net1 nginx');
    expect((await docker('ps --no-trunc -q')).out).toBe(id);
    const [row] = (await docker(['ps', '--format', '{{json .}}'])).out.split('\n');
    const both = engine === '28' ? ', [::]:8080->80/tcp' : '';
    expect(JSON.parse(row ?? '')).toMatchObject({
      Names: 'web',
      State: 'running',
      Ports: expect.stringContaining('0.0.0.0:8080->80/tcp'),
    });
    expect((JSON.parse(row ?? '') as { Ports: string }).Ports.replace(':::8080', '[::]:8080')).toBe(
      `0.0.0.0:8080->80/tcp${both}`,
    );
    expect((await docker('port web 80')).out.split('\n')[0]).toBe('0.0.0.0:8080');
    expect((await docker('network ls -q --filter label=a=b')).out.trim()).toHaveLength(12);
    expect((await docker('top web -o pid,comm')).out).toMatch(/^PID +COMMAND\n\d+ +nginx\n$/);
    expect((await docker('system df -v')).out).toMatch(
      /\nContainers space usage:\n\nCONTAINER ID +IMAGE .*\n[0-9a-f]{12} +nginx /,
    );
    expect((await docker('kill -s HUP web')).out).toBe('web\n');
    expect((await docker('rename web www')).status).toBe(0);
    expect((await docker('stop www')).out).toBe('www\n');
    expect((await docker('wait www')).out).toBe('0\n');
    // The client asks by whole seconds.
    const until = Math.ceil(Date.now() / 1000) + 1;
    const events = await docker(
      `events --since 1h --until ${until} --filter container=${id.trim()} --format {{.Action}}`,
    );
    expect(events.out).toMatch(/^create\nstart\ntop\nkill\nrename\nkill\ndie\nstop\n$/);
    expect((await docker('run --rm nginx no-such-program')).status).toBe(127);
    expect((await docker('run --rm alpine false')).status).toBe(1);
  });

  test.skipIf(!SCRIPT)('a terminal: what is typed, what comes back, how it ends', { timeout: SLOW }, async () => {
    const docker = await session(1);
    await docker('run -dit --name box --hostname boxy alpine ash');
    const { status, out } = (await served?.client('script', ['-qec', `${program} exec -it box sh`, '/dev/null'], {
      typed: 'tty; hostname\nexit 3\n',
      seconds: 60,
    })) ?? { status: null, out: '' };
    expect(out).toMatch(/\/dev\/pts\/0\r\nboxy\r\n/);
    expect(status).toBe(3);
  });

  test('a stack with a config and a secret comes, changes and goes', { timeout: SLOW }, async () => {
    const docker = await session(2);
    const folder = mkdtempSync(join(tmpdir(), 'swarmwire-'));
    const file = join(folder, 'stack.yml');
    const stack = (image: string, replicas: number) => `
version: "3.8"
services:
  web:
    image: ${image}
    ports: ["8081:80"]
    networks: [front]
    configs: [{ source: site, target: /etc/site.conf }]
    secrets: [pw]
    deploy: { replicas: ${replicas}, labels: { tier: web } }
networks: { front: {} }
configs: { site: { file: ./site.conf } }
secrets: { pw: { file: ./pw.txt } }
`;
    try {
      writeFileSync(join(folder, 'site.conf'), 'server {}\n');
      writeFileSync(join(folder, 'pw.txt'), 'secret\n');
      writeFileSync(file, stack('nginx:1', 2));
      await docker('swarm init');
      const deployed = await docker(`stack deploy -c ${file} st`);
      expect(deployed.status).toBe(0);
      for (const made of ['network st_front', 'secret st_pw', 'config st_site', 'service st_web'])
        expect(deployed.out).toContain(`Creating ${made}\n`);
      const running = () =>
        [...(served?.world.cluster.services.get('st_web')?.tasks ?? [])].filter(
          ({ state, desired }) => state === 'running' && desired === 'running',
        ).length;
      await served?.world.until(() => running() === 2);
      expect((await docker('stack services --format {{.Name}}|{{.Replicas}}|{{.Image}}|{{.Ports}} st')).out).toBe(
        'st_web|2/2|nginx:1|*:8081->80/tcp\n',
      );
      expect((await docker('stack ls --format {{.Name}}|{{.Services}}')).out).toBe('st|1\n');
      writeFileSync(file, stack('nginx:2', 3));
      expect((await docker(`stack deploy -c ${file} st`)).out).toContain('Updating service st_web');
      await served?.world.until(() => running() === 3);
      expect((await docker('stack ps -q --filter desired-state=running st')).out.trim().split('\n')).toHaveLength(3);
      expect((await docker('secret rm st_pw')).err).toContain(
        "secret 'st_pw' is in use by the following service: st_web",
      );
      expect((await docker('service rollback -d st_web')).status).toBe(0);
      await served?.world.until(() => running() === 2);
      expect((await docker('service ls --format {{.Image}}')).out).toBe('nginx:1\n');
      expect((await docker('service scale -d st_web=4')).out).toBe('st_web scaled to 4\n');
      await served?.world.until(() => running() === 4);
      expect((await docker('stack rm st')).status).toBe(0);
      for (const kind of ['service', 'secret', 'config', 'stack'])
        expect((await docker(`${kind} ls --format {{.Name}}`)).out).toBe('');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
