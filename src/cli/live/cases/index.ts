/** Every case, in the order of the table. */

import type { Case } from '../case.js';
import { bridge } from './bridge.js';
import { plainFragments, trackedFragments } from './fragments.js';
import { icmp } from './icmp.js';
import { nat } from './nat.js';
import { overlay } from './overlay.js';
import { swarmHostMode, swarmMesh } from './swarm.js';

export const CASES: readonly Case[] = [
  bridge,
  nat,
  icmp,
  plainFragments,
  trackedFragments,
  overlay,
  swarmHostMode,
  swarmMesh,
];
