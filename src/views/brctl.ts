/** `brctl show` and `brctl showmacs` of one namespace (bridge-utils 1.7). */

import { forwardingOf } from '../engine/fdb.js';
import type { Device, Namespace } from '../engine/index.js';
import { linkOf } from '../engine/links.js';

/** Ports stand in the order of their names, as a directory is read (sysfs brif). */
export function brctlShow(bridges: readonly Device[]): string {
  const lines = ['bridge name\tbridge id\t\tSTP enabled\tinterfaces'];
  for (const { name, mac, ports } of bridges) {
    const [first = '', ...rest] = ports.map((port) => port.name).sort();
    lines.push(
      `${name}\t\t8000.${mac.replaceAll(':', '')}\tno\t\t${first}`,
      ...rest.map((port) => `\t\t\t\t\t\t\t${port}`),
    );
  }
  return lines.map((line) => `${line}\n`).join('');
}

/** By MAC. A bridge's own is not behind a port, and not shown. */
export function brctlShowmacs(namespace: Namespace, bridge: Device): string {
  const { now } = namespace.engine;
  const rows = forwardingOf(namespace)
    .filter(({ owner }) => owner === bridge)
    .flatMap(({ mac, device, permanent, updated }) => {
      if (device === bridge) return [];
      return [{ port: linkOf(device).portNumber, mac, permanent, age: permanent ? 0 : (now - updated) / 1e9 }];
    })
    .sort((a, b) => (a.mac < b.mac ? -1 : 1));
  const lines = rows.map(
    ({ port, mac, permanent, age }) =>
      `${`${port}`.padStart(3)}\t${mac}\t${permanent ? 'yes' : 'no'}\t\t${age.toFixed(2).padStart(7)}`,
  );
  return ['port no\tmac addr\t\tis local?\tageing timer', ...lines].map((line) => `${line}\n`).join('');
}
