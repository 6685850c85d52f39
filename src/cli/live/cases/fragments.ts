/** Fragments: cut, passed on, put together, by a plain router and by one with conntrack, in order and not. */

import { realize } from '../../../swarm/realize.js';
import type { Case } from '../case.js';
import { labOf } from '../lab.js';
import { echo, fragments, tcp, udp } from '../packets.js';
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
import { FAR, NEAR, routed } from './router.js';

/** The kernel gives up after `net.ipv4.ipfrag_time` = 1 s here, the engine after Linux's default. */
const GIVEN_UP = { wait: 1600, virtualWait: 31_000 };

type Order = readonly (number | readonly [index: number, part: 'again'])[];

/** Sends the pieces in this order. */
function inOrder(
  s: Stimuli,
  what: string,
  from: Place,
  to: { mac: string },
  pieces: readonly Uint8Array[],
  order: Order,
): void {
  for (const one of order) {
    const index = typeof one === 'number' ? one : one[0];
    const piece = pieces[index];
    if (piece) s.frame(`${what}: fragment ${index + 1} of ${pieces.length}`, from, to, piece);
  }
}

/** What both routers are tried with; `to` is where it goes by way of `router`. */
function tries(s: Stimuli, from: Place, router: { mac: string }, to: { address: string }, port: number): void {
  const datagram = (size: number, more = {}) => udp(s.header(from, to, { df: false, ...more }), port, 9, size);
  s.frame('a datagram that the link is too small for', from, router, datagram(1400));
  s.frame(
    'with one option for the first piece and one for all',
    from,
    router,
    datagram(1300, { options: Uint8Array.of(0x5e, 4, 1, 2, 0x94, 4, 0, 0) }),
  );
  inOrder(s, 'in order', from, router, fragments(datagram(2500), [1000, 1000]), [0, 1, 2]);
  inOrder(s, 'backwards', from, router, fragments(datagram(2500), [800, 800, 800]), [3, 2, 1, 0]);
  inOrder(s, 'small pieces', from, router, fragments(datagram(500), [200, 200]), [0, 1, 2]);
  inOrder(s, 'a duplicate', from, router, fragments(datagram(1200), [400, 400]), [0, 1, [1, 'again'], 2]);
  inOrder(s, 'the first twice', from, router, fragments(datagram(1200), [400, 400]), [0, [0, 'again'], 1, 2]);
  inOrder(s, 'with DF', from, router, fragments(datagram(1200), [400, 400], true), [0, 1, 2]);
  inOrder(s, 'DF and larger than the link', from, router, fragments(datagram(2000), [1200], true), [0, 1]);
  inOrder(
    s,
    'an echo request',
    from,
    router,
    fragments(echo(s.header(from, to, { df: false }), port & 0xff, 1800), [1480]),
    [0, 1],
  );
  inOrder(
    s,
    'a segment',
    from,
    router,
    fragments(
      tcp(s.header(from, to, { df: false }), { sport: port, dport: 9, flags: 'S', seq: 1, data: 'x'.repeat(300) }),
      [160, 80],
    ),
    [0, 1, 2],
  );
  inOrder(
    s,
    'the header in two pieces',
    from,
    router,
    fragments(tcp(s.header(from, to, { df: false }), { sport: port + 1, dport: 9, flags: 'S', seq: 1 }), [8, 8]),
    [0, 1, 2],
  );
  const overlapping = s.header(from, to, { df: false });
  const even = fragments(udp(overlapping, port, 9, 1200), [400, 400]);
  const odd = fragments(udp(overlapping, port, 9, 1200), [600, 400]);
  if (even[0] && odd[1] && even[2]) {
    s.frame('an overlap: the first piece', from, router, even[0]);
    s.frame('an overlap: one that leaves a hole', from, router, odd[1]);
    s.frame('an overlap: one that overlaps', from, router, even[2]);
    if (even[1]) s.frame('an overlap: the piece that was missing', from, router, even[1]);
  }
  const marked = fragments(datagram(1000, { tos: 0x02 }), [400]);
  if (marked[0] && marked[1]) {
    s.frame('ECN: capable', from, router, marked[0]);
    s.frame('ECN: met congestion', from, router, congested(marked[1]));
  }
}

