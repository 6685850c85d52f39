/** What an operator does to a node under dockerd's feet, and what dockerd makes of it. */

import { beforeEach, describe, expect, test } from 'vitest';
import { startOnNode } from '../../src/docker/node-exec.js';
import { World } from '../../src/docker/world.js';
import { parseStackFile } from '../../src/stack-file/index.js';

let world: World;
beforeEach(async () => {
  const { spec } = parseStackFile('services: {}\n', { file: 'serve', nodes: 1 });
  world = await World.create({ ...spec, swarm: false }, { seed: 1 });
}, 60_000);

async function run(line: string): Promise<{ status: number | undefined; out: string }> {
  let out = '';
  const command = startOnNode(world, 'node1', { Cmd: ['sh', '-c', line] }, (io) =>
    io.watch({
      onOutput: ({ data }) => {
        out += new TextDecoder().decode(data);
      },
    }),
  );
  await world.until(() => command.status() !== undefined);
  return { status: command.status(), out };
}

const container = (name: string) =>
  world.cluster.containerCreate({
    name,
    node: 'node1',
    image: 'nginx',
    networks: [],
    ports: [],
    exposes: [],
    links: [],
  });

describe('systemctl restart docker', () => {
  test('reads daemon.json: docker0 and what is on it follow', async () => {
    const one = container('one');
    world.cluster.containerStart(one);
    expect((await run('cat /etc/docker/daemon.json')).status).toBe(1);
    const mac = (await run('cat /sys/class/net/docker0/address')).out;
    const { status, out } = await run(
      `echo '{ "bip": "192.168.5.1/24", "mtu": 1400, "dns": ["10.9.9.9"] }' > /etc/docker/daemon.json && systemctl restart docker`,
    );
    expect({ status, out }).toEqual({ status: 0, out: '' });
    expect(one.status).toBe('exited');
    expect((await run('ip -4 -o addr show docker0')).out).toContain(' 192.168.5.1/24 brd 192.168.5.255 ');
    expect((await run('cat /sys/class/net/docker0/mtu /sys/class/net/docker0/address')).out).toBe(`1400\n${mac}`);
    const saved = (await run('iptables-save')).out;
    expect(saved).toContain('-A POSTROUTING -s 192.168.5.0/24 ! -o docker0 -j MASQUERADE');
    expect(saved).not.toContain('172.17.');
    world.cluster.containerStart(one);
    const pid = world.computerOf(one);
    expect(pid?.files.read('/etc/resolv.conf')).toContain('nameserver 10.9.9.9');
    expect((await run('ping -c 1 192.168.5.2')).status).toBe(0);
  });

  test.each([
    ['{', /Job for docker\.service failed .*unable to configure the Docker daemon with file/s],
    ['{ "nope": 1 }', /the following directives don't match any configuration option: nope/],
    ['{ "mtu": "x" }', /json: cannot unmarshal string into Go struct field Config\.mtu of type int/],
    ['{ "ipv6": true }', /could not find an available, non-overlapping IPv6 address pool/],
  ])('%s: refused in its words, and all goes on as it was', async (text, words) => {
    const before = (await run('ip addr; iptables -S; iptables -t nat -S')).out;
    const { status, out } = await run(`echo '${text}' > /etc/docker/daemon.json; systemctl restart docker`);
    expect(status).toBe(1);
    expect(out).toMatch(words);
    expect((await run('ip addr; iptables -S; iptables -t nat -S')).out).toBe(before);
  });

  test('reload takes nothing that bears on networks, as SIGHUP does', async () => {
    const before = (await run('ip addr')).out;
    const { status } = await run(
      `echo '{ "mtu": 1400 }' | sudo tee /etc/docker/daemon.json > /dev/null && sudo systemctl reload docker`,
    );
    expect(status).toBe(0);
    expect((await run('ip addr')).out).toBe(before);
  });
});

describe('devices that are taken away by hand', () => {
  test('docker_gwbridge: a swarm can be left all the same, and made anew', async () => {
    world.cluster.swarmInit('node1');
    expect((await run('ip link set docker_gwbridge down && ip link del dev docker_gwbridge')).status).toBe(0);
    expect((await run('ip link show docker_gwbridge')).status).toBe(1);
    expect((await run('iptables-save | grep -c docker_gwbridge')).out).not.toBe('0\n');
    world.cluster.swarmLeave('node1', true);
    world.cluster.swarmInit('node1');
    expect((await run('ip link show docker_gwbridge')).status).toBe(0);
  });

  test("a container's veth: it is cut off, and can be stopped and started", async () => {
    const one = container('one');
    world.cluster.containerStart(one);
    const [veth = ''] = /veth\w+/.exec((await run('brctl show docker0')).out) ?? [];
    expect((await run('ping -c 1 -W 1 172.17.0.2')).status).toBe(0);
    await run(`ip link del ${veth}`);
    expect((await run('ping -c 1 -W 1 172.17.0.2')).status).toBe(1);
    world.cluster.containerKill(one);
    await world.until(() => one.status === 'exited');
    world.cluster.containerStart(one);
    expect((await run('ping -c 1 -W 1 172.17.0.2')).status).toBe(0);
  });
});

test('a container by its process, and by its sandbox key', async () => {
  const one = container('one');
  world.cluster.containerStart(one);
  const key = (await run('ls /var/run/docker/netns')).out.trim();
  expect(key).toMatch(/^[0-9a-f]{12}$/);
  const addresses = (await run(`nsenter --net=/var/run/docker/netns/${key} ip -4 -br addr`)).out;
  expect(addresses).toMatch(/^lo .*\neth0@if\d+ +UP +172\.17\.0\.2\/16 \n$/);
  await run('ln -s /var/run/docker/netns /var/run/netns');
  expect((await run(`ip netns exec ${key} ip -4 -br addr`)).out).toBe(addresses);
});

test('tcpdump -i any says where, and which way', async () => {
  const one = container('one');
  world.cluster.containerStart(one);
  let out = '';
  const capture = startOnNode(world, 'node1', { Cmd: ['tcpdump', '-i', 'any', '-n', '-c', '4', 'icmp'] }, (io) =>
    io.watch({
      onOutput: ({ data }) => {
        out += new TextDecoder().decode(data);
      },
    }),
  );
  await run('ping -c 1 172.17.0.2');
  await world.until(() => capture.status() !== undefined);
  expect(out).toContain('listening on any, link-type LINUX_SLL2 (Linux cooked v2), snapshot length 262144 bytes\n');
  expect(out).toMatch(/ docker0 Out IP 172\.17\.0\.1 > 172\.17\.0\.2: ICMP echo request/);
  expect(out).toMatch(/ veth\w+ Out IP 172\.17\.0\.1 > 172\.17\.0\.2: ICMP echo request/);
  expect(out).toMatch(/ docker0 In {2}IP 172\.17\.0\.2 > 172\.17\.0\.1: ICMP echo reply/);
});
