/** Every case, in the order of the table. */

import type { Case } from '../case.js';
import { arp } from './arp.js';
import { bridge } from './bridge.js';
import { broadcasts } from './broadcasts.js';
import { plainFragments, reassemblyTimeout, trackedFragments } from './fragments.js';
import { icmp } from './icmp.js';
import { macvlan } from './macvlan.js';
import { nat } from './nat.js';
import { nat66 } from './nat66.js';
import { options } from './options.js';
import { overlay } from './overlay.js';
import { plainRedirects } from './plain-redirects.js';
import { redirects } from './redirects.js';
import { swarmHostMode, swarmMesh } from './swarm.js';
import { tracking } from './tracking.js';

export const CASES: readonly Case[] = [
  arp,
  bridge,
  nat,
  nat66,
  tracking,
  icmp,
  broadcasts,
  plainRedirects,
  redirects,
  options,
  plainFragments,
  trackedFragments,
  reassemblyTimeout,
  macvlan,
  overlay,
  swarmHostMode,
  swarmMesh,
];
