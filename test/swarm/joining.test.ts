/** In which order endpoints join. */

import { expect, test } from 'vitest';
import { joiningOrder } from '../../src/swarm/joining.js';
import type { Endpoint, Network, Sandbox } from '../../src/topology/topology.js';

const sandbox = (name: string, ...ports: [string, number][]) =>
  ({ name, endpoints: ports.map(([network, port]) => ({ network, port }) as Endpoint) }) as Sandbox;

test('containers join in their order, unless the ports of a bridge say otherwise', () => {
  const networks = ['bridge', 'front'].map((name) => ({ name }) as Network);
  const order = (...sandboxes: Sandbox[]) =>
    joiningOrder(networks, sandboxes).map((one) => `${one.sandbox.name} ${one.endpoint.network}`);
  const shop = sandbox('shop', ['front', 1]);
  const auto = sandbox('auto', ['bridge', 1]);
  const both = sandbox('both', ['bridge', 2], ['front', 2]);
  expect(order(shop, auto, both)).toEqual(['shop front', 'auto bridge', 'both bridge', 'both front']);
  // A port's number is given anew when it is free: whoever came later may stand before.
  const late = sandbox('late', ['front', 1]);
  const early = sandbox('early', ['front', 2]);
  expect(order(early, auto, late)).toEqual(['auto bridge', 'late front', 'early front']);
});
