/** Containers on the LAN: macvlans on a node's NIC, a host outside that asks them, and their own node, which cannot reach them. */

import type { Namespace } from '../../../engine/index.js';
import type { Case } from '../case.js';
import type { Lab } from '../lab.js';
import { BROADCAST, echo, udp } from '../packets.js';
import { CLIENT, NODE1, type Place, Stimuli } from './places.js';

const place = (at: string, mac: string, address: string): Place => ({ at, mac, address });
const MAC1 = place('node1/ct-m1/eth0', '02:00:00:00:51:01', '192.168.50.101');
const MAC2 = place('node1/ct-m2/eth0', '02:00:00:00:51:02', '192.168.50.102');
/** Nobody has it. */
const STRANGER = '02:00:00:00:51:99';

const sandbox = (lab: Lab, { at }: Place): Namespace => lab.namespace(at.split('/').slice(0, 2).join('/'));

export const macvlan: Case = {
  name: 'macvlan',
  needs: ['bridge', 'macvlan'],
  build(lab) {
    for (const one of [CLIENT, NODE1]) lab.nic(sandbox(lab, one), 'eth0', one.mac, `${one.address}/24`);
    const lower = lab.device(NODE1.at);
    for (const one of [MAC1, MAC2]) {
      const namespace = sandbox(lab, one);
      namespace.addAddress(namespace.addMacvlan('eth0', { lower, mac: one.mac, mtu: 1500 }), `${one.address}/24`);
    }
    return lab;
  },
  stimuli() {
    const s = new Stimuli();
    s.ask('the client asks for a macvlan', CLIENT, MAC1.address);
    s.frame('echo to a macvlan', CLIENT, MAC1, echo(s.header(CLIENT, MAC1), 1));
    s.frame('UDP to a closed port of a macvlan', CLIENT, MAC1, udp(s.header(CLIENT, MAC1), 4000, 9));
    s.ask('a macvlan asks for its neighbour', MAC1, MAC2.address);
    s.frame('echo from one macvlan to another', MAC1, MAC2, echo(s.header(MAC1, MAC2), 2));
    s.ask('a macvlan asks for its own node', MAC1, NODE1.address);
    s.frame('a macvlan to the MAC of its own node', MAC1, NODE1, echo(s.header(MAC1, NODE1), 3));
    s.packet('the node to its macvlan, by a socket', 'node1/host', echo(s.header(NODE1, MAC1), 4));
    s.frame('a broadcast from a macvlan', MAC1, BROADCAST, udp(s.header(MAC1, '192.168.50.255'), 4001, 9));
    s.frame('a broadcast from outside', CLIENT, BROADCAST, udp(s.header(CLIENT, '192.168.50.255'), 4002, 9));
    s.frame('a MAC that nobody has', CLIENT, STRANGER, echo(s.header(CLIENT, MAC1), 5));
    s.frame('from a macvlan to a MAC that nobody has', MAC1, STRANGER, echo(s.header(MAC1, MAC2), 6));
    s.packet('a macvlan by a socket to the client', 'node1/ct-m2', echo(s.header(MAC2, CLIENT), 7));
    return s.list;
  },
};
