/** What a socket sends to everybody leaves by the device and not by the gateway (__mkroute_output: no fib_info for those). */

import type { Case } from '../case.js';
import { udp } from '../packets.js';
import { Stimuli } from './places.js';
import { FAR, routed } from './router.js';

export const broadcasts: Case = {
  name: 'broadcasts',
  needs: ['bridge'],
  build: (lab) => routed(lab),
  stimuli() {
    const s = new Stimuli();
    for (const [what, to] of [
      ['the limited broadcast', '255.255.255.255'],
      ['the broadcast of the subnet', '10.60.0.255'],
      ['multicast', '224.0.0.251'],
      ['multicast beyond the link', '239.1.2.3'],
    ] as const)
      s.packet(`${what}, by a socket`, 'node1/far', udp(s.header(FAR, to, { ttl: 1 }), 6025, 9));
    return s.list;
  },
};
