/**
 * Where a thread begins: it loads what scripts/bundle-worker.mjs has made of worker.ts, one file and what V8 has compiled of it. That
 * is for the very Node that made it: V8 compares its version and flags, not what Node has patched nor the machine, and would crash.
 * Everybody else compiles the file. `import.meta.url` does not stand for a file of its own in there.
 */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const filename = path('./bundled-worker.cjs');

/** What V8 has compiled for this Node, and for no other. */
export const COMPILED = `bundled-worker.${process.version}-${process.platform}-${process.arch}.compiled`;

function compiled(): Buffer | undefined {
  try {
    return readFileSync(path(`./${COMPILED}`));
  } catch {
    return undefined;
  }
}

const cachedData = compiled();
export const script = new Script(`(function (require, exports) {${readFileSync(filename, 'utf8')}\n})`, {
  filename,
  ...(cachedData ? { cachedData } : {}),
});
script.runInThisContext()(createRequire(import.meta.url), {});
