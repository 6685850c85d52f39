/** What the machine is, as Linux shows it: the processor's clock, and who gets large pages of memory. */

import { readFileSync } from 'node:fs';

/** The fastest core's, in GHz; undefined where the system does not say. */
export function gigahertz(text = read('/proc/cpuinfo')): number | undefined {
  const found = [...text.matchAll(/^cpu MHz\s*:\s*([\d.]+)$/gm)].map(([, megahertz]) => Number(megahertz) / 1000);
  return found.length > 0 ? Math.max(...found) : undefined;
}

/**
 * Transparent huge pages (Linux, admin-guide/mm/transhuge): the C reference asks for them, WebAssembly cannot. So with `madvise` it
 * alone has them, with `always` both. Undefined where the system does not say.
 */
export function hugePages(text = read('/sys/kernel/mm/transparent_hugepage/enabled')): string | undefined {
  return /\[(\w+)\]/.exec(text)?.[1];
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
