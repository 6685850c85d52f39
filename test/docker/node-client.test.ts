/** `docker` typed on a node that is served: the installed client, against that node's engine. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { clientWorldOf, dockerProgram } from '../../src/docker/client.js';
import { CLIENTS } from './clients.js';
import { on as onNode, Served } from './served.js';

const [CLIENT] = CLIENTS.values();
const directory = mkdtempSync(join(tmpdir(), 'swarmwire-'));
vi.setConfig({ testTimeout: 120_000 });

let served: Served;
beforeAll(async () => {
  served = await Served.of(2);
  install(CLIENT ?? '');
});
afterAll(() => {
  served.close();
  rmSync(directory, { recursive: true });
});

function install(program: string): void {
  const clients = clientWorldOf(served.world, () => served.engines);
  served.world.hostProgram = (node, name) =>
    name === 'docker' ? dockerProgram(node, clients, { program, directory }) : undefined;
}

async function on(node: string, line: string): Promise<{ status: number; out: string }> {
  const { status, out } = await onNode(served.world, node, line);
  return { status, out: out.trim() };
}

describe.skipIf(!CLIENT)('docker on a node', () => {
  test("is the node's own, in pipes and substitutions, too", async () => {
    expect((await on('node2', 'docker pull -q nginx && docker run -d --name web nginx | wc -l')).out).toMatch(/\n1$/);
    expect((await on('node2', 'docker ps --format "{{.Names}}" | grep -c web')).out).toBe('1');
    expect((await on('node1', 'docker ps -q')).out).toBe('');
    expect(
      (await on('node2', 'IP=$(docker inspect -f "{{.NetworkSettings.IPAddress}}" web); ping -q -c 1 $IP')).status,
    ).toBe(0);
  });
  test('another node is asked with -H, and nobody else', async () => {
    expect((await on('node1', 'docker -H node2 ps --format "{{.Names}}"')).out).toBe('web');
    expect((await on('node1', 'docker -H tcp://192.168.99.111:2375 ps --format "{{.Names}}"')).out).toBe('web');
    const { status, out } = await on('node1', 'docker -H tcp://192.0.2.1:2375 ps');
    expect([status, out]).toEqual([
      125,
      'swarmwire: tcp://192.0.2.1:2375 is no engine of this swarm, and others are not asked',
    ]);
  });
  test('what needs a terminal says where there is one; files of this machine are left alone', async () => {
    expect((await on('node2', 'docker exec -it web sh')).out).toMatch(
      /^swarmwire: that needs a terminal of your own: DOCKER_HOST=tcp:\/\/127\.0\.0\.1:\d+ docker exec -it web sh$/,
    );
    for (const line of [
      'docker run --env-file /etc/passwd nginx',
      'docker cp /etc/passwd web:/',
      'docker --config=/root ps',
      'docker -D cp web:/etc/hosts /tmp/x',
      'docker -l debug cp web:/etc/hosts /tmp/x',
      'docker --log-level=debug image save -o/tmp/x nginx',
      'docker export --output=/tmp/x web',
      'docker secret create n /etc/passwd',
      'docker config create n /etc/passwd',
      'docker stack deploy -c/etc/passwd s',
      'docker stack up --compose-file=/etc/passwd s',
      'docker stack deploy -c ../x.yml s',
      'docker buildx build -o type=local,dest=/tmp/x .',
      'docker builder build /etc',
      'docker plugin create p /etc',
      'docker context import c /etc/passwd',
      'docker context create c --docker host=tcp://node1,ca=/etc/passwd',
      'docker run --security-opt seccomp=/etc/passwd nginx',
    ])
      expect([line, (await on('node2', line)).out]).toEqual([
        line,
        expect.stringMatching(/is outside the directory that docker runs in here$/),
      ]);
    expect((await on('node2', 'docker -l debug -H tcp://192.0.2.1:2375 ps')).out).toMatch(/is no engine of this swarm/);
    expect((await on('node2', 'docker -DHtcp://192.0.2.1:2375 ps')).out).toMatch(/is no engine of this swarm/);
    expect((await on('node2', 'docker -D run --rm -v /:/host alpine echo /etc/passwd')).out).toContain('/etc/passwd');
  });
});

test('without a client a node says what is missing', async () => {
  install('/nowhere/docker');
  expect(await on('node1', 'docker ps')).toEqual({
    status: 127,
    out: 'docker: there is no docker command on this machine (/nowhere/docker); the package docker-cli has one',
  });
});
