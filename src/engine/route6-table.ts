/** IPv6 routes as the engine's table has them, by prefix and metric. */

import type { Device } from './device.js';
import { Route6 as Layout, Route6Type } from './generated/layout.js';
import { deviceAt } from './links.js';
import type { Namespace } from './namespace.js';
import { addressOf, groupsOf } from './wire6.js';

const LOCAL_TABLE = 255;
const TYPES = new Map(Object.entries(Route6Type).map(([name, value]) => [value as number, name.toLowerCase()]));

export interface Route6 {
  table: 'local' | 'main';
  /** `unicast`, `local`, `anycast`, `multicast`, `unreachable` */
  type: string;
  address: string;
  length: number;
  device: Device | undefined;
  gateway: string | undefined;
  metric: number;
}

export function routes6Of(namespace: Namespace, table: Route6['table']): Route6[] {
  const { memory } = namespace.engine;
  const found = namespace.ipv6.routes.flatMap(({ at }, order) => {
    if ((memory.get(at, Layout.table) === LOCAL_TABLE) !== (table === 'local')) return [];
    const gateway = memory.get(at, Layout.gateway);
    const address = addressOf(memory, memory.halves(at, Layout.keyA).low);
    const route: Route6 = {
      table,
      type: TYPES.get(memory.get(at, Layout.type)) ?? '',
      address,
      length: memory.get(at, Layout.length),
      device: deviceAt(namespace, memory.get(at, Layout.device)),
      gateway: gateway ? addressOf(memory, gateway) : undefined,
      metric: memory.get(at, Layout.metric),
    };
    const key = groupsOf(address).map((group) => group.toString(16).padStart(4, '0'));
    return [{ key: key.join(''), order, route }];
  });
  // The default route stands last, as the kernel's walk meets it.
  const last = (route: Route6) => Number(route.length === 0);
  found.sort(
    (a, b) =>
      last(a.route) - last(b.route) ||
      (a.key < b.key ? -1 : a.key > b.key ? 1 : 0) ||
      b.route.length - a.route.length ||
      a.route.metric - b.route.metric ||
      a.order - b.order,
  );
  return found.map(({ route }) => route);
}
