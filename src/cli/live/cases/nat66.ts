/**
 * Engine 28's rules over IPv6, as our own driver programs them, in the kernel's ip6tables: published ports by DNAT, MASQUERADE on
 * the way out, direct access dropped in raw, errors of either direction translated, TCP as conntrack follows it.
 */

import { realize } from '../../../swarm/realize.js';
import type { Network, Node, PublishedPort, Sandbox } from '../../../topology/topology.js';
import type { Case } from '../case.js';
import { labOf } from '../lab.js';
import { concat, type Tcp } from '../packets.js';
import { echo6, fragments6, type Ip6, icmp6, ip6, TYPE_IPV6, tcp6, udp6, udpSegment6 } from '../packets6.js';
import {
  CLI,
  CLIENT,
  container,
  DOCKER0,
  defaultBridge,
  NODE1,
  node,
  type Place,
  Stimuli,
  topology,
  WEB,
} from './places.js';

/** A container's port that nobody listens at, for its INPUT drops what comes: both ends are played by stimuli. */
const PLAYED = 81;
const SIX: Record<'client' | 'node' | 'bridge' | 'web' | 'cli', string> = {
  client: '2001:db8:50::2',
  node: '2001:db8:50::11',
  bridge: 'fd00:17::1',
  web: 'fd00:17::2',
  cli: 'fd00:17::3',
};

export const nat66: Case = {
  name: 'nat66',
  needs: ['bridge', 'iptables', 'ip6tables', 'br_netfilter'],
  build({ engine }) {
    const lab = labOf(realize(engine, swarm(), { latency: 1 }));
    for (const name of ['node1/ct-web', 'client/host']) {
      const tables = engine.namespaces.get(name)?.ip6tables;
      tables?.append('filter', 'INPUT', { protocol: 'tcp', dport: PLAYED, target: 'DROP' });
      tables?.append('filter', 'INPUT', { protocol: 'tcp', sport: 8081, target: 'DROP' });
    }
    // INVALID is told by what it does not do.
    engine.namespaces
      .get('node1/host')
      ?.ip6tables.append('filter', 'DOCKER-USER', { states: ['INVALID'], target: 'DROP' });
    return lab;
  },
  stimuli() {
    const s = new Stimuli();
    const say = (what: string, at: Place, to: { mac: string }, packet: Uint8Array, wait?: number) =>
      s.raw(what, at, frame(to.mac, at.mac, packet), wait === undefined ? {} : { wait });
    const inward: Ip6 = { from: SIX.client, to: SIX.node };
    const outward: Ip6 = { from: SIX.cli, to: SIX.client };
    const fromClient = (what: string, packet: Uint8Array) => say(what, CLIENT, NODE1, packet);
    const fromCli = (what: string, packet: Uint8Array) => say(what, CLI, DOCKER0, packet);
    published(fromClient, (what, packet) => say(what, WEB, DOCKER0, packet), inward);

    fromClient('echo to the node', echo6(inward, 60));
    fromClient('UDP to a closed port of the node', udp6(inward, 5005, 9));
    fromClient('to a container directly: raw drops it', udp6({ from: SIX.client, to: SIX.web }, 5006, 9));
    fromClient('to a published port of a container directly', tcp6({ from: SIX.client, to: SIX.web }, syn(5007, 80)));

    fromCli('echo from a container to the client: MASQUERADE', echo6(outward, 61));
    fromCli('UDP from a container to a closed port of the client', udp6(outward, 6000, 9));
    fromCli('TCP SYN from a container to a closed port of the client', tcp6(outward, syn(6001, 9)));
    fromCli('hop limit 1 from a container', udp6({ ...outward, hops: 1 }, 6002, 9));
    fromCli('to where there is no route', udp6({ from: SIX.cli, to: '2001:db8:99::9' }, 6003, 9));
    fromCli(
      'to a published port of its own node: docker-proxy is not there',
      tcp6({ from: SIX.cli, to: SIX.node }, syn(6004, 8080)),
    );
    fromCli('to the bridge', echo6({ from: SIX.cli, to: SIX.bridge }, 62));
    say('a container to its neighbour', CLI, WEB, udp6({ from: SIX.cli, to: SIX.web }, 6005, 9));
    for (const piece of fragments6(udp6(outward, 6006, 9, 2000), [1200], 0x77))
      fromCli('a datagram in fragments, put together for NAT', piece);
    fromCli('behind destination options', ip6(outward, 60, concat(options(17), udpSegment6(outward, 6007, 9))));
    fromCli('protocol 253', ip6(outward, 253, new Uint8Array(20)));
    fromCli('nothing behind the header', ip6(outward, 59, new Uint8Array(8)));
    fromCli('an echo reply to nothing', icmp6(outward, { type: 129, rest: [7, 1] }));
    fromCli('a wrong UDP checksum', spoilt(udp6(outward, 6008, 9), 46));
    fromCli('half a UDP header', ip6(outward, 17, new Uint8Array(4)));
    fromCli('an options header that runs over the end', ip6(outward, 60, Uint8Array.of(17, 9, 0, 0, 0, 0, 0, 0)));
    return s.list;
  },
};

