/** A published port as Docker does it: DNAT on the node, MASQUERADE on the way out, and the errors of either direction. */

import { realize } from '../../../swarm/realize.js';
import type { Case } from '../case.js';
import { labOf } from '../lab.js';
import { echo, filling, icmp, ip, tcp, udp } from '../packets.js';
import { CLI, CLIENT, container, DOCKER0, defaultBridge, NODE1, node, Stimuli, topology, WEB } from './places.js';

/** Sockets that are not there: what comes for these ports is dropped at INPUT, so that both ends can be played by stimuli. */
const PLAYED = 81;
/** A container that has gone, though its port is still published. */
const GONE = '172.17.0.9';

export const nat: Case = {
  name: 'nat',
  needs: ['bridge', 'iptables', 'br_netfilter'],
  build({ engine }) {
    const publishes = (published: number, target: number, protocol: 'tcp' | 'udp') => ({ published, target, protocol });
    const lab = labOf(
      realize(
        engine,
        topology({
          nodes: [node(NODE1, 'node1')],
          networks: [defaultBridge()],
          sandboxes: [
            container(WEB, 1, [publishes(8080, 80, 'tcp'), publishes(8081, PLAYED, 'tcp'), publishes(8053, 53, 'udp')]),
            container(CLI, 2),
          ],
        }),
        { latency: 1 },
      ),
    );
    for (const name of ['node1/ct-web', 'client/host', 'node1/ct-cli']) {
      const namespace = engine.namespaces.get(name);
      namespace?.iptables.append('filter', 'INPUT', { protocol: 'tcp', dport: PLAYED, target: 'DROP' });
      namespace?.iptables.append('filter', 'INPUT', { protocol: 'tcp', sport: 8081, target: 'DROP' });
    }
    const node1 = engine.namespaces.get('node1/host');
    node1?.iptables.append('nat', 'PREROUTING', {
      protocol: 'udp',
      dport: 8099,
      target: 'DNAT',
      address: GONE,
      port: 99,
    });
    node1?.iptables.insert('filter', 'FORWARD', { protocol: 'udp', dport: 99, target: 'ACCEPT' });
    engine.namespaces.get('node1/ct-web')?.iptables.append('nat', 'PREROUTING', {
      protocol: 'udp',
      dport: 53,
      destination: `${WEB.address}/32`,
      target: 'REDIRECT',
      port: 5353,
    });
    return lab;
  },
  stimuli() {
    const s = new Stimuli();
    s.frame('UDP to a published port with nobody behind', CLIENT, NODE1, udp(s.header(CLIENT, NODE1), 5000, 8053));
    s.frame('the same once more: the connection is known', CLIENT, NODE1, udp(s.header(CLIENT, NODE1), 5000, 8053));
    s.packet('a UDP answer from the container, by a socket', 'node1/ct-web', udp(s.header(WEB, CLIENT), 5353, 5000));
    s.frame(
      'TCP SYN to a published port with nobody behind',
      CLIENT,
      NODE1,
      tcp(s.header(CLIENT, NODE1), { sport: 5001, dport: 8080, flags: 'S', seq: 1000 }),
    );

    const from = { sport: 5002, dport: 8081 };
    const back = { sport: PLAYED, dport: 5002 };
    const fromClient = (what: string, rest: Parameters<typeof tcp>[1]) =>
      s.frame(what, CLIENT, NODE1, tcp(s.header(CLIENT, NODE1), rest));
    const fromWeb = (what: string, rest: Parameters<typeof tcp>[1]) =>
      s.frame(what, WEB, DOCKER0, tcp(s.header(WEB, CLIENT), rest));
    fromClient('SYN through DNAT', { ...from, flags: 'S', seq: 1000 });
    fromWeb('SYN ACK back', { ...back, flags: 'SA', seq: 9000, ack: 1001 });
    fromClient('ACK', { ...from, flags: 'A', seq: 1001, ack: 9001 });
    fromClient('a request', { ...from, flags: 'PA', seq: 1001, ack: 9001, data: 'GET / HTTP/1.0\r\n\r\n' });
    fromWeb('its answer', { ...back, flags: 'PA', seq: 9001, ack: 1019, data: 'HTTP/1.0 200 OK\r\n\r\n' });
    fromClient('a segment far outside the window', { ...from, flags: 'PA', seq: 900_000_000, ack: 9001, data: 'x' });
    fromClient('a RST far outside the window', { ...from, flags: 'R', seq: 900_000_000 });
    s.frame(
      'fragmentation needed, from the client side, about a translated segment',
      CLIENT,
      NODE1,
      icmp(s.header(CLIENT, NODE1), {
        type: 3,
        code: 4,
        rest: [0, 1200],
        data: tcp(
          { from: NODE1.address, to: CLIENT.address, id: 0x4fff },
          { sport: 8081, dport: 5002, flags: 'A', seq: 9001, ack: 1019 },
        ),
      }),
    );
    fromWeb('FIN', { ...back, flags: 'FA', seq: 9020, ack: 1019 });
    fromClient('FIN back', { ...from, flags: 'FA', seq: 1019, ack: 9021 });
    fromWeb('the last ACK', { ...back, flags: 'A', seq: 9021, ack: 1020 });
    fromClient('SYN of the same ports in TIME_WAIT', { ...from, flags: 'S', seq: 500_000 });

    s.frame('TTL 1 to a published port', CLIENT, NODE1, udp(s.header(CLIENT, NODE1, { ttl: 1 }), 5003, 8053));
    s.frame('TTL 2 to a published port', CLIENT, NODE1, udp(s.header(CLIENT, NODE1, { ttl: 2 }), 5004, 8053));
    s.frame('echo to the node', CLIENT, NODE1, echo(s.header(CLIENT, NODE1), 60));
    s.frame('UDP to a closed port of the node', CLIENT, NODE1, udp(s.header(CLIENT, NODE1), 5005, 9));
    s.frame('to a container directly: FORWARD drops it', CLIENT, NODE1, udp(s.header(CLIENT, WEB), 5006, 9));

    s.frame('echo from a container to the client: MASQUERADE', CLI, DOCKER0, echo(s.header(CLI, CLIENT), 61));
    s.frame('UDP from a container to a closed port of the client', CLI, DOCKER0, udp(s.header(CLI, CLIENT), 6000, 9));
    s.frame('the same ports from another container: NAT draws one', WEB, DOCKER0, udp(s.header(WEB, CLIENT), 6000, 9));
    s.frame('the same echo identifier from another container', WEB, DOCKER0, echo(s.header(WEB, CLIENT), 61));
    s.frame(
      'TCP SYN from a container to a closed port of the client',
      CLI,
      DOCKER0,
      tcp(s.header(CLI, CLIENT), { sport: 6001, dport: 9, flags: 'S', seq: 7 }),
    );
    s.frame('TTL 1 from a container', CLI, DOCKER0, udp(s.header(CLI, CLIENT, { ttl: 1 }), 6002, 9));
    s.frame('from a container to where there is no route', CLI, DOCKER0, udp(s.header(CLI, '203.0.113.9'), 6003, 9));
    s.frame(
      'from a container to a published port of its own node',
      CLI,
      DOCKER0,
      tcp(s.header(CLI, NODE1), { sport: 6004, dport: 8080, flags: 'S', seq: 7 }),
    );
    s.frame('a container to a neighbour, sent to the router instead', CLI, DOCKER0, udp(s.header(CLI, WEB), 6005, 9));
    s.packet(
      'the node to its own published port, by a socket',
      'node1/host',
      tcp(s.header(NODE1, NODE1), { sport: 6006, dport: 8080, flags: 'S', seq: 7 }),
    );
    s.packet('echo from a container, by a socket', 'node1/ct-cli', echo(s.header(CLI, CLIENT), 62));
    s.frame(
      'TCP ACK out of nowhere to a published port',
      CLIENT,
      NODE1,
      tcp(s.header(CLIENT, NODE1), { sport: 5007, dport: 8080, flags: 'A', seq: 5, ack: 6 }),
    );
    s.frame(
      'TCP RST out of nowhere to a published port',
      CLIENT,
      NODE1,
      tcp(s.header(CLIENT, NODE1), { sport: 5008, dport: 8080, flags: 'R', seq: 5 }),
    );
    s.frame(
      'an error about a connection that never was',
      CLIENT,
      NODE1,
      icmp(s.header(CLIENT, NODE1), {
        type: 3,
        code: 3,
        data: udp({ from: NODE1.address, to: CLIENT.address, id: 0x4ffe }, 1, 2),
      }),
    );
    s.frame('the source of a packet is the node itself', CLIENT, NODE1, udp(s.header(NODE1, NODE1), 5009, 8053));
    s.frame(
      'the source of a packet is 127.0.0.1',
      CLIENT,
      NODE1,
      udp(s.header({ address: '127.0.0.1' }, NODE1), 5010, 8053),
    );
    more(s);
    return s.list;
  },
};

