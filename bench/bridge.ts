/**
 * A port that a container on a bridge publishes: a client's datagrams come in at node1's `eth0`, DNAT, FORWARD, the bridge, the
 * veth pair, the container's socket. Over IPv6 with the rules of Engine 28.
 */

import { type Datagram, Engine, Sockets } from '../src/engine/index.js';
import { plan } from '../src/swarm/plan.js';
import { realize } from '../src/swarm/realize.js';
import type { StackSpec } from '../src/topology/spec.js';
import { hostPart } from '../src/topology/topology.js';
import { addressNumber, udp, udpOver4 } from './headers.js';
import { udpOver6 } from './headers6.js';
import { PUBLISHED } from './mesh.js';
import { numbered, Seen, type Way } from './way.js';

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

export async function bridgeWay(ipv6: boolean): Promise<Way> {
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
  const seen = new Seen();
  const sockets = new Sockets(engine);
  const onDatagram = (datagram: Datagram) => seen.datagram(container.name, datagram);
  sockets.openUdp(container, 80, onDatagram, undefined, ipv6 ? '::' : '0.0.0.0');
  const own = addressNumber(nic.address ?? '');
  const make = (i: number, size: number) => {
    const datagram = udp(1024 + (i % 60_000), PUBLISHED, numbered(i, size - (ipv6 ? 62 : 42)));
    // Clients behind the one whose MAC address it is: one after every 60 000 ports.
    const many = Math.floor(i / 60_000);
    if (ipv6) return udpOver6(nic.mac, client.mac, `fd00:98::${(many + 1).toString(16)}`, NODE6, datagram);
    return udpOver4(nic.mac, client.mac, addressNumber(CLIENT.address) + many, own, datagram);
  };
  let fresh = engine.now;
  const settle = () => {
    engine.run(engine.now + MILLISECOND, (punted) => sockets.handle(punted));
    if (engine.now - fresh < 100_000 * MILLISECOND) return;
    learn();
    fresh = engine.now;
  };
  const arrived = () => seen.datagrams;
  return { engine, into: nic, make, arrived, settle, seen: () => seen.taken() };
}
