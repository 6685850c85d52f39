/** Numbers by which `ip` and `bridge` call the namespaces at the other ends of devices (link-netnsid): from 0, as they are met. */

import type { Device, Namespace } from '../engine/index.js';

/** ` link-netnsid 0`, or nothing where the other end is in the same namespace, or there is none. */
export function netnsid(namespace: Namespace, device: Device): string {
  const others: Namespace[] = [];
  for (const one of namespace.devices.values()) {
    const other = otherEnd(one);
    if (!other || other === namespace) continue;
    if (!others.includes(other)) others.push(other);
    if (one === device) return ` link-netnsid ${others.indexOf(other)}`;
  }
  return '';
}

/** A vxlan device's other end is its underlay's namespace, which is the node's own. */
function otherEnd(device: Device): Namespace | undefined {
  if (device.peer) return device.peer.namespace;
  if (device.lower) return device.lower.namespace;
  if (device.kind !== 'vxlan') return undefined;
  return device.engine.namespaces.get(device.namespace.name.replace(/\/.*/, '/host'));
}
