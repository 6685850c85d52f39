/** `sysctls` of a container's own namespace: those that the engine knows are set, the others named. */
import { isNetSysctl } from '../topology/sysctls.js';
import type { ComposeService } from './compose-file.js';
import type { Findings } from './findings.js';
import { below } from './places.js';

export function readSysctls(
  owner: string,
  written: ComposeService['sysctls'],
  pointer: string,
  findings: Findings,
): { sysctls?: Record<string, string> } {
  const pairs: [string, string, string][] = Array.isArray(written)
    ? written.map((text, i): [string, string, string] => {
        const [name = '', ...rest] = String(text).split('=');
        return [name, rest.join('='), below(pointer, i)];
      })
    : Object.entries(written ?? {}).map(([name, value]) => [name, String(value ?? ''), below(pointer, name)]);
  const kept = pairs.filter(([name, value, at]) => {
    const where = findings.places.key(at);
    if (!name.startsWith('net.')) findings.ignore(`sysctls.${name}`, where, 'it has no bearing on networks', owner);
    else if (!isNetSysctl(name))
      findings.unsupport(`sysctls.${name}`, where, "the engine does not know it; Linux's own value holds", owner);
    else if (!/^[01]$/.test(value)) findings.refuse(where, `${name} is 0 or 1, not "${value}"`);
    else return true;
    return false;
  });
  return kept.length > 0 ? { sysctls: Object.fromEntries(kept.map(([name, value]) => [name, value])) } : {};
}
