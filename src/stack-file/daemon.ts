/**
 * A node's daemon.json, written under `x-swarmwire: nodes` as the file itself would have it. What dockerd would refuse to start
 * with is refused here, in its words, at the place of the mistake.
 */
import { type DaemonConfig, problemsOf } from '../topology/daemon.js';
import type { Findings } from './findings.js';
import { below } from './places.js';

export function readDaemon(config: Record<string, unknown>, pointer: string, findings: Findings): DaemonConfig {
  for (const { path, message } of problemsOf(config, findings.engine)) {
    const at = path.reduce<string>((place, part) => below(place, part), pointer);
    const { places } = findings;
    const unknown = path.length === 1 && message.startsWith('the following directives');
    findings.refuse(unknown ? places.key(at) : places.value(at), `unable to configure the Docker daemon: ${message}`);
  }
  return config as DaemonConfig;
}