type Say = (what: string, packet: Uint8Array) => void;

/** What comes in for ports of the node, and what the container behind them answers. */
function published(fromClient: Say, fromWeb: Say, inward: Ip6): void {
  const back: Ip6 = { from: SIX.web, to: SIX.client };
  fromClient('UDP to a published port with nobody behind', udp6(inward, 5000, 8053));
  fromClient('the same once more: the connection is known', udp6(inward, 5000, 8053));
  fromClient('TCP SYN to a published port with nobody behind', tcp6(inward, syn(5001, 8080)));

  const from = { sport: 5002, dport: 8081 };
  const to = { sport: PLAYED, dport: 5002 };
  fromClient('SYN through DNAT', tcp6(inward, { ...from, flags: 'S', seq: 1000 }));
  fromWeb('SYN ACK back', tcp6(back, { ...to, flags: 'SA', seq: 9000, ack: 1001 }));
  fromClient('ACK', tcp6(inward, { ...from, flags: 'A', seq: 1001, ack: 9001 }));
  fromClient('a request', tcp6(inward, { ...from, flags: 'PA', seq: 1001, ack: 9001, data: 'GET / HTTP/1.0\r\n\r\n' }));
  fromWeb('its answer', tcp6(back, { ...to, flags: 'PA', seq: 9001, ack: 1019, data: 'HTTP/1.0 200 OK\r\n\r\n' }));
  fromClient(
    'a segment far outside the window',
    tcp6(inward, { ...from, flags: 'PA', seq: 900_000_000, ack: 9001, data: 'x' }),
  );
  fromClient('a RST far outside the window', tcp6(inward, { ...from, flags: 'R', seq: 900_000_000 }));
  const quoted = (rest: Omit<Tcp, 'sport' | 'dport'>) =>
    tcp6({ from: SIX.node, to: SIX.client, hops: 63 }, { sport: 8081, dport: 5002, ...rest });
  fromClient(
    'Packet Too Big about a translated segment',
    icmp6(inward, { type: 2, rest: [0, 1300], data: quoted({ flags: 'A', seq: 9001, ack: 1019 }) }),
  );
  fromClient(
    'an error that quotes eight bytes of a segment',
    icmp6(inward, { type: 1, code: 3, data: quoted({ flags: 'A', seq: 9001, ack: 1019 }).subarray(0, 48) }),
  );
  fromClient(
    'an error that quotes too little',
    icmp6(inward, { type: 1, code: 3, data: quoted({ flags: 'A' }).subarray(0, 30) }),
  );
  fromClient(
    'an error about a connection that never was',
    icmp6(inward, { type: 1, code: 4, data: udp6({ from: SIX.node, to: SIX.client }, 1, 2) }),
  );
  fromWeb('FIN', tcp6(back, { ...to, flags: 'FA', seq: 9020, ack: 1019 }));
  fromClient('FIN back', tcp6(inward, { ...from, flags: 'FA', seq: 1019, ack: 9021 }));
  fromWeb('the last ACK', tcp6(back, { ...to, flags: 'A', seq: 9021, ack: 1020 }));
  fromClient('SYN of the same ports in TIME_WAIT', tcp6(inward, { ...from, flags: 'S', seq: 500_000 }));

  fromClient('hop limit 1 to a published port', udp6({ ...inward, hops: 1 }, 5003, 8053));
  fromClient('hop limit 2 to a published port', udp6({ ...inward, hops: 2 }, 5004, 8053));
  fromClient('without a UDP checksum', spoilt(udp6(inward, 5008, 8053), 46, true));
  fromClient('a wrong TCP checksum', spoilt(tcp6(inward, syn(5009, 8080)), 56));
  fromClient('SYN and FIN at once', tcp6(inward, { ...syn(5010, 8080), flags: 'SF' }));
  fromClient('an ACK out of nowhere', tcp6(inward, { ...syn(5011, 8080), flags: 'A', ack: 7 }));
  fromClient('a RST out of nowhere', tcp6(inward, { ...syn(5012, 8080), flags: 'R' }));
  for (const piece of fragments6(udp6(inward, 5013, 8053, 2000), [1232], 0x78))
    fromClient('a datagram in fragments, through DNAT', piece);
}

