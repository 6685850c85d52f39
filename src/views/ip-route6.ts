/** `ip -6 route` and `ip -6 route show table local` of one namespace (iproute2 6.1). */

import type { Namespace } from '../engine/index.js';
import { linkOf } from '../engine/links.js';
import { type Route6, routes6Of } from '../engine/route6-table.js';

/** Metrics of the kernel's own routes (IP6_RT_PRIO_ADDRCONF, IP6_RT_PRIO_USER). */
const USER = 1024;

export function ipRoute6(namespace: Namespace, table: Route6['table'] = 'main'): string {
  return routes6Of(namespace, table)
    .map((route) => `${routeText(route)}\n`)
    .join('');
}

function routeText({ table, type, address, length, device, gateway, metric }: Route6): string {
  const words: string[] = [];
  if (type !== 'unicast') words.push(type);
  words.push(length === 0 ? 'default' : length === 128 ? address : `${address}/${length}`);
  if (gateway) words.push('via', gateway);
  if (device) words.push('dev', device.name);
  if (table === 'local') words.push('table local');
  if (metric !== USER) words.push('proto kernel');
  words.push('metric', `${metric}`);
  if (device && type !== 'local' && !linkOf(device).carrier) words.push('linkdown');
  words.push('pref medium');
  return words.join(' ');
}
