/** ICMP redirects: a packet leaves by the device it came by, and its sender could have gone there itself (ip_rt_send_redirect). */

import { realize } from '../../../swarm/realize.js';
import type { Case } from '../case.js';
import { labOf } from '../lab.js';
import { udp } from '../packets.js';
import {
  CLI,
  CLIENT,
  container,
  DOCKER0,
  defaultBridge,
  NODE1,
  NODE2,
  node,
  Stimuli,
  topology,
  WEB,
} from './places.js';

/** Redirects to one host are further and further apart: 20 ms, 40 ms, 80 ms … */
export const LATER = { wait: 250 };

export const redirects: Case = {
  name: 'redirects',
  needs: ['bridge', 'iptables', 'br_netfilter'],
  build: ({ engine }) =>
    labOf(
      realize(
        engine,
        topology({
          nodes: [node(NODE1, 'node1'), node(NODE2, 'node2')],
          networks: [defaultBridge()],
          sandboxes: [container(WEB, 1), container(CLI, 2)],
        }),
        { latency: 1 },
      ),
    ),
  stimuli() {
    const s = new Stimuli();
    const neighbour = 'a container to its neighbour by way of docker0';
    s.frame(
      `${neighbour}: NAT is not finished, so the redirect is dropped`,
      CLI,
      DOCKER0,
      udp(s.header(CLI, WEB), 6000, 9),
      LATER,
    );
    s.frame(`${neighbour}, a little later: redirected`, CLI, DOCKER0, udp(s.header(CLI, WEB), 6000, 9), LATER);
    s.frame(
      'the client to a node by way of another: FORWARD drops it',
      CLIENT,
      NODE1,
      udp(s.header(CLIENT, NODE2), 6001, 9),
    );
    return s.list;
  },
};
