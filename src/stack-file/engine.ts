/** Which engine a stack is for: `engine: "28"` under `x-swarmwire`, or any of its releases. */

import { ENGINE_VERSIONS, type EngineVersion } from '../topology/daemon.js';
import type { Findings } from './findings.js';
import { SECTION, type Section } from './section.js';

const DEFAULT: EngineVersion = '20.10';

/** '28', '28.5', 'v28.5.2'; YAML reads 20.10 without quotes as 20.1. */
export function engineOf(written: string): EngineVersion | undefined {
  const text = written.replace(/^v/, '').replace(/^20\.1$/, '20.10');
  return ENGINE_VERSIONS.find((version) => text === version || text.startsWith(`${version}.`));
}

export function readEngine({ engine }: Section, findings: Findings): EngineVersion {
  if (engine === undefined) return DEFAULT;
  const found = engineOf(String(engine));
  if (!found)
    findings.refuse(
      findings.places.value(`${SECTION}/engine`),
      `there is no engine ${engine} here`,
      `write one of ${ENGINE_VERSIONS.map((version) => `"${version}"`).join(', ')}`,
    );
  return found ?? DEFAULT;
}
