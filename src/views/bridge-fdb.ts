/**
 * `bridge fdb show` of one namespace (iproute2 6.1). Multicast groups that a device listens to, and the copies of a bridge's
 * own entries in VLAN 1, have nothing behind them here and are not listed.
 */

import { forwardingOf } from '../engine/fdb.js';
import type { Namespace } from '../engine/index.js';
import { netnsid } from './netnsid.js';

export function bridgeFdb(namespace: Namespace): string {
  return forwardingOf(namespace)
    .map(({ owner, mac, device, remote, permanent, own }) => {
      const head = `${mac} dev ${device.name}`;
      const tail = permanent ? 'permanent' : '';
      // A MAC that the device takes frames for beside its own: of a macvlan on it.
      if (owner === device && owner.kind !== 'vxlan' && owner.kind !== 'bridge') return `${head} self ${tail}\n`;
      if (owner.kind !== 'vxlan') return `${head} master ${owner.name} ${permanent && !own ? 'static' : tail}\n`;
      return `${head}${remote ? ` dst ${remote}` : ''}${netnsid(namespace, owner)} self ${tail}\n`;
    })
    .join('');
}
