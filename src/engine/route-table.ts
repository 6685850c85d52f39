/** Routes as the engine's table has them, in the order in which the kernel walks its trie: by prefix, longest first. */

import type { Device } from './device.js';
import { Route as Layout, RouteType } from './generated/layout.js';
import { deviceAt } from './links.js';
import type { Namespace } from './namespace.js';
import { ipv4Text, swap32 } from './wire.js';

const LOCAL_TABLE = 255;
const TYPES = new Map(Object.entries(RouteType).map(([name, value]) => [value as number, name.toLowerCase()]));

export interface Route {
  table: 'local' | 'main';
  /** `unicast`, `local`, `broadcast`, `unreachable` */
  type: string;
  address: string;
  length: number;
  device: Device | undefined;
  gateway: string | undefined;
  /** Preferred source. */
  source: string | undefined;
  metric: number;
}

export function routesOf(namespace: Namespace, table: Route['table']): Route[] {
  const { memory } = namespace.engine;
  const found = namespace.routes.flatMap(({ at }) => {
    if ((memory.get(at, Layout.table) === LOCAL_TABLE) !== (table === 'local')) return [];
    const prefix = memory.halves(at, Layout.keyA).low;
    const gateway = memory.get(at, Layout.gateway);
    const source = memory.get(at, Layout.source);
    const route: Route = {
      table,
      type: TYPES.get(memory.get(at, Layout.type)) ?? '',
      address: ipv4Text(prefix),
      length: memory.get(at, Layout.length),
      device: deviceAt(namespace, memory.get(at, Layout.device)),
      gateway: gateway ? ipv4Text(gateway) : undefined,
      source: source ? ipv4Text(source) : undefined,
      metric: memory.get(at, Layout.metric),
    };
    return [{ key: swap32(prefix), route }];
  });
  found.sort((a, b) => a.key - b.key || b.route.length - a.route.length || a.route.metric - b.route.metric);
  return found.map(({ route }) => route);
}