/** Checksums, odd protocols, ports of every class, what the node says to itself. */
function more(s: Stimuli): void {
  s.frame('without a UDP checksum, through DNAT', CLIENT, NODE1, udp(s.header(CLIENT, NODE1), 5020, 8053, 20, false));
  s.frame(
    'a wrong UDP checksum, to a published port',
    CLIENT,
    NODE1,
    spoilt(udp(s.header(CLIENT, NODE1), 5021, 8053), 26),
  );
  const syn = { sport: 5022, dport: 8080, flags: 'S', seq: 1 };
  s.frame('a wrong TCP checksum, to a published port', CLIENT, NODE1, spoilt(tcp(s.header(CLIENT, NODE1), syn), 36));
  s.frame('SYN and FIN at once', CLIENT, NODE1, tcp(s.header(CLIENT, NODE1), { ...syn, sport: 5023, flags: 'SF' }));
  s.frame('no flags at all', CLIENT, NODE1, tcp(s.header(CLIENT, NODE1), { ...syn, sport: 5024, flags: '' }));
  s.frame(
    'SYN ACK out of nowhere',
    CLIENT,
    NODE1,
    tcp(s.header(CLIENT, NODE1), { ...syn, sport: 5025, flags: 'SA', ack: 9 }),
  );
  s.frame('a UDP length beyond the packet', CLIENT, NODE1, spoilt(udp(s.header(CLIENT, NODE1), 5026, 8053), 24));
  s.frame('half a UDP header', CLIENT, NODE1, ip(s.header(CLIENT, NODE1), 17, filling(4)));
  s.frame('half a TCP header', CLIENT, NODE1, ip(s.header(CLIENT, NODE1), 6, filling(10)));
  s.frame('half an ICMP header', CLIENT, NODE1, ip(s.header(CLIENT, NODE1), 1, Uint8Array.of(8, 0, 0, 0)));
  s.frame('protocol 253 from a container', CLI, DOCKER0, ip(s.header(CLI, CLIENT), 253, filling(20)));
  s.frame('protocol 253 from another container', WEB, DOCKER0, ip(s.header(WEB, CLIENT), 253, filling(20)));
  // NAT draws a port of the same class; of those below 512 some are chosen elsewhere.
  s.frame('port 700 from a container', CLI, DOCKER0, udp(s.header(CLI, CLIENT), 700, 9));
  s.frame('port 700 from another container', WEB, DOCKER0, udp(s.header(WEB, CLIENT), 700, 9));
  s.frame('a TOS through NAT', CLI, DOCKER0, udp(s.header(CLI, CLIENT, { tos: 0xb8 }), 6020, 9));
  s.packet('the node to itself on lo', 'node1/host', echo(s.header({ address: '127.0.0.1' }, '127.0.0.1'), 63));
  s.packet('UDP to a closed port on lo', 'node1/host', udp(s.header({ address: '127.0.0.1' }, '127.0.0.1'), 6021, 9));
  s.packet(
    'a published port on lo: the proxy is not there',
    'node1/host',
    tcp(s.header({ address: '127.0.0.1' }, '127.0.0.1'), { sport: 6022, dport: 8080, flags: 'S', seq: 7 }),
  );
  s.packet('the node to a container', 'node1/host', udp(s.header(DOCKER0, WEB), 6023, 9));
  s.packet('the node to its published UDP port', 'node1/host', udp(s.header(NODE1, NODE1), 6024, 8053));
  s.packet('a subnet broadcast by a socket', 'node1/ct-cli', udp(s.header(CLI, '172.17.255.255'), 6026, 9));
  s.frame('to a published port whose container has gone', CLIENT, NODE1, udp(s.header(CLIENT, NODE1), 5030, 8099), {
    wait: 3300,
  });
}

function spoilt(packet: Uint8Array, at: number): Uint8Array {
  packet[at] = (packet[at] ?? 0) ^ 0x55;
  return packet;
}
