/**
 * A port that a container on a bridge publishes: a client's datagrams come in at node1's `eth0`, DNAT, FORWARD, the bridge, the
 * veth pair, the container's socket. Over IPv6 with the rules of Engine 28.
 */

import { Engine, Sockets } from '../src/engine/index.js';
import { plan } from '../src/swarm/plan.js';
import { realize } from '../src/swarm/realize.js';
import { isIpv6 } from '../src/topology/ipv6.js';
import type { StackSpec } from '../src/topology/spec.js';
import { hostPart } from '../src/topology/topology.js';
import { addressNumber, ethernet, ipv4, macBytes, seal, TYPE_IPV4, UDP, udp } from './headers.js';
import { udpOver6 } from './headers6.js';
import { PUBLISHED } from './mesh.js';
import type { Way } from './ways.js';

const MILLISECOND = 1e6;
const CLIENT = { address: '192.168.99.1', address6: 'fd00:99::1' };
const NODE6 = 'fd00:99::110';

function specOf(ipv6: boolean): StackSpec {
  return {
    engine: ipv6 ? '28' : '20.10',
    nodes: [{ name: 'node1', role: 'manager', ...(ipv6 ? { address6: `${NODE6}/64` } : {}) }],
    outside: [{ name: 'client', address: `${CLIENT.address}/24` }],
    networks: [
      {
        name: 'net1',
        driver: 'bridge',
        subnet: '172.30.0.0/16',
        options: { 'com.docker.network.bridge.name': 'br-net1' },
        ...(ipv6 ? { ipv6, subnet6: 'fd00:30::/64' } : {}),
      },
    ],
    services: [],
    containers: [
      {
        name: 'web',
        node: 'node1',
        networks: [{ name: 'net1', aliases: [] }],
        ports: [{ published: PUBLISHED, target: 80, protocol: 'udp' }],
        exposes: [],
        links: [],
      },
    ],
    swarm: false,
    calls: [],
    traffic: [],
  };
}

export async function bridgeWay(flows: number, size: number, ipv6: boolean): Promise<Way> {
  const engine = await Engine.create({ seed: 1, captureBuffer: 1 << 20 });
  const { namespaces, topology } = realize(engine, plan(specOf(ipv6), 1).topology, { latency: 1 });
  for (const namespace of engine.namespaces.values()) namespace.set('connectionsMax', 1 << 23);
  const web = topology.sandboxes.find(({ node }) => node === 'node1');
  const [endpoint] = web?.endpoints ?? [];
  const host = namespaces.get('node1/host');
  const container = web && namespaces.get(`node1/${web.name}`);
  const client = namespaces.get('client/host')?.device('eth0');
  if (!endpoint || !host || !container || !client) throw new Error('no published container on node1');
  const nic = host.device('eth0');
  const bridge = host.device('br-net1');
  const inside = container.device('eth0');
  const to = ipv6 ? endpoint.address6 : endpoint.address;
  if (!to || !inside.peer) throw new Error('the container has no address, or no veth pair');
  host.addNeighbour(bridge, hostPart(to), inside.mac);
  const { peer } = inside;
  const learn = () => host.learnFdb(bridge, inside.mac, peer);
  learn();
  const data = new Uint8Array(size - (ipv6 ? 62 : 42)).fill(0x78);
  const sockets = new Sockets(engine);
  let arrived = 0;
  sockets.openUdp(
    container,
    80,
    (datagram) => {
      const { address } = datagram.from;
      if (datagram.data.length !== data.length || datagram.data[0] !== 0x78 || isIpv6(address) !== ipv6)
        throw new Error(`a datagram of ${datagram.data.length} bytes came from ${address}`);
      arrived++;
    },
    undefined,
    ipv6 ? '::' : '0.0.0.0',
  );
  const frames = Array.from({ length: flows }, (_, i) => {
    const datagram = udp(1024 + (i % 60_000), PUBLISHED, data);
    // Clients behind the one whose MAC address it is: one after every 60 000 ports.
    const many = Math.floor(i / 60_000);
    if (ipv6) return udpOver6(nic.mac, client.mac, `fd00:98::${(many + 1).toString(16)}`, NODE6, datagram);
    const packet = ipv4(
      {
        source: addressNumber(CLIENT.address) + many,
        destination: addressNumber(nic.address ?? ''),
        protocol: UDP,
        fragment: 0x4000,
      },
      datagram,
    );
    return seal(ethernet(macBytes(nic.mac), macBytes(client.mac), TYPE_IPV4, packet), 14);
  });
  let fresh = engine.now;
  const settle = () => {
    engine.run(engine.now + MILLISECOND, (punted) => sockets.handle(punted));
    if (engine.now - fresh < 100_000 * MILLISECOND) return;
    learn();
    fresh = engine.now;
  };
  return { engine, into: nic, frames, arrived: () => arrived, settle, slow: ipv6 };
}
