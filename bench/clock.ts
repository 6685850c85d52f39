/** The processor's clock, as Linux shows it. */

import { readFileSync } from 'node:fs';

/** The fastest core's, in GHz; undefined where the system does not say. */
export function gigahertz(text = cpuinfo()): number | undefined {
  const found = [...text.matchAll(/^cpu MHz\s*:\s*([\d.]+)$/gm)].map(([, megahertz]) => Number(megahertz) / 1000);
  return found.length > 0 ? Math.max(...found) : undefined;
}

function cpuinfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return '';
  }
}
