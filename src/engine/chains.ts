/** Rule chains read back from the engine: every rule as its record says, in the order in which a packet meets them. */

import type { Device } from './device.js';
import { Chain as ChainLayout, RouteType, Rule as RuleLayout, Target } from './generated/layout.js';
import type { Field } from './memory.js';
import { deviceAt } from './links.js';
import type { Namespace } from './namespace.js';
import { type Chain, MATCH, PROTOCOLS, type RuleSpec, STATES, type State, type Table } from './rules.js';
import { ipv4Text, swap32 } from './wire.js';
