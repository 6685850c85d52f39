/** `--network host`, `none` and `container:NAME`, and restart policies, as the Engine API answers for them. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Served } from './served.js';

let served: Served;
beforeAll(async () => {
  served = await Served.of(1);
  for (const image of ['alpine', 'nginx']) await served.ask('POST', `/images/create?fromImage=${image}&tag=latest`);
});
afterAll(() => served.close());

async function create(name: string, more: object) {
  return served.ask('POST', `/containers/create?name=${name}`, {
    Image: 'alpine',
    Cmd: ['sleep', 'infinity'],
    ...more,
  });
}

async function run(name: string, mode: string, more: object = {}): Promise<void> {
  expect((await create(name, { HostConfig: { NetworkMode: mode }, ...more })).status).toBe(201);
  expect((await served.ask('POST', `/containers/${name}/start`)).status).toBe(204);
}

interface Inspected {
  Config: { Hostname: string };
  State: { Status: string; ExitCode: number };
  RestartCount: number;
  HostConfig: { NetworkMode: string; RestartPolicy: object };
  NetworkSettings: {
    SandboxKey: string;
    Ports: object;
    IPAddress: string;
    Networks: Record<string, { NetworkID: string }>;
  };
}
const inspect = async (name: string) => (await served.ask('GET', `/containers/${name}/json`)).json as Inspected;

/** What a command in the container prints. */
async function say(name: string, ...command: string[]): Promise<string> {
  const { world } = served;
  let printed = '';
  const stdout = {
    write: (data: string | Uint8Array) => {
      printed += typeof data === 'string' ? data : new TextDecoder().decode(data);
    },
  };
  const started = world.computerOf(world.cluster.container(name))?.run(command, { stdout });
  if (!started) throw new Error(`${name} does not run ${command[0]}`);
  await world.until(() => started.task.done);
  return printed;
}

describe('as the recorded S13 has it', () => {
  beforeAll(async () => {
    await run('my_nginx', 'host', { Image: 'nginx', Cmd: [] });
    await run('no-net-alpine', 'none');
  });

  test('a container on host has the node’s devices, files and name', async () => {
    const { NetworkSettings: settings, Config: config } = await inspect('my_nginx');
    expect(config.Hostname).toBe('node1');
    expect(settings).toMatchObject({ SandboxKey: '/var/run/docker/netns/default', Ports: {}, IPAddress: '' });
    expect(Object.keys(settings.Networks)).toEqual(['host']);
    expect(await say('my_nginx', 'ip', 'addr', 'show', 'eth0')).toContain('inet 192.168.99.110/24');
    expect(await say('my_nginx', 'cat', '/etc/resolv.conf')).toBe('nameserver 192.168.99.1\n');
  });

  test('the node’s own address answers, untranslated', async () => {
    await run('asks', 'bridge');
    expect(await say('asks', 'wget', '-qO-', 'http://192.168.99.110/')).toContain('Served by node1.');
    expect(served.world.namespace('node1/host').iptables.chain('nat', 'DOCKER').rules.length).toBe(1);
  });

  test('a container on none has lo, and nothing else', async () => {
    expect(await say('no-net-alpine', 'ip', 'route')).toBe('');
    expect(await say('no-net-alpine', 'ping', '-c', '1', '203.0.113.10')).toContain('Network unreachable');
    expect(await say('no-net-alpine', 'ping', '-c', '1', '127.0.0.1')).toContain('1 packets received');
    expect(await say('no-net-alpine', 'cat', '/etc/resolv.conf')).toBe('nameserver 192.168.99.1\n');
    expect(await say('no-net-alpine', 'cat', '/etc/hosts')).not.toContain(
      (await inspect('no-net-alpine')).Config.Hostname,
    );
  });

  test('networks tell who is on them', async () => {
    const { json: all } = await served.ask('GET', '/networks');
    expect((all as { Name: string; Driver: string }[]).map(({ Name, Driver }) => [Name, Driver])).toEqual([
      ['bridge', 'bridge'],
      ['host', 'host'],
      ['none', 'null'],
    ]);
    for (const [network, container] of [
      ['host', 'my_nginx'],
      ['none', 'no-net-alpine'],
    ] as const) {
      const { json } = await served.ask('GET', `/networks/${network}`);
      const { Id, Containers } = json as { Id: string; Containers: Record<string, object> };
      expect(Object.values(Containers)).toEqual([
        { Name: container, EndpointID: expect.any(String), MacAddress: '', IPv4Address: '', IPv6Address: '' },
      ]);
      expect((await inspect(container)).NetworkSettings.Networks[network]?.NetworkID).toBe(Id);
    }
  });

  test('published ports on host are discarded, with a word', async () => {
    const ports = { PortBindings: { '80/tcp': [{ HostPort: '8080' }] } };
    const { json } = await create('ported', { HostConfig: { NetworkMode: 'host', ...ports } });
    expect(json).toMatchObject({ Warnings: ['Published ports are discarded when using host network mode'] });
  });

  test('a second server on the same port ends with an error', async () => {
    await run('second', 'host', { Image: 'nginx', Cmd: [] });
    await served.ask('POST', '/containers/second/wait');
    expect((await inspect('second')).State).toMatchObject({ Status: 'exited', ExitCode: 1 });
    await served.ask('POST', '/containers/my_nginx/stop');
    await served.ask('POST', '/containers/second/start');
    expect(await say('asks', 'wget', '-qO-', 'http://192.168.99.110/')).toContain('Served by node1.');
  });
});

