/**
 * NAT as it really was on the nodes of S6-ingress and S7-ingress-one: a namespace with the one rule that did it, real frames in,
 * the real frames out, byte for byte, over whole connections.
 */

import { describe, expect, it } from 'vitest';
import type { Device, Engine, Namespace } from '../../src/engine/index.js';
import { checkedEngine } from '../engine/checked.js';
import { toHex } from '../engine/packets.js';
import { expectPassage, flowAt } from '../engine/real-frames.js';
import { expectConserved, Watch } from '../engine/watch.js';

interface Side {
  name: string;
  mac: string;
  address: string;
  /** Who is on the wire: address → MAC. */
  neighbours: Record<string, string>;
}

/** A router between two wires, each the other end of a veth. */
async function hop(one: Side, two: Side): Promise<{ engine: Engine; router: Namespace; one: Device; two: Device }> {
  const engine = await checkedEngine();
  const router = engine.namespace('node/router');
  router.set('forward', 1);
  const plug = ({ name, mac, address, neighbours }: Side): Device => {
    const wire = engine.namespace(`wire/${name}`);
    wire.set('silent', 1);
    const [device] = router.addVeth(
      name,
      { mac, mtu: 1500 },
      { namespace: wire, name, mac: '02:00:00:00:00:01', mtu: 1500 },
    );
    router.addAddress(device, address);
    for (const [ip, hardware] of Object.entries(neighbours)) router.addNeighbour(device, ip, hardware);
    return device;
  };
  return { engine, router, one: plug(one), two: plug(two) };
}

const UNDERLAY = {
  name: 'eth0',
  mac: '52:54:00:00:00:6e',
  address: '192.168.99.110/24',
  neighbours: { '192.168.99.1': '52:54:00:00:00:01' },
};
const GWBRIDGE = {
  name: 'docker_gwbridge',
  mac: '02:42:80:d1:bf:1f',
  address: '172.19.0.1/16',
  neighbours: { '172.19.0.2': '02:42:ac:13:00:02' },
};
const SBOX_OVERLAY = {
  name: 'eth0',
  mac: '02:42:0a:00:00:02',
  address: '10.0.0.2/24',
  neighbours: {
    '10.0.0.9': '02:42:0a:00:00:09',
    '10.0.0.10': '02:42:0a:00:00:0a',
    '10.0.0.11': '02:42:0a:00:00:0b',
    '10.0.0.13': '02:42:0a:00:00:0d',
    '10.0.0.15': '02:42:0a:00:00:0f',
  },
};
const SBOX_GATEWAY = {
  name: 'eth1',
  mac: '02:42:ac:13:00:02',
  address: '172.19.0.2/16',
  neighbours: { '172.19.0.1': '02:42:80:d1:bf:1f' },
};

describe('DNAT in DOCKER-INGRESS', () => {
  it.each([
    ['S6-ingress', 'tcp', 41001, 8080],
    ['S6-ingress', 'tcp', 41006, 8080],
    ['S7-ingress-one', 'tcp', 42002, 8080],
    ['S7-ingress-one', 'udp', 42201, 5353],
  ] as const)(
    '%s: the %s flow of port %i passes node1 as it did, both ways',
    async (scenario, protocol, port, dport) => {
      const { engine, router, one, two } = await hop(UNDERLAY, GWBRIDGE);
      router.iptables.append('nat', 'PREROUTING', {
        protocol,
        dport,
        destinationType: 'LOCAL',
        target: 'DNAT',
        address: '172.19.0.2',
        port: dport,
      });
      const client = `192.168.99.1:${port}`;
      expectPassage(engine, [
        { device: one, frames: flowAt(scenario, 'node1.host/eth0', client) },
        { device: two, frames: flowAt(scenario, 'node1.host/docker_gwbridge', client) },
      ]);
      expectConserved(engine);
    },
  );
});

describe('IPVS and SNAT in ingress_sbox', () => {
  it.each([
    ['S6-ingress', 'tcp', 41001, 8080, '10.0.0.11'],
    ['S6-ingress', 'tcp', 41003, 8080, '10.0.0.9'],
    ['S7-ingress-one', 'tcp', 42001, 8080, '10.0.0.13'],
    ['S7-ingress-one', 'udp', 42201, 5353, '10.0.0.15'],
  ] as const)(
    '%s: the %s flow of port %i to port %i goes to %s and comes back as it did',
    async (scenario, protocol, port, dport, task) => {
      const { engine, router, one, two } = await hop(SBOX_GATEWAY, SBOX_OVERLAY);
      router.addRoute('0.0.0.0/0', one, '172.19.0.1');
      router.set('ipvsConntrack', 1);
      router.iptables.append('mangle', 'PREROUTING', { protocol, dport, target: 'MARK', value: 258 });
      router.iptables.append('nat', 'POSTROUTING', {
        destination: '10.0.0.0/24',
        ipvs: true,
        target: 'SNAT',
        address: '10.0.0.2',
      });
      router.ipvs.add({ mark: 258 }).add(task);
      expectPassage(engine, [
        { device: one, frames: flowAt(scenario, 'node1.ingress_sbox/eth1', `192.168.99.1:${port}`) },
        { device: two, frames: flowAt(scenario, 'node1.ingress_sbox/eth0', `10.0.0.2:${port}`) },
      ]);
      expectConserved(engine);
    },
  );
});

