/**
 * Where a thread begins: it loads what scripts/bundle-worker.mjs has made of worker.ts, one file and what V8 has compiled of it. V8
 * compares that with its own version and flags; where it would have made something else it compiles the file.
 */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const filename = path('./bundled-worker.cjs');

function compiled(): Buffer | undefined {
  try {
    return readFileSync(path('./bundled-worker.compiled'));
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