describe('another container’s namespace', () => {
  beforeAll(async () => {
    await run('owner', 'bridge', { Image: 'nginx', Cmd: [], Hostname: 'webhost' });
    await run('guest', 'container:owner');
  });

  test('devices, names and files are the other’s', async () => {
    expect(await say('guest', 'hostname')).toBe('webhost\n');
    expect(await say('guest', 'cat', '/etc/hosts')).toContain('webhost');
    expect(await say('guest', 'wget', '-qO-', 'http://127.0.0.1/')).toContain('Served by webhost.');
    const { NetworkSettings, HostConfig, Config } = await inspect('guest');
    expect([NetworkSettings.Networks, HostConfig.NetworkMode, Config.Hostname]).toEqual([
      {},
      'container:owner',
      'webhost',
    ]);
  });

  test('when the other ends its devices go, and what runs there stays', async () => {
    await served.ask('POST', '/containers/owner/stop');
    expect(await say('guest', 'ip', 'addr')).not.toContain('eth0');
    expect((await served.ask('POST', '/containers/owner/restart')).status).toBe(204);
    await served.ask('DELETE', '/containers/guest?force=1');
    expect(await say('owner', 'ip', 'addr', 'show', 'eth0')).toContain('172.17.0.');
  });

  test('one that does not run cannot be joined', async () => {
    await create('idle', {});
    await create('late', { HostConfig: { NetworkMode: 'container:idle' } });
    expect((await served.ask('POST', '/containers/late/start')).json).toEqual({
      message: expect.stringMatching(/^cannot join network of a non running container: /),
    });
  });
});

describe('what does not go together is refused in Docker’s words', () => {
  const other = { NetworkMode: 'container:owner' };
  test.each([
    ['port publishing', { HostConfig: { ...other, PortBindings: { '80/tcp': [{ HostPort: '80' }] } } }],
    ['port exposing', { HostConfig: other, ExposedPorts: { '80/tcp': {} } }],
    ['hostname', { HostConfig: other, Hostname: 'x' }],
    ['dns', { HostConfig: { ...other, Dns: ['1.1.1.1'] } }],
    ['custom host-to-IP mapping', { HostConfig: { ...other, ExtraHosts: ['a:1.1.1.1'] } }],
    ['mac-address', { HostConfig: other, MacAddress: '02:42:ac:11:00:99' }],
    ['mac-address', { HostConfig: { NetworkMode: 'host' }, MacAddress: '02:42:ac:11:00:99' }],
    ['container type network', { HostConfig: { ...other, Links: ['owner:o'] } }],
    ['host type networking', { HostConfig: { NetworkMode: 'host', Links: ['owner:o'] } }],
  ])('%s', async (words, body) => {
    const { status, json } = await create('never', body);
    expect([status, json]).toEqual([400, { message: expect.stringMatching(`^conflicting options: ${words}`) }]);
  });

  test('an address on a network that is not one’s own', async () => {
    await served.ask('POST', '/networks/create', { Name: 'plain' });
    const at = (name: string, network: string) =>
      create(name, {
        HostConfig: { NetworkMode: network },
        NetworkingConfig: { EndpointsConfig: { [network]: { IPAMConfig: { IPv4Address: '172.18.0.9' } } } },
      });
    await at('onbridge', 'bridge');
    await at('onplain', 'plain');
    const told = async (name: string) => (await served.ask('POST', `/containers/${name}/start`)).json;
    expect(await told('onbridge')).toEqual({
      message: 'user specified IP address is supported on user defined networks only',
    });
    expect(await told('onplain')).toEqual({
      message: 'user specified IP address is supported only when connecting to networks with user configured subnets',
    });
    expect((await inspect('onplain')).State.Status).toBe('created');
  });

  test.each([
    ['host', 'no-net-alpine', 'connect', /^container cannot be disconnected from host network or connected to host/],
    ['plain', 'second', 'connect', /^container sharing network namespace with another container or host/],
    ['plain', 'no-net-alpine', 'connect', /^container cannot be connected to multiple networks with one/],
    ['host', 'second', 'disconnect', /^container cannot be disconnected from host network/],
  ])('network %s, container %s: %s', async (network, container, what, words) => {
    const { json } = await served.ask('POST', `/networks/${network}/${what}`, { Container: container });
    expect(json).toEqual({ message: expect.stringMatching(words) });
  });

  test.each(['host', 'null'])('a second network of the driver %s', async (driver) => {
    const { status, json } = await served.ask('POST', '/networks/create', { Name: 'again', Driver: driver });
    expect([status, json]).toEqual([403, { message: `only one instance of "${driver}" network is allowed` }]);
  });
});

