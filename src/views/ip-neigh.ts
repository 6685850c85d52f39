/** `ip neigh` of one namespace (iproute2 6.1). */

import type { Namespace } from '../engine/index.js';
import { neighboursOf } from '../engine/neighbours.js';

export function ipNeigh(namespace: Namespace): string {
  return neighboursOf(namespace)
    .filter(({ state }) => state !== 'NONE')
    .map(
      ({ address, device, mac, state, router }) =>
        `${address} dev ${device.name} ${mac ? `lladdr ${mac} ` : ''}${router ? 'router ' : ''}${state} \n`,
    )
    .join('');
}
