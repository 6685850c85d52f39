/** IPv4 options (RFC 791, 3.1; net/ipv4/ip_options.c): what routers write into them, what replies and errors give back. */

import type { Case } from '../case.js';
import { echo, udp } from '../packets.js';
import { CLIENT, NODE1, Stimuli } from './places.js';
import { FAR, routed } from './router.js';

/** Option 7, length 11, room for two addresses. */
const RECORD_ROUTE = Uint8Array.of(7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0);

export const options: Case = {
  name: 'ip-options',
  needs: ['bridge'],
  build: (lab) => routed(lab),
  stimuli() {
    const s = new Stimuli();
    const header = (bytes: readonly number[] | Uint8Array, to: { address: string } = FAR, more = {}) =>
      s.header(CLIENT, to, { options: Uint8Array.from(bytes), ...more });
    s.frame('nothing but padding', CLIENT, NODE1, echo(header([1, 1, 1, 0]), 40));
    s.frame('router alert', CLIENT, NODE1, echo(header([0x94, 4, 0, 0]), 41));
    s.frame('an option that nobody knows, to a closed port', CLIENT, NODE1, udp(header([0x5e, 4, 1, 2]), 4041, 9));
    s.frame('record route', CLIENT, NODE1, echo(header(RECORD_ROUTE), 42));
    s.frame('record route, to a closed port', CLIENT, NODE1, udp(header(RECORD_ROUTE), 4042, 9));
    s.frame('record route, TTL 1', CLIENT, NODE1, udp(header(RECORD_ROUTE, FAR, { ttl: 1 }), 4043, 9));
    s.frame('record route that is full', CLIENT, NODE1, echo(header([7, 7, 8, 10, 0, 0, 1, 0]), 43));
    s.frame('a length beyond the header', CLIENT, NODE1, echo(header([7, 20, 4, 0]), 44));
    s.frame('loose source route: refused', CLIENT, NODE1, echo(header([131, 7, 4, 10, 60, 0, 2, 0], NODE1), 45));
    return s.list;
  },
};