const syn = (sport: number, dport: number): Tcp => ({ sport, dport, flags: 'S', seq: 7 });
const options = (next: number) => Uint8Array.of(next, 0, 1, 4, 0, 0, 0, 0);

function frame(to: string, from: string, packet: Uint8Array): Uint8Array {
  const mac = (text: string) => Uint8Array.from(text.split(':'), (pair) => Number.parseInt(pair, 16));
  return concat(mac(to), mac(from), Uint8Array.of(TYPE_IPV6 >>> 8, TYPE_IPV6 & 255), packet);
}

/** The two bytes at `at` are wrong, or zero. */
function spoilt(packet: Uint8Array, at: number, zero = false): Uint8Array {
  packet[at] = zero ? 0 : (packet[at] ?? 0) ^ 0x55;
  if (zero) packet[at + 1] = 0;
  return packet;
}

/** node1 with docker0 and two containers, of both families. */
function swarm() {
  const publishes = (published: number, target: number, protocol: 'tcp' | 'udp'): PublishedPort => ({
    published,
    target,
    protocol,
  });
  const one: Node = node(NODE1, 'node1');
  const six: Node = { ...one, ipv6: true, nic: { ...one.nic, addresses: [...one.nic.addresses, `${SIX.node}/64`] } };
  const bridge = defaultBridge();
  const { node1 } = bridge.onNode;
  const network: Network = {
    ...bridge,
    ipv6: true,
    onNode: node1 ? { node1: { ...node1, subnet6: 'fd00:17::/64', gateway6: SIX.bridge } } : {},
  };
  const with6 = (sandbox: Sandbox, address: string): Sandbox => ({
    ...sandbox,
    endpoints: sandbox.endpoints.map((endpoint) => ({ ...endpoint, address6: `${address}/64` })),
  });
  const made = topology({
    engine: '28',
    nodes: [six],
    networks: [network],
    sandboxes: [
      with6(
        container(WEB, 1, [publishes(8080, 80, 'tcp'), publishes(8081, PLAYED, 'tcp'), publishes(8053, 53, 'udp')]),
        SIX.web,
      ),
      with6(container(CLI, 2), SIX.cli),
    ],
  });
  const hosts = made.hosts.map((host) => ({
    ...host,
    nic: { ...host.nic, addresses: [...host.nic.addresses, `${SIX.client}/64`] },
  }));
  return { ...made, hosts };
}