/** A namespace with one device whose own process speaks: what it sends goes in above OUTPUT. */
async function endpoint(side: Side) {
  const engine = await checkedEngine();
  const host = engine.namespace('node/host');
  const wire = engine.namespace('wire/host');
  host.set('silent', 1);
  wire.set('silent', 1);
  const link = { mac: side.mac, mtu: 1500 };
  const [device] = host.addVeth(side.name, link, {
    namespace: wire,
    name: 'eth0',
    mac: '02:00:00:00:00:01',
    mtu: 1500,
  });
  host.addAddress(device, side.address);
  for (const [ip, hardware] of Object.entries(side.neighbours)) host.addNeighbour(device, ip, hardware);
  return { engine, host, device };
}

/** The flow's frames in order: what came in comes in, what went out is handed to a socket with the addresses it had. */
function speak(
  engine: Engine,
  host: Namespace,
  device: Device,
  frames: ReturnType<typeof flowAt>,
  socket: { local: { address: string; port: number }; remote: { address: string; port: number } },
): void {
  const watch = new Watch(engine, [device]);
  for (const { data, direction } of frames) {
    const at = engine.now + 1_000_000;
    if (direction === 'received') engine.receive(device, data, at);
    else engine.sendFromSocket(host, data.subarray(14), socket.local, socket.remote, at);
    engine.run(at + 10_000);
  }
  const real = frames.filter(({ direction }) => direction === 'transmitted').map(({ data }) => toHex(data));
  expect(real.length).toBeGreaterThan(0);
  expect(watch.sent(device).map(toHex)).toEqual(real);
  expectConserved(engine);
}

describe('REDIRECT in a task', () => {
  it.each([
    ['S6-ingress', 'node2.task-my-nginx.2', '02:42:0a:00:00:0b', '10.0.0.11', 'tcp', 8080, 80, 41001],
    ['S7-ingress-one', 'node2.task-my-web.1', '02:42:0a:00:00:0d', '10.0.0.13', 'tcp', 8080, 80, 42001],
    ['S7-ingress-one', 'node2.task-udpsvc.1', '02:42:0a:00:00:0f', '10.0.0.15', 'udp', 5353, 53, 42201],
  ] as const)(
    '%s %s: what the process says from its own port leaves with the published one',
    async (scenario, task, mac, address, protocol, published, target, port) => {
      const { engine, host, device } = await endpoint({
        name: 'eth0',
        mac,
        address: `${address}/24`,
        neighbours: { '10.0.0.2': '02:42:0a:00:00:02' },
      });
      const redirect = host.iptables.append('nat', 'PREROUTING', {
        destination: `${address}/32`,
        protocol,
        dport: published,
        target: 'REDIRECT',
        port: target,
      });
      const arrived = host.iptables.append('filter', 'INPUT', { protocol, dport: target, target: 'ACCEPT' });
      speak(engine, host, device, flowAt(scenario, `${task}/eth0`, `10.0.0.2:${port}`), {
        local: { address, port: target },
        remote: { address: '10.0.0.2', port },
      });
      expect(redirect.packets, 'once a connection').toBe(1);
      expect(arrived.packets, 'every packet came in at the target port').toBeGreaterThan(0);
    },
  );
});

describe('MASQUERADE of what node1 itself asks of the mesh', () => {
  // curl on node1, first to 127.0.0.1:8080, then to its own address.
  it.each([
    ['127.0.0.1', 53240],
    ['192.168.99.110', 33556],
  ])('%s:%i leaves by docker_gwbridge as 172.19.0.1, port kept, to ingress_sbox', async (address, port) => {
    const { engine, host, device } = await endpoint(GWBRIDGE);
    host.addAddress(host.device('lo'), '192.168.99.110/32');
    device.routeLocalnet = true;
    host.iptables.append('nat', 'OUTPUT', {
      destinationType: 'LOCAL',
      protocol: 'tcp',
      dport: 8080,
      target: 'DNAT',
      address: '172.19.0.2',
      port: 8080,
    });
    const masquerade = host.iptables.append('nat', 'POSTROUTING', {
      out: device,
      sourceType: 'LOCAL',
      target: 'MASQUERADE',
    });
    // At the bridge's port: on the bridge itself answers show what br_netfilter has made of them already.
    speak(engine, host, device, flowAt('S6-ingress', 'node1.host/veth9e9627c', `172.19.0.1:${port}`), {
      local: { address, port },
      remote: { address, port: 8080 },
    });
    expect(masquerade.packets, 'once a connection').toBe(1);
  });
});
