/** `ip route` and `ip route show table local` of one namespace (iproute2 6.1). */

import type { Namespace } from '../engine/index.js';
import { linkOf } from '../engine/links.js';
import { type Route, routesOf } from '../engine/route-table.js';

export function ipRoute(namespace: Namespace, table: Route['table'] = 'main'): string {
  return routesOf(namespace, table)
    .map((route) => `${routeText(route)}\n`)
    .join('');
}

function routeText({ type, address, length, device, gateway, source, metric }: Route): string {
  const words: string[] = [];
  if (type !== 'unicast') words.push(type);
  words.push(length === 0 ? 'default' : length === 32 ? address : `${address}/${length}`);
  if (gateway) words.push('via', gateway);
  if (device) words.push('dev', device.name);
  // Those that come with an address are the kernel's own, and they alone name a source.
  if (source) words.push('proto kernel');
  if (type === 'local') words.push('scope host');
  else if (!gateway) words.push('scope link');
  if (source) words.push('src', source);
  if (metric) words.push('metric', `${metric}`);
  // The kernel takes a local address of its own for alive whatever the wire says.
  if (device && type !== 'local' && !linkOf(device).carrier) words.push('linkdown');
  return `${words.join(' ')} `;
}
