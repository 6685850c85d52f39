/** Who answers whom, and whom a neighbour table believes (net/ipv4/arp.c: arp_process). */

import type { Case } from '../case.js';
import { BROADCAST, arp as body, concat, echo, ethernet, udp } from '../packets.js';
import { CLIENT, NODE1, type Place, Stimuli } from './places.js';
import { FAR, NEAR, routed } from './router.js';

const NOBODY = '00:00:00:00:00:00';
/** Hosts that are only played, by frames that leave the client's device. */
const GUEST: Place = { at: CLIENT.at, mac: '02:00:00:00:50:03', address: '192.168.50.3' };
const IMPOSTOR: Place = { at: CLIENT.at, mac: '02:00:00:00:50:66', address: GUEST.address };

export const arp: Case = {
  name: 'arp',
  needs: ['bridge'],
  build: (lab) => routed(lab, 1500),
  stimuli() {
    const s = new Stimuli();
    const send = (
      what: string,
      operation: 'request' | 'reply',
      from: Place,
      target: { mac?: string; address: string },
      more: { to?: string; sender?: string; senderMac?: string; wait?: number } = {},
    ) =>
      s.raw(
        what,
        from,
        ethernet(
          more.to ?? BROADCAST,
          from.mac,
          body(operation, { mac: more.senderMac ?? from.mac, address: more.sender ?? from.address }, target),
          0x0806,
        ),
        more.wait === undefined ? {} : { wait: more.wait },
      );
    /** Whose MAC does the router have for that address? */
    const tell = (what: string, from: Place) =>
      s.frame(`${what}: where its answer goes`, from, NODE1, udp(s.header(from, NODE1), 4000, 9));
    send('a request', 'request', GUEST, NODE1);
    tell('after a request', GUEST);
    send('a unicast request', 'request', GUEST, { address: NODE1.address }, { to: NODE1.mac });
    send('for an address of another device of the router', 'request', GUEST, NEAR);
    send('for a host behind the router: no proxy', 'request', GUEST, FAR);
    send('for 127.0.0.1', 'request', GUEST, { address: '127.0.0.1' });
    send('for the broadcast address', 'request', GUEST, { address: '192.168.50.255' });
    send('for a multicast address', 'request', GUEST, { address: '224.0.0.1' });
    send('a probe: the sender is 0.0.0.0', 'request', GUEST, NODE1, { sender: '0.0.0.0' });
    send('a sender on another subnet', 'request', { ...GUEST, address: '10.99.0.1' }, NODE1);
    send('a sender that claims the router’s address', 'request', GUEST, NODE1, { sender: NODE1.address });
    send('an announcement of the router’s address by another', 'request', IMPOSTOR, NODE1, { sender: NODE1.address });
    send('sender MAC and frame’s MAC differ', 'request', { ...GUEST, address: '192.168.50.4' }, NODE1, {
      senderMac: '02:00:00:00:50:44',
    });
    tell('after it', { ...GUEST, address: '192.168.50.4' });
    send('a request by an impostor, at once', 'request', IMPOSTOR, NODE1);
    tell('after an impostor’s request within a second', GUEST);
    send('a request by the guest again', 'request', GUEST, NODE1);
    send('a reply by an impostor, at once', 'reply', IMPOSTOR, NODE1, { to: NODE1.mac });
    tell('after an impostor’s reply within a second', GUEST);
    s.frame('a pause', GUEST, NODE1, echo(s.header(GUEST, NODE1), 1), { wait: 1300 });
    send('a request by an impostor, after a second', 'request', IMPOSTOR, NODE1);
    tell('after an impostor’s request, later', GUEST);
    s.frame('a pause', GUEST, NODE1, echo(s.header(GUEST, NODE1), 2), { wait: 1300 });
    send('an announcement (gratuitous request)', 'request', GUEST, { address: GUEST.address });
    tell('after an announcement', GUEST);
    s.frame('a pause', GUEST, NODE1, echo(s.header(GUEST, NODE1), 3), { wait: 1300 });
    send('a gratuitous reply, broadcast', 'reply', IMPOSTOR, { mac: BROADCAST, address: GUEST.address });
    tell('after a gratuitous reply', GUEST);
    const stranger = { ...GUEST, mac: '02:00:00:00:50:05', address: '192.168.50.5' };
    send('a reply of a stranger that nobody asked', 'reply', stranger, NODE1, { to: NODE1.mac });
    s.frame('to that stranger, who does not answer', CLIENT, NODE1, udp(s.header(FAR, stranger), 4001, 9));
    const request = body('request', GUEST, NODE1);
    s.raw(
      'a hardware type that is not Ethernet',
      GUEST,
      ethernet(BROADCAST, GUEST.mac, changed(request, 1, 7), 0x0806),
    );
    s.raw('an operation that is neither', GUEST, ethernet(BROADCAST, GUEST.mac, changed(request, 7, 3), 0x0806));
    s.raw('cut short', GUEST, ethernet(BROADCAST, GUEST.mac, request.subarray(0, 20), 0x0806));
    s.raw('padded', GUEST, ethernet(BROADCAST, GUEST.mac, concat(request, new Uint8Array(18)), 0x0806));
    s.raw('for the router, in a frame for another', GUEST, ethernet('02:00:00:00:50:99', GUEST.mac, request, 0x0806));
    s.raw(
      'from a sender without a MAC',
      GUEST,
      ethernet(BROADCAST, GUEST.mac, body('request', { ...GUEST, mac: NOBODY }, NODE1), 0x0806),
    );
    return s.list;
  },
};

function changed(packet: Uint8Array, at: number, value: number): Uint8Array {
  const copy = packet.slice();
  copy[at] = value;
  return copy;
}
