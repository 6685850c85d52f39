/**
 * The host and null drivers: one network of each stands on every node, `host` and `none`, and no other can be made (libnetwork
 * drivers/host/host.go, drivers/null/null.go). Nothing is programmed: a container on `host` is in the node's own namespace,
 * and one on `none` in a namespace that has nothing but lo.
 */

import type { Driver } from './driver.js';

const nothing = () => {};

function without(name: string, only: NonNullable<Driver['only']>): Driver {
  return {
    name,
    scope: 'local',
    only,
    createNetwork: nothing,
    deleteNetwork: nothing,
    join: () => ({}),
    leave: nothing,
  };
}

export const host = without('host', { network: 'host', namespace: 'node' });
export const none = without('null', { network: 'none', namespace: 'empty' });