describe('restart policies', () => {
  const policy = (Name: string, MaximumRetryCount = 0) => ({ RestartPolicy: { Name, MaximumRetryCount } });
  const later = (seconds: number) => {
    const target = served.world.engine.now + seconds * 1e9;
    return served.world.until(() => served.world.engine.now >= target);
  };

  test('on-failure:3 is tried three times more', async () => {
    await create('fails', { Cmd: ['sh', '-c', 'sleep 1; nobodys'], HostConfig: policy('on-failure', 3) });
    await served.ask('POST', '/containers/fails/start');
    await later(30);
    expect(await inspect('fails')).toMatchObject({ RestartCount: 3, State: { Status: 'exited' } });
  });

  test('always comes back whatever its end, until somebody stops it', async () => {
    await create('ends', { Cmd: ['sleep', '1'], HostConfig: policy('always') });
    await served.ask('POST', '/containers/ends/start');
    await later(10);
    expect((await inspect('ends')).RestartCount).toBeGreaterThan(2);
    await served.ask('POST', '/containers/ends/stop?t=0');
    await later(70);
    expect((await inspect('ends')).State.Status).toBe('exited');
  });

  test('one that is killed stays so', async () => {
    await create('killed', { HostConfig: policy('unless-stopped') });
    await served.ask('POST', '/containers/killed/start');
    await served.ask('POST', '/containers/killed/kill');
    await later(70);
    expect((await inspect('killed')).State).toMatchObject({ Status: 'exited', ExitCode: 137 });
    await served.ask('POST', '/containers/killed/update', policy('no'));
    expect((await inspect('killed')).HostConfig.RestartPolicy).toEqual({ Name: 'no', MaximumRetryCount: 0 });
  });

  test.each([
    [policy('sometimes'), "invalid restart policy 'sometimes'"],
    [policy('always', 3), "maximum retry count cannot be used with restart policy 'always'"],
    [{ ...policy('always'), AutoRemove: true }, "can't create 'AutoRemove' container with restart policy"],
  ])('%j is refused', async (HostConfig, message) => {
    expect((await create('never', { HostConfig })).json).toEqual({ message });
  });
});

describe('a service on the network host', () => {
  test('its tasks are on their nodes; with a published port they are rejected', async () => {
    await served.ask('POST', '/swarm/init', { ListenAddr: '0.0.0.0:2377', AdvertiseAddr: '192.168.99.110' });
    const service = (Name: string, more: object) =>
      served.ask('POST', '/services/create', {
        Name,
        TaskTemplate: { ContainerSpec: { Image: 'nginx' }, Networks: [{ Target: 'host' }] },
        ...more,
      });
    await served.ask('POST', '/containers/second/stop?t=0');
    expect((await service('outside', {})).status).toBe(201);
    await served.world.until(() => served.world.cluster.task('outside.1').state === 'running');
    expect(await say('asks', 'wget', '-qO-', 'http://192.168.99.110/')).toContain('Served by node1.');
    await service('everywhere', { Mode: { Global: {} } });
    const everywhere = () => served.world.cluster.orchestrator.tasks.find(({ name }) => name === 'everywhere.node1');
    await served.world.until(() => everywhere()?.container !== undefined);
    const task = everywhere();
    expect(task?.container?.name).toBe(`everywhere.${served.world.cluster.node('node1').id}.${task?.id}`);
    await service('ported', { EndpointSpec: { Ports: [{ TargetPort: 80, PublishedPort: 8000 }] } });
    const rejected = () => served.world.cluster.orchestrator.tasks.find(({ state }) => state === 'rejected');
    await served.world.until(() => rejected() !== undefined);
    expect(rejected()?.error).toBe('container cannot be disconnected from host network or connected to host network');
  });
});
