/** Containers on one bridge with br_netfilter: bridged IPv4 meets the IP hooks, everything else does not. */

import { realize } from '../../../swarm/realize.js';
import type { Case } from '../case.js';
import { labOf } from '../lab.js';
import { arp, BROADCAST, concat, echo, ethernet, filling, fragments, icmp, ip, tcp, udp } from '../packets.js';
import { CLI, container, DOCKER0, defaultBridge, NODE1, node, type Place, Stimuli, topology, WEB } from './places.js';

const THIRD: Place = { at: 'node1/ct-third/eth0', mac: '02:42:ac:11:00:04', address: '172.17.0.4' };

export const bridge: Case = {
  name: 'bridge',
  needs: ['bridge', 'iptables', 'br_netfilter'],
  build({ engine }) {
    const lab = labOf(
      realize(
        engine,
        topology({
          nodes: [node(NODE1, 'node1')],
          networks: [defaultBridge()],
          sandboxes: [container(WEB, 1), container(CLI, 2), container(THIRD, 3)],
        }),
        { latency: 1 },
      ),
    );
    engine.namespaces.get('node1/host')?.iptables.append('nat', 'PREROUTING', {
      destination: `${THIRD.address}/32`,
      protocol: 'udp',
      dport: 7777,
      target: 'DNAT',
      address: WEB.address,
      port: 53,
    });
    return lab;
  },
  stimuli() {
    const s = new Stimuli();
    s.ask('ARP request for a neighbour on the bridge', CLI, WEB.address);
    s.frame('echo to a neighbour on the bridge', CLI, WEB, echo(s.header(CLI, WEB), 77));
    s.frame('UDP to a closed port of a neighbour', CLI, WEB, udp(s.header(CLI, WEB), 4000, 9));
    s.frame(
      'TCP SYN to a closed port of a neighbour',
      CLI,
      WEB,
      tcp(s.header(CLI, WEB), { sport: 4001, dport: 9, flags: 'S', seq: 100 }),
    );
    s.frame('TTL 1 is enough on a bridge', CLI, WEB, udp(s.header(CLI, WEB, { ttl: 1 }), 4002, 9));
    s.frame('TTL 0', CLI, WEB, udp(s.header(CLI, WEB, { ttl: 0 }), 4003, 9));
    s.frame('echo to the bridge itself', CLI, DOCKER0, echo(s.header(CLI, DOCKER0), 78));
    s.frame('UDP to a closed port of the node', CLI, DOCKER0, udp(s.header(CLI, DOCKER0), 4004, 9));
    s.frame('a short datagram padded to 60 bytes', CLI, WEB, padded(udp(s.header(CLI, WEB), 4005, 9, 4)));
    s.raw(
      'an ARP request padded to 60 bytes',
      CLI,
      ethernet(
        BROADCAST,
        CLI.mac,
        concat(arp('request', CLI, { address: DOCKER0.address }), new Uint8Array(18)),
        0x0806,
      ),
    );
    s.raw('a broadcast of another EtherType', CLI, ethernet(BROADCAST, CLI.mac, filling(50), 0x88b5));
    s.frame('a unicast to a MAC that nobody has', CLI, '02:42:ac:11:00:99', udp(s.header(CLI, '172.17.0.99'), 4006, 9));
    s.frame('UDP to 224.0.0.251', CLI, '01:00:5e:00:00:fb', udp(s.header(CLI, '224.0.0.251', { ttl: 1 }), 5353, 5353));
    s.frame('echo to the subnet broadcast', CLI, BROADCAST, echo(s.header(CLI, '172.17.255.255'), 79));
    s.frame('UDP to the limited broadcast', CLI, BROADCAST, udp(s.header(CLI, '255.255.255.255'), 68, 67));
    s.frame(
      'IP options: NOP NOP NOP EOL',
      CLI,
      WEB,
      echo(s.header(CLI, WEB, { options: Uint8Array.of(1, 1, 1, 0) }), 80),
    );
    s.frame('a wrong header checksum', CLI, WEB, spoilt(udp(s.header(CLI, WEB), 4007, 9), 10));
    s.frame('a wrong UDP checksum', CLI, WEB, spoilt(udp(s.header(CLI, WEB), 4008, 9), 26));
    s.frame('a UDP checksum of zero', CLI, WEB, udp(s.header(CLI, WEB), 4009, 9, 20, false));
    s.frame('IP version 5', CLI, WEB, changed(udp(s.header(CLI, WEB), 4010, 9), 0, 0x55));
    s.frame('a total length beyond the frame', CLI, WEB, changed(udp(s.header(CLI, WEB), 4011, 9), 3, 200));
    s.frame('protocol 253', CLI, WEB, ip(s.header(CLI, WEB), 253, filling(30)));
    for (const [index, piece] of fragments(
      udp(s.header(CLI, WEB, { df: false }), 4012, 9, 3000),
      [1480, 1480],
    ).entries())
      s.frame(`fragment ${index + 1} of a datagram, over the bridge`, CLI, WEB, piece);
    for (const [index, piece] of fragments(echo(s.header(CLI, WEB, { df: false }), 81, 2000), [800, 800]).entries())
      s.frame(`fragment ${index + 1} of an echo request`, CLI, WEB, piece);
    s.packet('echo from the node to a container, by a socket', 'node1/host', echo(s.header(DOCKER0, THIRD), 82));
    s.packet('UDP from a container to the node, by a socket', 'node1/ct-third', udp(s.header(THIRD, DOCKER0), 4013, 9));
    s.frame('an echo reply that nobody asked for', CLI, WEB, icmp(s.header(CLI, WEB), { type: 0, rest: [90, 1] }));
    s.frame(
      'TCP ACK out of nowhere',
      CLI,
      WEB,
      tcp(s.header(CLI, WEB), { sport: 4014, dport: 9, flags: 'A', seq: 5, ack: 6 }),
    );
    s.frame(
      'from a MAC that has moved to another port',
      { ...THIRD, mac: CLI.mac },
      WEB,
      udp(s.header(CLI, WEB), 4015, 9),
    );
    s.packet('the node learns who WEB is', 'node1/host', echo(s.header(DOCKER0, WEB), 83));
    s.frame('DNAT to another neighbour on the same bridge', CLI, THIRD, udp(s.header(CLI, THIRD), 4016, 7777));
    s.frame('the same flow again', CLI, THIRD, udp(s.header(CLI, THIRD), 4016, 7777));
    return s.list;
  },
};

/** What Ethernet needs: 46 bytes. */
function padded(packet: Uint8Array): Uint8Array {
  return concat(packet, new Uint8Array(Math.max(0, 46 - packet.length)));
}
function spoilt(packet: Uint8Array, at: number): Uint8Array {
  return changed(packet, at, (packet[at] ?? 0) ^ 0x55);
}
function changed(packet: Uint8Array, at: number, value: number): Uint8Array {
  packet[at] = value;
  return packet;
}
