/** What somebody holds may be taken out by somebody else: `iptables -F`, `ip route del`, `ipvsadm -C` beside the swarm's own hand. */

import { expect, it } from 'vitest';
import type { Namespace } from '../../src/engine/index.js';
import { routerWorld } from '../engine/world.js';

interface Held {
  /** How many the engine has. */
  alive(): number;
  /** How many JavaScript knows of. */
  known(): number;
  add(): { remove(): void };
}

const RULE = { protocol: 'udp', target: 'DROP' } as const;
const kinds: [string, (router: Namespace) => Held][] = [
  [
    'a rule',
    ({ iptables, engine: { exports } }) => ({
      alive: () => exports.liveRules(),
      known: () => iptables.chain('filter', 'FORWARD').rules.length,
      add: () => iptables.append('filter', 'FORWARD', RULE),
    }),
  ],
  [
    'a route',
    (router) => ({
      alive: () => router.engine.exports.liveRoutes(),
      known: () => router.routes.length,
      add() {
        const route = router.addRoute(`10.9.${router.routes.length}.0/24`, router.device('lo'));
        return { remove: () => router.removeRoute(route) };
      },
    }),
  ],
  [
    'a destination of IPVS',
    ({ ipvs, engine: { exports } }) => {
      const service = ipvs.add({ mark: 256 });
      return {
        alive: () => exports.liveDestinations(),
        known: () => service.destinations.length,
        add: () => service.add(`10.0.0.${service.destinations.length + 2}`),
      };
    },
  ],
  [
    'a service of IPVS',
    ({ ipvs, engine: { exports } }) => ({
      alive: () => exports.liveServices(),
      known: () => ipvs.services.length,
      add() {
        const service = ipvs.add({ mark: 300 + ipvs.services.length });
        return { remove: () => ipvs.remove(service) };
      },
    }),
  ],
];

it.each(kinds)('%s that is taken out twice is gone once, and takes no other with it', async (_, of) => {
  const { router } = await routerWorld();
  const { alive, known, add } = of(router);
  const before = { alive: alive(), known: known() };
  const [gone] = [add(), add()];
  gone?.remove();
  gone?.remove();
  expect({ alive: alive(), known: known() }).toEqual({ alive: before.alive + 1, known: before.known + 1 });
});

it("a service's destination goes with it, and once", async () => {
  const { router } = await routerWorld();
  const service = router.ipvs.add({ mark: 256 });
  const destination = service.add('10.0.0.2');
  router.ipvs.remove(service);
  destination.remove();
  expect(service.destinations).toEqual([]);
  expect(router.engine.exports.liveDestinations()).toBe(0);
});
