/** Which rules the bridge driver programs, by engine version. The next generation is one more file and one more line. */

import type { EngineVersion } from '../topology/daemon.js';
import type { BridgeRules } from './bridge-rules.js';
import { engine20 } from './bridge-rules-20.js';
import { engine28 } from './bridge-rules-28.js';

export const RULES: Record<EngineVersion, BridgeRules> = { '20.10': engine20, '28': engine28 };