function congested(piece: Uint8Array): Uint8Array {
  piece[1] = 3;
  // The header's checksum changes by one (RFC 1624).
  const sum = (((piece[10] ?? 0) << 8) | (piece[11] ?? 0)) - 1;
  piece[10] = (sum >>> 8) & 255;
  piece[11] = sum & 255;
  return piece;
}

export const plainFragments: Case = {
  name: 'fragments',
  needs: ['bridge'],
  build: (lab) => routed(lab),
  stimuli() {
    const s = new Stimuli();
    s.frame('echo: neighbours are found', CLIENT, NODE1, echo(s.header(CLIENT, FAR), 100));
    tries(s, CLIENT, NODE1, FAR, 4500);
    return s.list;
  },
};

export const trackedFragments: Case = {
  name: 'fragments-nat',
  needs: ['bridge', 'iptables', 'br_netfilter'],
  build({ engine }) {
    const lab = labOf(
      realize(
        engine,
        topology({
          nodes: [node(NODE1, 'node1')],
          networks: [defaultBridge(1400)],
          sandboxes: [container(WEB, 1, [{ published: 9, target: 9, protocol: 'udp' }]), container(CLI, 2)],
        }),
        { latency: 1 },
      ),
    );
    return lab;
  },
  stimuli() {
    const s = new Stimuli();
    s.frame('UDP to a published port: neighbours are found', CLIENT, NODE1, udp(s.header(CLIENT, NODE1), 4400, 9));
    tries(s, CLIENT, NODE1, NODE1, 4500);
    s.frame('DF and larger than docker0', CLIENT, NODE1, udp(s.header(CLIENT, NODE1), 4501, 9, 1440));
    s.frame('echo from a container: neighbours are found', CLI, DOCKER0, echo(s.header(CLI, CLIENT), 101));
    const masqueraded = fragments(udp(s.header(CLI, CLIENT, { df: false }), 4700, 9, 2500), [1000, 1000]);
    inOrder(s, 'from a container to the client', CLI, DOCKER0, masqueraded, [0, 1, 2]);
    return s.list;
  },
};

/** Neighbours are permanent here: in the engine more time goes by than in the kernel, and learned ones would be asked for again. */
export const reassemblyTimeout: Case = {
  name: 'reassembly-timeout',
  needs: ['bridge'],
  build(lab) {
    routed(lab);
    for (const [here, there] of [
      ['client/host/eth0', NODE1],
      ['node1/host/eth0', CLIENT],
      ['node1/host/near', FAR],
      ['node1/far/eth0', NEAR],
    ] as const) {
      const device = lab.device(here);
      device.namespace.addNeighbour(device, there.address, there.mac);
    }
    return lab;
  },
  stimuli() {
    const s = new Stimuli();
    const pieces = (port: number) => fragments(udp(s.header(CLIENT, FAR, { df: false }), port, 9, 1200), [400, 400]);
    inOrder(s, 'two of three, until they are given up', CLIENT, NODE1, pieces(4600), [1, 0]);
    s.frame(
      'the router itself, a first fragment alone',
      CLIENT,
      NODE1,
      pieceOf(udp(s.header(CLIENT, NODE1, { df: false }), 4601, 9, 500)),
    );
    s.frame('a piece in between, until it is given up', CLIENT, NODE1, pieces(4602)[1] ?? new Uint8Array(), GIVEN_UP);
    return s.list;
  },
};

function pieceOf(packet: Uint8Array): Uint8Array {
  return fragments(packet, [400])[0] ?? packet;
}
