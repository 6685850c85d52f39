/** Redirects of a router without rules. */

import type { Case } from '../case.js';
import { udp } from '../packets.js';
import { CLIENT, NODE1, Stimuli } from './places.js';
import { LATER } from './redirects.js';
import { routed } from './router.js';

export const plainRedirects: Case = {
  name: 'redirects-plain',
  needs: ['bridge'],
  build(lab) {
    routed(lab);
    // Somebody to be redirected to, known already.
    const eth0 = lab.device('node1/host/eth0');
    eth0.namespace.addNeighbour(eth0, '192.168.50.77', '02:00:00:00:50:77');
    return lab;
  },
  stimuli() {
    const s = new Stimuli();
    s.frame('back out by the way it came', CLIENT, NODE1, udp(s.header(CLIENT, '192.168.50.77'), 4024, 9), LATER);
    s.frame('again', CLIENT, NODE1, udp(s.header(CLIENT, '192.168.50.77'), 4024, 9));
    return s.list;
  },
};
