/** The Engine API itself: what a client gets for what it asks, right and wrong. */

import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Served } from './served.js';

let served: Served;
beforeAll(async () => {
  served = await Served.of(2);
  await served.ask('POST', '/images/create?fromImage=alpine&tag=latest');
}, 60_000);
afterAll(() => served.close());

const id = (json: unknown) => (json as { Id: string }).Id;

async function container(name: string, more: object = {}): Promise<string> {
  const { status, json } = await served.ask('POST', `/v1.41/containers/create?name=${name}`, {
    Image: 'alpine',
    Cmd: ['sleep', 'infinity'],
    ...more,
  });
  expect(status).toBe(201);
  await served.ask('POST', `/containers/${name}/start`);
  return id(json);
}

describe('versions', () => {
  test.each(['1.24', '1.40', '1.41', '1.50'])('%s is spoken', async (version) => {
    expect((await served.ask('GET', `/v${version}/containers/json`)).status).toBe(200);
  });
  test.each([
    ['1.23', /too old\. Minimum supported API version is 1\.24/],
    ['1.99', /too new\. Maximum supported API version is/],
  ])('%s is not', async (version, words) => {
    const { status, json } = await served.ask('GET', `/v${version}/info`);
    expect([status, json]).toEqual([400, { message: expect.stringMatching(words) }]);
  });
});

describe('wrong requests get the engine’s own kind of error', () => {
  test.each([
    ['GET', '/containers/nobody/json', undefined, 404, 'No such container: nobody'],
    ['POST', '/containers/create?name=x', '{"Image":', 400, /^invalid JSON/],
    ['POST', '/containers/create?name=x', { Image: 5 }, 400, /cannot unmarshal number into field Image/],
    ['POST', '/containers/create?name=x', { Image: 'nothing-pulled' }, 404, 'No such image: nothing-pulled:latest'],
    ['POST', '/containers/create?name=-bad-', { Image: 'alpine' }, 400, /^Invalid container name/],
    ['GET', '/containers/json?filters={', undefined, 400, 'invalid filter'],
    ['GET', '/containers/json?filters={"what":["x"]}', undefined, 400, "invalid filter 'what'"],
    ['POST', '/networks/create', { Name: '' }, 400, 'network name is required'],
    ['POST', '/networks/create', { Name: 'n', Driver: 'nobodys' }, 404, 'plugin "nobodys" not found'],
    ['DELETE', '/networks/bridge', undefined, 403, /pre-defined network and cannot be removed/],
    ['GET', '/services', undefined, 503, /^This node is not a swarm manager/],
    ['POST', '/swarm/join', { RemoteAddrs: ['192.168.99.1:2377'], JoinToken: 'x' }, 503, /connection refused/],
    ['GET', '/nothing/there', undefined, 404, 'page not found'],
  ])('%s %s', async (method, path, body, status, message) => {
    const answer = await served.ask(method, path, body);
    expect([answer.status, answer.json]).toEqual([
      status,
      { message: typeof message === 'string' ? message : expect.stringMatching(message) },
    ]);
  });

  test('a body that is too large, and what is no HTTP at all, harm nothing', async () => {
    const big = await served
      .ask('POST', '/containers/create', 'x'.repeat(5 << 20))
      .catch((error: Error) => ({ status: error.message }));
    expect([413, 'write EPIPE', 'read ECONNRESET', 'socket hang up']).toContain(big.status);
    const { port } = new URL(served.url());
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), '127.0.0.1', () => socket.write('\x00\x01nonsense\r\n\r\n'));
      socket.on('data', () => {});
      socket.on('close', () => resolve());
      socket.on('error', () => resolve());
    });
    expect((await served.ask('GET', '/_ping')).text).toBe('OK');
  });
});

