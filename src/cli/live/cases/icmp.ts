/** What the IP layer says about packets that it cannot carry, without netfilter. */

import type { Case } from '../case.js';
import { BROADCAST, echo, filling, ip, icmp as message, tcp, udp } from '../packets.js';
import { CLIENT, NODE1, Stimuli } from './places.js';
import { FAR, NEAR, routed } from './router.js';

export const icmp: Case = {
  name: 'icmp-errors',
  needs: ['bridge'],
  build: (lab) => routed(lab),
  stimuli() {
    const s = new Stimuli();
    s.frame('echo through the router', CLIENT, NODE1, echo(s.header(CLIENT, FAR), 10));
    s.frame('UDP to a closed port behind the router', CLIENT, NODE1, udp(s.header(CLIENT, FAR), 4000, 9));
    s.frame(
      'a long datagram to a closed port: the quote is cut',
      CLIENT,
      NODE1,
      udp(s.header(CLIENT, FAR), 4001, 9, 900),
    );
    s.frame(
      'TCP SYN to a closed port',
      CLIENT,
      NODE1,
      tcp(s.header(CLIENT, FAR), { sport: 4002, dport: 9, flags: 'S', seq: 4294967295 }),
    );
    s.frame(
      'TCP ACK to a closed port',
      CLIENT,
      NODE1,
      tcp(s.header(CLIENT, FAR), { sport: 4003, dport: 9, flags: 'A', seq: 5, ack: 77 }),
    );
    s.frame(
      'TCP FIN with data to a closed port',
      CLIENT,
      NODE1,
      tcp(s.header(CLIENT, FAR), { sport: 4004, dport: 9, flags: 'F', seq: 5, data: 'abc' }),
    );
    s.frame(
      'TCP RST to a closed port',
      CLIENT,
      NODE1,
      tcp(s.header(CLIENT, FAR), { sport: 4005, dport: 9, flags: 'R', seq: 5 }),
    );
    s.frame('TTL 1', CLIENT, NODE1, udp(s.header(CLIENT, FAR, { ttl: 1 }), 4006, 9));
    s.frame('TTL 1 with a TOS', CLIENT, NODE1, echo(s.header(CLIENT, FAR, { ttl: 1, tos: 0xb8 }), 11));
    s.frame('TTL 0', CLIENT, NODE1, udp(s.header(CLIENT, FAR, { ttl: 0 }), 4007, 9));
    s.frame('TTL 2 arrives with 1', CLIENT, NODE1, udp(s.header(CLIENT, FAR, { ttl: 2 }), 4008, 9));
    s.frame('DF and too big for the link', CLIENT, NODE1, udp(s.header(CLIENT, FAR), 4009, 9, 1400));
    s.frame('TTL 1, DF and too big', CLIENT, NODE1, udp(s.header(CLIENT, FAR, { ttl: 1 }), 4010, 9, 1400));
    s.frame('exactly as big as the link', CLIENT, NODE1, echo(s.header(CLIENT, FAR), 12, 972));
    s.frame('one byte more, DF', CLIENT, NODE1, echo(s.header(CLIENT, FAR), 13, 973));
    s.frame('no route', CLIENT, NODE1, udp(s.header(CLIENT, '203.0.113.5'), 4011, 9));
    s.frame('a protocol that nobody speaks', CLIENT, NODE1, ip(s.header(CLIENT, FAR), 253, filling(40)));
    s.frame('a protocol that the router does not speak', CLIENT, NODE1, ip(s.header(CLIENT, NODE1), 253, filling(40)));
    s.frame('echo with a TOS', CLIENT, NODE1, echo(s.header(CLIENT, FAR, { tos: 0x28 }), 14));
    s.frame('UDP with an ECN mark to a closed port', CLIENT, NODE1, udp(s.header(CLIENT, FAR, { tos: 0x03 }), 4012, 9));
    s.frame('an echo with a wrong checksum', CLIENT, NODE1, spoilt(echo(s.header(CLIENT, NODE1), 15), 22));
    s.frame('an empty echo', CLIENT, NODE1, echo(s.header(CLIENT, NODE1), 16, 0));
    s.frame(
      'an error about an error: none',
      CLIENT,
      NODE1,
      message(s.header(CLIENT, FAR, { ttl: 1 }), {
        type: 3,
        code: 3,
        data: udp({ from: FAR.address, to: CLIENT.address, id: 0x4ffd }, 1, 2),
      }),
    );
    s.frame('an ICMP type that does not exist', CLIENT, NODE1, message(s.header(CLIENT, NODE1), { type: 99 }));
    s.frame(
      'an ICMP type that does not exist, TTL 1',
      CLIENT,
      NODE1,
      message(s.header(CLIENT, FAR, { ttl: 1 }), { type: 99 }),
    );
    s.frame(
      'UDP to a closed port of the router, on its far address',
      CLIENT,
      NODE1,
      udp(s.header(CLIENT, NEAR), 4013, 9),
    );
    s.frame('UDP to the broadcast of the subnet', CLIENT, BROADCAST, udp(s.header(CLIENT, '192.168.50.255'), 4014, 9));
    s.frame('a unicast address in a broadcast frame', CLIENT, BROADCAST, udp(s.header(CLIENT, FAR), 4015, 9));
    s.frame('a unicast to the router in a broadcast frame', CLIENT, BROADCAST, udp(s.header(CLIENT, NODE1), 4030, 9));
    s.frame('directed broadcast of the far network', CLIENT, NODE1, udp(s.header(CLIENT, '10.60.0.255'), 4016, 9));
    s.frame('multicast through the router', CLIENT, '01:00:5e:01:01:01', udp(s.header(CLIENT, '239.1.1.1'), 4017, 9));
    s.frame('the source is a multicast address', CLIENT, NODE1, udp(s.header({ address: '224.0.0.5' }, FAR), 4018, 9));
    s.frame('the source is 0.0.0.0', CLIENT, NODE1, udp(s.header({ address: '0.0.0.0' }, NODE1), 4019, 9));
    s.frame('the destination is 127.0.0.1', CLIENT, NODE1, udp(s.header(CLIENT, '127.0.0.1'), 4020, 9));
    s.frame('the destination is 240.0.0.1', CLIENT, NODE1, udp(s.header(CLIENT, '240.0.0.1'), 4021, 9));
    s.frame('the destination is 0.0.0.0', CLIENT, NODE1, udp(s.header(CLIENT, '0.0.0.0'), 4022, 9));
    s.frame('a source that is the router itself', CLIENT, NODE1, udp(s.header(NODE1, FAR), 4023, 9));
    s.frame('to an address that nobody has', CLIENT, NODE1, udp(s.header(CLIENT, '10.60.0.77'), 4025, 9), {
      wait: 3300,
    });
    s.packet('a socket to an address that nobody has', 'client/host', udp(s.header(CLIENT, '192.168.50.78'), 4026, 9), {
      wait: 3300,
    });
    return s.list;
  },
};

function spoilt(packet: Uint8Array, at: number): Uint8Array {
  packet[at] = (packet[at] ?? 0) ^ 0x55;
  return packet;
}
