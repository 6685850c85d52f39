/** Two nodes and an overlay network: br0 and vxlan0 in namespaces of their own, proxy ARP, what the tunnel does to a packet. */

import { realize } from '../../../swarm/realize.js';
import type { Network, Sandbox } from '../../../topology/topology.js';
import type { Case } from '../case.js';
import { labOf } from '../lab.js';
import { BROADCAST, echo, ethernet, filling, fragments, tcp, udp, vxlan } from '../packets.js';
import { CLIENT, NODE1, NODE2, node, type Place, Stimuli, topology } from './places.js';

const VNI = 4097;
const ONE: Place = { at: 'node1/ct-one/eth0', mac: '02:42:0a:00:01:03', address: '10.0.1.3' };
const TWO: Place = { at: 'node2/ct-two/eth0', mac: '02:42:0a:00:01:04', address: '10.0.1.4' };
const NEXT: Place = { at: 'node1/ct-next/eth0', mac: '02:42:0a:00:01:05', address: '10.0.1.5' };

function network(): Network {
  const here = (last: string) => ({
    subnet: '10.0.1.0/24',
    gateway: '10.0.1.1',
    bridge: 'br0',
    bridgeMac: `f2:00:00:00:00:0${last}`,
    vxlan: { name: 'vxlan0', mac: `f6:00:00:00:00:0${last}` },
  });
  return {
    name: 'net',
    id: 'net',
    driver: 'overlay',
    ingress: false,
    mtu: 1450,
    icc: true,
    masquerade: true,
    vni: VNI,
    dataPathPort: 4789,
    onNode: { node1: here('1'), node2: here('2') },
  };
}

function member({ at, mac, address }: Place, port: number): Sandbox {
  const [on = '', name = ''] = at.split('/');
  const peer = { name: `veth${port}`, mac: `ce:00:00:00:0${on.slice(-1)}:0${port}` };
  return {
    name,
    node: on,
    kind: 'container',
    endpoints: [{ network: 'net', interface: 'eth0', address: `${address}/24`, mac, peer, port }],
  };
}

export const overlay: Case = {
  name: 'overlay',
  needs: ['bridge', 'vxlan', 'iptables', 'br_netfilter'],
  build: ({ engine }) =>
    labOf(
      realize(
        engine,
        topology({
          nodes: [node(NODE1, 'node1'), node(NODE2, 'node2')],
          networks: [network()],
          sandboxes: [member(ONE, 1), member(NEXT, 2), member(TWO, 1)],
        }),
        { latency: 1 },
      ),
    ),
  stimuli() {
    const s = new Stimuli();
    s.ask('ARP request for an endpoint of the other node: vxlan0 answers', ONE, TWO.address);
    s.ask('ARP request for an endpoint of the same node', ONE, NEXT.address);
    s.ask('ARP request for the gateway', ONE, '10.0.1.1');
    s.ask('ARP request for nobody', ONE, '10.0.1.99');
    s.frame('echo to the other node', ONE, TWO, echo(s.header(ONE, TWO), 20));
    s.frame('the same flow again', ONE, TWO, echo(s.header(ONE, TWO), 20, 56, 2));
    s.packet('echo to the other node, by a socket', 'node1/ct-next', echo(s.header(NEXT, TWO), 21));
    s.packet('echo back from the other node, by a socket', 'node2/ct-two', echo(s.header(TWO, NEXT), 22));
    s.frame('UDP to a closed port of the other node', ONE, TWO, udp(s.header(ONE, TWO), 4000, 9));
    s.frame(
      'TCP SYN to a closed port of the other node',
      ONE,
      TWO,
      tcp(s.header(ONE, TWO), { sport: 4001, dport: 9, flags: 'S', seq: 1 }),
    );
    s.frame('TTL 1 passes the tunnel', ONE, TWO, udp(s.header(ONE, TWO, { ttl: 1 }), 4002, 9));
    s.frame('a packet as big as the overlay', ONE, TWO, udp(s.header(ONE, TWO), 4003, 9, 1422));
    for (const [tos, words] of [
      [0x02, 'ECT(0)'],
      [0x01, 'ECT(1)'],
      [0x03, 'CE'],
      [0xb8, 'DSCP EF'],
    ] as const)
      s.frame(`${words} inside`, ONE, TWO, udp(s.header(ONE, TWO, { tos }), 4010 + tos, 9));
    for (const [index, piece] of fragments(
      udp(s.header(ONE, TWO, { df: false }), 4004, 9, 2500),
      [1000, 1000],
    ).entries())
      s.frame(`fragment ${index + 1} through the tunnel`, ONE, TWO, piece);
    s.frame('a unicast to a MAC that nobody has', ONE, '02:42:0a:00:01:99', udp(s.header(ONE, '10.0.1.99'), 4005, 9));
    s.frame('a broadcast: no VTEP for it', ONE, BROADCAST, udp(s.header(ONE, '10.0.1.255'), 4006, 9));
    s.raw('another EtherType to the other node', ONE, ethernet(TWO.mac, ONE.mac, filling(46), 0x88b5));
    s.raw('a short frame through the tunnel', ONE, ethernet(TWO.mac, ONE.mac, filling(2), 0x88b5));

    const inner = ethernet(TWO.mac, ONE.mac, udp(s.header(ONE, TWO), 4007, 9));
    const outer = (what: string, data: Uint8Array, more: { tos?: number; from?: string; checksum?: boolean } = {}) =>
      s.frame(
        what,
        CLIENT,
        NODE2,
        udp(
          s.header({ address: more.from ?? CLIENT.address }, NODE2, { df: false, tos: more.tos ?? 0 }),
          50_000,
          4789,
          data,
          more.checksum ?? true,
        ),
      );
    outer('VXLAN from a stranger for a MAC with a permanent entry', vxlan(VNI, inner));
    const stranger = (sport: number, tos = 0) =>
      ethernet(TWO.mac, '02:42:0a:00:01:77', udp(s.header({ address: '10.0.1.77' }, TWO, { tos }), sport, 9));
    outer('VXLAN from a stranger: its MAC is learned', vxlan(VNI, stranger(4020)));
    outer('VXLAN without a UDP checksum', vxlan(VNI, stranger(4021)), { checksum: false });
    outer('a VNI that nobody has', vxlan(4999, stranger(4022)));
    outer('VXLAN without the I flag', vxlan(VNI, stranger(4023), 0));
    outer('VXLAN with a reserved flag', vxlan(VNI, stranger(4024), 0x0c));
    outer('CE outside, not capable inside', vxlan(VNI, stranger(4025)), { tos: 3 });
    outer('CE outside, ECT(0) inside', vxlan(VNI, stranger(4026, 2)), { tos: 3 });
    outer('ECT(1) outside, ECT(0) inside', vxlan(VNI, stranger(4027, 2)), { tos: 1 });
    outer('ECT(0) outside, nothing inside', vxlan(VNI, stranger(4028)), { tos: 2 });
    outer('shorter than a VXLAN header', filling(4));
    outer('a VXLAN header and nothing in it', vxlan(VNI, new Uint8Array()));
    outer(
      'broadcast inside',
      vxlan(
        VNI,
        ethernet(BROADCAST, '02:42:0a:00:01:77', udp(s.header({ address: '10.0.1.77' }, '10.0.1.255'), 4029, 9)),
      ),
    );
    return s.list;
  },
};
