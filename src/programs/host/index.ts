/** Programs that a node has and a container has not: those that show and change what Docker programs. */

import type { Program } from '../process.js';
import { brctl, bridge } from './bridge.js';
import { conntrack } from './conntrack.js';
import { ethtool } from './ethtool.js';
import { ip } from './ip.js';
import { ip6tables, iptables, save } from './iptables.js';
import { restore } from './iptables-restore.js';
import { ipvsadm } from './ipvsadm.js';
import { nsenter } from './namespaces.js';
import { sysctl } from './sysctl.js';
import { SYSTEM } from './system.js';

export const HOST_PROGRAMS: Readonly<Record<string, Program>> = {
  ...SYSTEM,
  brctl,
  bridge,
  conntrack,
  ethtool,
  ip,
  iptables,
  'iptables-nft': iptables,
  'iptables-legacy': iptables,
  'iptables-save': save,
  'iptables-restore': restore,
  ip6tables,
  'ip6tables-restore': restore,
  'ip6tables-save': save,
  ipvsadm,
  nsenter,
  sysctl,
};

/** By name or path: `iptables`, `/usr/sbin/iptables`. */
export function hostProgramOf(name: string): Program | undefined {
  const base = name.replace(/^\/(?:usr\/)?(?:local\/)?s?bin\//, '');
  return Object.hasOwn(HOST_PROGRAMS, base) ? HOST_PROGRAMS[base] : undefined;
}
