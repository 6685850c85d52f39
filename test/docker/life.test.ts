/** A container's life beside its network: paused, probed, counted, its files copied. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { packed, unpacked } from '../../src/docker/api/tar.js';
import { Served } from './served.js';

let served: Served;
beforeAll(async () => {
  served = await Served.of(1);
  for (const image of ['alpine', 'nginx']) await served.ask('POST', `/images/create?fromImage=${image}&tag=latest`);
}, 60_000);
afterAll(() => served.close());

async function run(name: string, more: object): Promise<void> {
  expect((await served.ask('POST', `/containers/create?name=${name}`, more)).status).toBe(201);
  expect((await served.ask('POST', `/containers/${name}/start`)).status).toBe(204);
}

/** A line on the node, for so many seconds of virtual time at most. */
async function onNode(line: string, seconds = 10): Promise<{ status: number | undefined; out: string }> {
  let out = '';
  const started = served.world.machine('node1').run(['sh', '-c', line], {
    stdout: { write: (data) => (out += typeof data === 'string' ? data : new TextDecoder().decode(data)) },
  });
  const { engine } = served.world;
  const until = engine.now + seconds * 1e9;
  await served.world.until(() => started?.task.done === true || engine.now > until);
  return { status: started?.task.value, out };
}

const state = async (name: string) =>
  ((await served.ask('GET', `/containers/${name}/json`)).json as { State: Record<string, unknown> }).State;

test('a paused container’s kernel answers, its processes do not until they go on', async () => {
  await run('web', { Image: 'nginx', HostConfig: { NetworkMode: 'bridge' } });
  expect((await onNode('curl -s -o /dev/null http://172.17.0.2/')).status).toBe(0);
  expect((await served.ask('POST', '/containers/web/pause')).status).toBe(204);
  expect((await served.ask('POST', '/containers/web/pause')).json).toEqual({
    message: expect.stringMatching(/already paused$/),
  });
  expect(await state('web')).toMatchObject({ Status: 'paused', Running: true, Paused: true });
  const [listed] = (await served.ask('GET', '/containers/json?filters={"status":["paused"]}')).json as {
    Status: string;
  }[];
  expect(listed?.Status).toMatch(/^Up .* \(Paused\)$/);
  expect((await served.ask('POST', '/containers/web/exec', { Cmd: ['ls'] })).json).toEqual({
    message: expect.stringMatching(/is paused, unpause the container before exec$/),
  });
  expect((await onNode('ping -c 1 172.17.0.2')).status).toBe(0);
  const asking = served.world.machine('node1').run(['curl', '-s', '-o', '/dev/null', 'http://172.17.0.2/']);
  const later = served.world.engine.now + 3e9;
  await served.world.until(() => served.world.engine.now > later);
  expect(asking?.task.done).toBe(false);
  expect((await served.ask('POST', '/containers/web/unpause')).status).toBe(204);
  await served.world.until(() => asking?.task.done === true);
  expect(asking?.task.value).toBe(0);
  expect((await served.ask('POST', '/containers/web/unpause')).status).toBe(409);
  await served.ask('POST', '/containers/web/pause');
  expect((await served.ask('POST', '/containers/web/stop')).status).toBe(204);
  expect((await served.ask('POST', '/containers/web/pause')).json).toEqual({
    message: expect.stringMatching(/is not running$/),
  });
  await served.ask('DELETE', '/containers/web');
});