describe('containers', () => {
  test('have the address, MAC and names that dockerd gives them', async () => {
    const own = await container('one');
    const { json } = await served.ask('GET', '/containers/one/json');
    const settings = (json as { NetworkSettings: { Networks: Record<string, object> } }).NetworkSettings.Networks
      .bridge;
    expect(settings).toMatchObject({
      IPAddress: '172.17.0.2',
      IPPrefixLen: 16,
      Gateway: '172.17.0.1',
      MacAddress: '02:42:ac:11:00:02',
    });
    const { json: network } = await served.ask('GET', '/networks/bridge');
    expect((network as { Containers: Record<string, object> }).Containers[own]).toMatchObject({
      Name: 'one',
      IPv4Address: '172.17.0.2/16',
    });
    expect((await served.ask('DELETE', '/containers/one')).json).toEqual({
      message: expect.stringMatching(/^You cannot remove a running container/),
    });
    expect((await served.ask('DELETE', '/containers/one?force=1')).status).toBe(204);
    expect((await served.ask('GET', '/containers/one/json')).status).toBe(404);
  });

  test('are of their own node', async () => {
    await container('here');
    expect((await served.ask('GET', '/containers/json', undefined, 2)).json).toEqual([]);
    await served.ask('DELETE', '/containers/here?force=1');
  });

  test('that is stopped ends by SIGKILL after its time, which nobody has to wait for', async () => {
    await container('deaf');
    const before = Date.now();
    expect((await served.ask('POST', '/containers/deaf/stop')).status).toBe(204);
    expect(Date.now() - before).toBeLessThan(8000);
    const { json } = await served.ask('GET', '/containers/deaf/json');
    expect((json as { State: object }).State).toMatchObject({ Status: 'exited', ExitCode: 137 });
    await served.ask('DELETE', '/containers/deaf');
  });

  test('that runs another command than its image says hears SIGTERM as that command does', async () => {
    await served.ask('POST', '/images/create?fromImage=redis&tag=latest');
    await served.ask('POST', '/containers/create?name=sleeper', { Image: 'redis', Cmd: ['sleep', '1000'] });
    await served.ask('POST', '/containers/sleeper/start');
    for (const path of ['stop', 'restart'])
      expect(await served.ask('POST', `/containers/sleeper/${path}?t=abc`)).toMatchObject({
        status: 400,
        json: { message: 'strconv.Atoi: parsing "abc": invalid syntax' },
      });
    const waiting = served.ask('POST', '/containers/sleeper/stop?t=-1');
    await served.ask('GET', '/_ping');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await served.ask('GET', '/containers/sleeper/json')).json).toMatchObject({ State: { Running: true } });
    expect((await served.ask('POST', '/containers/sleeper/stop')).status).toBe(204);
    expect((await waiting).status).toBe(204);
    expect((await served.ask('GET', '/containers/sleeper/json')).json).toMatchObject({ State: { ExitCode: 137 } });
    await served.ask('DELETE', '/containers/sleeper');
  });
});

test('two hundred containers come and go, and leave nothing behind', async () => {
  const namespaces = served.world.engine.namespaces.size;
  const names = Array.from({ length: 200 }, (_, i) => `many${i}`);
  await Promise.all(names.map((name) => container(name)));
  expect(((await served.ask('GET', '/containers/json')).json as unknown[]).length).toBe(200);
  await Promise.all(names.map((name) => served.ask('DELETE', `/containers/${name}?force=1`)));
  expect((await served.ask('GET', '/containers/json?all=1')).json).toEqual([]);
  expect(served.world.engine.namespaces.size).toBe(namespaces);
  expect([served.world.configs.size, served.world.execs.size]).toEqual([0, 0]);
});

