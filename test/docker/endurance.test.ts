/** Nothing stays of what has come and gone, and nobody who goes in the middle takes anything along. */

import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Served } from './served.js';

const SLOW = 120_000;

let served: Served;
beforeAll(async () => {
  served = await Served.of(2);
  await served.ask('POST', '/images/create?fromImage=alpine&tag=latest');
});
afterAll(() => served.close());

/** Says so much, and leaves: at once, or with the first word of the answer. */
function sayAndLeave(text: string, when: 'at once' | 'answered'): Promise<void> {
  const { port } = new URL(served.url());
  return new Promise((resolve) => {
    const socket = connect(Number(port), '127.0.0.1', () => {
      socket.write(text);
      if (when === 'at once') socket.destroy();
    });
    socket.once('data', () => socket.destroy());
    socket.on('close', () => resolve());
    socket.on('error', () => resolve());
  });
}

test('clients that leave in the middle of a pull, of a body, of what is followed', { timeout: SLOW }, async () => {
  const watchers = () =>
    served.engines.map(({ server }) => new Promise<number>((done) => server.getConnections((_, count) => done(count))));
  await served.ask('POST', '/containers/create?name=talker', { Image: 'alpine', Cmd: ['ping', '127.0.0.1'] });
  await served.ask('POST', '/containers/talker/start');
  const head = 'Host: x\r\nContent-Type: application/json\r\n';
  const texts = [
    `POST /v1.41/images/create?fromImage=busybox&tag=latest HTTP/1.1\r\n${head}Content-Length: 0\r\n\r\n`,
    `POST /v1.41/containers/create HTTP/1.1\r\n${head}Content-Length: 1000\r\n\r\n{"Image":`,
    `GET /v1.41/containers/talker/logs?follow=1&stdout=1 HTTP/1.1\r\n${head}\r\n`,
    `GET /v1.41/events HTTP/1.1\r\n${head}\r\n`,
    `GET /v1.41/containers/talker/stats HTTP/1.1\r\n${head}\r\n`,
    `POST /v1.41/containers/talker/wait HTTP/1.1\r\n${head}Content-Length: 0\r\n\r\n`,
    `POST /v1.41/containers/talker/attach?stream=1&stdout=1 HTTP/1.1\r\n${head}Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n`,
    `GET /swarmwire/captures/node1/host/eth0 HTTP/1.1\r\n${head}\r\n`,
  ];
  for (const when of ['at once', 'answered'] as const)
    await Promise.all(
      texts.flatMap((text) =>
        Array.from({ length: 10 }, () =>
          text.includes('1000') ? sayAndLeave(text, 'at once') : sayAndLeave(text, when),
        ),
      ),
    );
  expect((await served.ask('GET', '/_ping')).text).toBe('OK');
  expect((await served.ask('GET', '/images/json')).json).toContainEqual(
    expect.objectContaining({ RepoTags: ['busybox:latest'] }),
  );
  // Nobody looks on any more: a stop has nobody to wait for, and is over at once.
  const before = Date.now();
  await served.ask('POST', '/containers/talker/stop');
  expect(Date.now() - before).toBeLessThan(8000);
  await served.ask('DELETE', '/containers/talker');
  expect((await Promise.all(watchers())).every((count) => count < 20)).toBe(true);
});

test('round after round, and the engine’s memory is no larger', { timeout: SLOW }, async () => {
  const { world } = served;
  const round = async (i: number) => {
    await served.ask('POST', '/networks/create', { Name: `net${i}` });
    await served.ask('POST', `/containers/create?name=box${i}`, {
      Image: 'alpine',
      Cmd: ['sleep', 'infinity'],
      HostConfig: { NetworkMode: `net${i}`, PortBindings: { '80/tcp': [{ HostPort: '8080' }] } },
    });
    expect((await served.ask('POST', `/containers/box${i}/start`)).status).toBe(204);
    const box = world.computerOf(world.cluster.container(`box${i}`, 'node1'));
    const ping = box?.run(['ping', '-c', '2', `box${i}`]);
    await world.until(() => ping?.task.done === true);
    expect(ping?.task.value).toBe(0);
    await served.ask('DELETE', `/containers/box${i}?force=1`);
    expect((await served.ask('DELETE', `/networks/net${i}`)).status).toBe(204);
  };
  const size = () => ({
    memory: world.engine.memory.bytes.byteLength,
    namespaces: world.engine.namespaces.size,
    networks: world.topology.networks.length,
    sandboxes: world.topology.sandboxes.length,
    containers: world.cluster.containers.size,
    configs: world.configs.size,
    execs: world.execs.size,
    rules: [...world.namespace('node1/host').devices.keys()].length,
  });
  for (let i = 0; i < 10; i++) await round(i);
  const first = size();
  for (let i = 10; i < 60; i++) await round(i);
  expect(size()).toEqual(first);
});
