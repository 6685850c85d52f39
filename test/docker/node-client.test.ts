/** `docker` typed on a node that is served: the installed client, against that node's engine. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { clientVersion, clientWorldOf, dockerProgram } from '../../src/docker/client.js';
import { startOnNode } from '../../src/docker/node-exec.js';
import { Served } from './served.js';

const CLIENT = ['docker', '/usr/bin/docker', '/usr/local/bin/docker'].find((program) => clientVersion(program));
const directory = mkdtempSync(join(tmpdir(), 'swarmwire-'));
const decoder = new TextDecoder();
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

function on(node: string, line: string): Promise<{ status: number; out: string }> {
  let out = '';
  const command = startOnNode(served.world, node, { Cmd: ['sh', '-c', line] }, (io) =>
    io.watch({ onOutput: ({ data }) => (out += decoder.decode(data)) }),
  );
  return new Promise((resolve) =>
    command.started?.task.whenDone(() => resolve({ status: command.status() ?? -1, out: out.trim() })),
  );
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
    ])
      expect((await on('node2', line)).out).toMatch(/is outside the directory that docker runs in here$/);
  });
});

test('without a client a node says what is missing', async () => {
  install('/nowhere/docker');
  expect(await on('node1', 'docker ps')).toEqual({
    status: 127,
    out: 'docker: there is no docker command on this machine (/nowhere/docker); the package docker-cli has one',
  });
});