test('a health check says how its command ends', async () => {
  const Healthcheck = { Test: ['CMD-SHELL', 'cat /tmp/fine'], Interval: 1e9, Retries: 2 };
  await run('probed', { Image: 'alpine', Cmd: ['sleep', 'infinity'], Healthcheck });
  expect(await state('probed')).toMatchObject({ Health: { Status: 'starting', FailingStreak: 0 } });
  const status = async () => (await state('probed')).Health as { Status: string; Log: { ExitCode: number }[] };
  const after = async (seconds: number) => {
    const until = served.world.engine.now + seconds * 1e9;
    await served.world.until(() => served.world.engine.now > until);
  };
  await after(2.5);
  expect(await status()).toMatchObject({ Status: 'unhealthy', Log: [{ ExitCode: 1 }, { ExitCode: 1 }] });
  served.world.computerOf(served.world.cluster.container('probed'))?.files.write('/tmp/fine', 'yes\n');
  await after(1.5);
  expect((await status()).Status).toBe('healthy');
  const [listed] = (await served.ask('GET', '/containers/json?filters={"health":["healthy"]}')).json as {
    Status: string;
  }[];
  expect(listed?.Status).toMatch(/\(healthy\)$/);
  await served.ask('DELETE', '/containers/probed?force=1');
});

test('stats count what the interfaces have carried', async () => {
  await run('counted', { Image: 'alpine', Cmd: ['sleep', 'infinity'] });
  const { json: inspected } = await served.ask('GET', '/containers/counted/json');
  const { IPAddress } = (inspected as { NetworkSettings: { IPAddress: string } }).NetworkSettings;
  expect((await onNode(`ping -c 3 ${IPAddress}`)).status).toBe(0);
  const { json } = await served.ask('GET', '/containers/counted/stats?stream=false');
  expect(json).toMatchObject({
    name: '/counted',
    pids_stats: { current: 1 },
    networks: { eth0: { rx_packets: expect.any(Number), tx_bytes: expect.any(Number) } },
  });
  const { eth0 } = (json as { networks: { eth0: { rx_packets: number; tx_bytes: number } } }).networks;
  expect(eth0.rx_packets).toBeGreaterThanOrEqual(3);
  expect(eth0.tx_bytes).toBeGreaterThanOrEqual(3 * 98);
  await served.ask('DELETE', '/containers/counted?force=1');
});

test('files go out and in as archives; what is none harms nothing', async () => {
  await run('files', { Image: 'alpine', Cmd: ['sleep', 'infinity'] });
  const response = await fetch(`${served.url()}/containers/files/archive?path=/etc/hosts`);
  const stat = JSON.parse(Buffer.from(response.headers.get('x-docker-container-path-stat') ?? '', 'base64').toString());
  expect(stat).toMatchObject({ name: 'hosts', mode: 0o644 });
  const [hosts] = unpacked(new Uint8Array(await response.arrayBuffer())) ?? [];
  expect(new TextDecoder().decode(hosts?.data)).toMatch(/localhost/);
  const put = (body: Uint8Array<ArrayBuffer>, path = '/tmp') =>
    fetch(`${served.url()}/containers/files/archive?path=${path}`, { method: 'PUT', body });
  const note = { name: 'note', directory: false, data: new TextEncoder().encode('hello') };
  expect((await put(packed([note], 0))).status).toBe(200);
  expect(served.world.computerOf(served.world.cluster.container('files'))?.files.read('/tmp/note')).toBe('hello');
  expect((await put(packed([note], 0), '/nowhere')).status).toBe(404);
  expect((await put(packed([{ ...note, name: '../../etc/passwd' }], 0))).status).toBe(400);
  expect((await put(new Uint8Array(700).fill(65))).status).toBe(400);
  expect((await fetch(`${served.url()}/containers/files/archive?path=/none`)).status).toBe(404);
  await served.ask('DELETE', '/containers/files?force=1');
});

test('system df knows containers and images', async () => {
  await run('weighed', { Image: 'alpine', Cmd: ['sleep', 'infinity'] });
  await served.ask('POST', '/volumes/create', { Name: 'v' });
  expect((await served.ask('GET', '/system/df')).json).toMatchObject({
    Containers: [{ Names: ['/weighed'] }],
    Volumes: [{ Name: 'v' }],
  });
  expect((await served.ask('POST', '/build/prune')).status).toBe(200);
  await served.ask('DELETE', '/containers/weighed?force=1');
});
