/** TCP as conntrack sees it on its way through DNAT: both ends are played, so that every segment is a stimulus. */

import { realize } from '../../../swarm/realize.js';
import type { Case } from '../case.js';
import { labOf } from '../lab.js';
import { icmp, tcp, udp } from '../packets.js';
import { CLI, CLIENT, container, DOCKER0, defaultBridge, NODE1, node, Stimuli, topology, WEB } from './places.js';

/** Of the container, and as the node publishes it. Nobody listens: what comes for either is dropped at INPUT. */
const PORT = 80;
const PUBLISHED = 8080;

export const tracking: Case = {
  name: 'tcp-tracking',
  needs: ['bridge', 'iptables', 'br_netfilter'],
  build({ engine }) {
    const lab = labOf(
      realize(
        engine,
        topology({
          nodes: [node(NODE1, 'node1')],
          networks: [defaultBridge()],
          sandboxes: [container(WEB, 1, [{ published: PUBLISHED, target: PORT, protocol: 'tcp' }]), container(CLI, 2)],
        }),
        { latency: 1 },
      ),
    );
    for (const [name, port] of [
      ['node1/ct-web', 'dport'],
      ['client/host', 'sport'],
      ['node1/host', 'dport'],
    ] as const) {
      const rules = engine.namespaces.get(name)?.iptables;
      rules?.append('filter', 'INPUT', {
        protocol: 'tcp',
        [port]: name === 'node1/ct-web' ? PORT : PUBLISHED,
        target: 'DROP',
      });
    }
    // INVALID is told by what it does not do.
    engine.namespaces.get('node1/host')?.iptables.insert('filter', 'FORWARD', { states: ['INVALID'], target: 'DROP' });
    return lab;
  },
  stimuli() {
    const s = new Stimuli();
    type Rest = Omit<Parameters<typeof tcp>[1], 'sport' | 'dport'>;
    const ends = (sport: number) => ({
      in: (what: string, rest: Rest) =>
        s.frame(`${sport}: ${what}`, CLIENT, NODE1, tcp(s.header(CLIENT, NODE1), { sport, dport: PUBLISHED, ...rest })),
      out: (what: string, rest: Rest) =>
        s.frame(
          `${sport}: ${what}, back`,
          WEB,
          DOCKER0,
          tcp(s.header(WEB, CLIENT), { sport: PORT, dport: sport, ...rest }),
        ),
    });
    const open = (sport: number) => {
      const both = ends(sport);
      both.in('SYN', { flags: 'S', seq: 1000 });
      both.out('SYN ACK', { flags: 'SA', seq: 5000, ack: 1001 });
      both.in('ACK', { flags: 'A', seq: 1001, ack: 5001 });
      return both;
    };

    const one = open(7001);
    one.in('data', { flags: 'PA', seq: 1001, ack: 5001, data: 'hello' });
    one.in('the same data again', { flags: 'PA', seq: 1001, ack: 5001, data: 'hello' });
    one.out('an ACK beyond what was sent', { flags: 'A', seq: 5001, ack: 900_000 });
    one.in('a SYN in the middle', { flags: 'S', seq: 77_000 });
    one.out('the ACK that challenges it', { flags: 'A', seq: 5001, ack: 1006 });
    one.in('a RST that fits', { flags: 'R', seq: 1006 });
    one.in('data after the RST', { flags: 'PA', seq: 1006, ack: 5001, data: 'x' });

    const two = ends(7002);
    two.in('SYN', { flags: 'S', seq: 1 });
    two.in('SYN again', { flags: 'S', seq: 1 });
    two.in('SYN with another number', { flags: 'S', seq: 50_000 });
    two.out('RST ACK: refused', { flags: 'RA', seq: 0, ack: 50_001 });
    two.in('SYN after the refusal', { flags: 'S', seq: 90_000 });
    two.out('SYN ACK', { flags: 'SA', seq: 5000, ack: 90_001 });

    const three = open(7003);
    three.in('FIN', { flags: 'FA', seq: 1001, ack: 5001 });
    three.out('half closed: data', { flags: 'PA', seq: 5001, ack: 1002, data: 'more' });
    three.in('its ACK', { flags: 'A', seq: 1002, ack: 5005 });
    three.out('FIN', { flags: 'FA', seq: 5005, ack: 1002 });
    three.in('the last ACK', { flags: 'A', seq: 1002, ack: 5006 });
    three.in('a new SYN, beyond the old numbers', { flags: 'S', seq: 200_000 });
    three.out('SYN ACK of the new one', { flags: 'SA', seq: 600_000, ack: 200_001 });

    const four = ends(7004);
    four.in('an ACK out of nowhere', { flags: 'A', seq: 10, ack: 20 });
    four.out('its answer', { flags: 'A', seq: 20, ack: 10 });
    const five = ends(7005);
    five.out('a SYN ACK out of nowhere', { flags: 'SA', seq: 20, ack: 10 });
    five.out('a RST out of nowhere', { flags: 'R', seq: 20 });
    const six = ends(7006);
    six.in('SYN', { flags: 'S', seq: 1 });
    six.out('a SYN of its own: simultaneous open', { flags: 'S', seq: 2 });
    six.in('SYN ACK', { flags: 'SA', seq: 1, ack: 3 });
    six.out('SYN ACK', { flags: 'SA', seq: 2, ack: 2 });

    const seven = open(7007);
    const quote = tcp(
      { from: WEB.address, to: CLIENT.address, id: 0x4ff0, ttl: 63 },
      { sport: PORT, dport: 7007, flags: 'A', seq: 5001, ack: 1001 },
    );
    s.frame(
      'an error of the container about a segment it got',
      WEB,
      DOCKER0,
      icmp(s.header(WEB, CLIENT), {
        type: 3,
        code: 3,
        data: tcp(
          { from: CLIENT.address, to: WEB.address, id: 0x4ff1, ttl: 62 },
          { sport: 7007, dport: PORT, flags: 'A', seq: 1001, ack: 5001 },
        ),
      }),
    );
    s.frame(
      'an error that quotes what the client never got like that',
      CLIENT,
      NODE1,
      icmp(s.header(CLIENT, NODE1), { type: 11, data: quote }),
    );
    s.frame(
      'an error with eight bytes of a segment',
      CLIENT,
      NODE1,
      icmp(s.header(CLIENT, NODE1), {
        type: 11,
        data: tcp(
          { from: NODE1.address, to: CLIENT.address, id: 0x4ff2 },
          { sport: PUBLISHED, dport: 7007, flags: 'A', seq: 5001, ack: 1001 },
        ).subarray(0, 28),
      }),
    );
    s.frame(
      'an error that quotes too little',
      CLIENT,
      NODE1,
      icmp(s.header(CLIENT, NODE1), { type: 11, data: quote.subarray(0, 12) }),
    );
    seven.in('data after the errors', { flags: 'PA', seq: 1001, ack: 5001, data: 'ok' });
    s.frame('UDP of the same ports', CLIENT, NODE1, udp(s.header(CLIENT, NODE1), 7007, PUBLISHED));
    return s.list;
  },
};