test('a hundred clients at once, and those who leave in the middle, do not keep it from answering', async () => {
  await container('busy');
  const { port } = new URL(served.url());
  const leaving = Array.from({ length: 50 }, async () => {
    const { json } = await served.ask('POST', '/containers/busy/exec', {
      Cmd: ['ping', '127.0.0.1'],
      AttachStdout: true,
    });
    const body = '{"Detach":false,"Tty":false}';
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), '127.0.0.1', () =>
        socket.write(
          `POST /exec/${id(json)}/start HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
        ),
      );
      socket.once('data', () => socket.destroy());
      socket.on('close', () => resolve());
      socket.on('error', () => resolve());
    });
  });
  const asking = Array.from({ length: 100 }, () => served.ask('GET', '/containers/json'));
  await Promise.all(leaving);
  for (const { status } of await Promise.all(asking)) expect(status).toBe(200);
  await served.ask('DELETE', '/containers/busy?force=1');
  expect((await served.ask('GET', '/_ping')).text).toBe('OK');
});

test('a swarm, fifty services, and nothing left of them', async () => {
  expect((await served.ask('POST', '/swarm/init', { AdvertiseAddr: '192.168.99.110' })).status).toBe(200);
  expect((await served.ask('POST', '/swarm/init', {})).json).toEqual({
    message: expect.stringMatching(/already part of a swarm/),
  });
  const { json } = await served.ask('GET', '/swarm');
  const token = (json as { JoinTokens: { Worker: string } }).JoinTokens.Worker;
  expect(token).toMatch(/^SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}$/);
  expect(
    (await served.ask('POST', '/swarm/join', { RemoteAddrs: ['192.168.99.110:2377'], JoinToken: 'SWMTKN-1-no-no' }, 2))
      .status,
  ).toBe(400);
  expect(
    (await served.ask('POST', '/swarm/join', { RemoteAddrs: ['192.168.99.110:2377'], JoinToken: token }, 2)).status,
  ).toBe(200);
  expect((await served.ask('GET', '/nodes', undefined, 2)).status).toBe(503);
  const names = Array.from({ length: 50 }, (_, i) => `svc${i}`);
  for (const Name of names)
    expect(
      (
        await served.ask('POST', '/services/create', {
          Name,
          TaskTemplate: { ContainerSpec: { Image: 'nginx' } },
          Mode: { Replicated: { Replicas: 1 } },
        })
      ).status,
    ).toBe(201);
  const running = () =>
    [...served.world.cluster.services.values()].every(({ tasks }) =>
      [...tasks].every(({ state }) => state === 'running'),
    );
  expect(await served.world.until(running)).toBe(true);
  expect(((await served.ask('GET', '/tasks')).json as unknown[]).length).toBe(50);
  for (const name of names) expect((await served.ask('DELETE', `/services/${name}`)).status).toBe(200);
  await served.world.until(() => served.world.cluster.containers.size === 0);
  expect((await served.ask('GET', '/services')).json).toEqual([]);
  expect((await served.ask('GET', '/tasks')).json).toEqual([]);
  expect([served.world.configs.size, served.world.execs.size]).toEqual([0, 0]);
});

test('networks and containers get every option that was asked for', async () => {
  const ipam = (Config: object[]) => ({ IPAM: { Config } });
  const made = await served.ask('POST', '/networks/create', {
    Name: 'macnet',
    Driver: 'macvlan',
    Options: { parent: 'eth0.50' },
    ...ipam([
      {
        Subnet: '192.168.32.0/24',
        IPRange: '192.168.32.128/25',
        Gateway: '192.168.32.254',
        AuxiliaryAddresses: { router: '192.168.32.129' },
      },
      { Subnet: '192.168.33.0/24', Gateway: '192.168.33.1' },
    ]),
  });
  expect(made.status).toBe(201);
  await container('vm', { HostConfig: { NetworkMode: 'macnet' } });
  const { json } = await served.ask('GET', '/containers/vm/json');
  const { macnet } = (json as { NetworkSettings: { Networks: Record<string, object> } }).NetworkSettings.Networks;
  // .128 is the range's first address and goes out like any other; .129 is the router's.
  expect(macnet).toMatchObject({ IPAddress: '192.168.32.128', Gateway: '192.168.32.254' });
  await container('named', {
    Hostname: 'box',
    HostConfig: { NetworkMode: 'bridge', Dns: ['10.9.8.7'], DnsSearch: ['example.com'], ExtraHosts: ['db:10.1.2.3'] },
  });
  const named = served.world.computerOf(served.world.cluster.container('named'));
  expect(named?.files.read('/etc/resolv.conf')).toMatch(/nameserver 10\.9\.8\.7/);
  expect(named?.files.read('/etc/hosts')).toMatch(/^10\.1\.2\.3\s+db$/m);
  expect(named?.hostname).toBe('box');
  for (const name of ['vm', 'named']) await served.ask('DELETE', `/containers/${name}?force=1`);
  expect((await served.ask('DELETE', '/networks/macnet')).status).toBe(204);
});

test('captures of a device are streamed as pcapng', async () => {
  const { json } = await served.ask('GET', '/swarmwire/captures');
  expect(json).toContainEqual({ tap: 'node1/host/eth0', kind: 'physical' });
  const response = await fetch(`${served.url()}/swarmwire/captures/node1/host/docker0`);
  const reader = response.body?.getReader();
  const first = await reader?.read();
  expect(Buffer.from(first?.value ?? []).readUInt32LE(0)).toBe(0x0a0d0d0a);
  await reader?.cancel();
  expect((await served.ask('GET', '/swarmwire/captures/node1/host/eth9')).status).toBe(404);
});
