/** A published port as Docker does it: DNAT on the node, MASQUERADE on the way out, and the errors of either direction. */

import { realize } from '../../../swarm/realize.js';
import type { Case } from '../case.js';
import { labOf } from '../lab.js';
import { echo, icmp, tcp, udp } from '../packets.js';
import { CLI, CLIENT, container, DOCKER0, defaultBridge, NODE1, node, Stimuli, topology, WEB } from './places.js';

/** Sockets that are not there: what comes for these ports is dropped at INPUT, so that both ends can be played by stimuli. */
const PLAYED = 81;

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
      const device = namespace?.device('eth0');
      if (device && !name.startsWith('client')) namespace?.addRoute('0.0.0.0/0', device, DOCKER0.address);
      namespace?.iptables.append('filter', 'INPUT', { protocol: 'tcp', dport: PLAYED, target: 'DROP' });
      namespace?.iptables.append('filter', 'INPUT', { protocol: 'tcp', sport: 8081, target: 'DROP' });
    }
    return lab;
  },
  stimuli() {
    const s = new Stimuli();
    s.frame('UDP to a published port with nobody behind', CLIENT, NODE1, udp(s.header(CLIENT, NODE1), 5000, 8053));
    s.frame('the same once more: the connection is known', CLIENT, NODE1, udp(s.header(CLIENT, NODE1), 5000, 8053));
    s.packet('a UDP answer from the container, by a socket', 'node1/ct-web', udp(s.header(WEB, CLIENT), 53, 5000));
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
    return s.list;
  },
};
