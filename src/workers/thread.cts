/**
 * Where a thread begins: it loads what scripts/bundle-worker.mjs has made of worker.ts, one file and what V8 has compiled of it. That
 * is for the very Node that made it: V8 compares its version and flags, not what Node has patched nor the machine, and would crash.
 * Everybody else compiles the file.
 */

import fs = require('node:fs');
import path = require('node:path');
import vm = require('node:vm');

const filename = path.join(__dirname, 'bundled-worker.cjs');

/** What V8 has compiled for this Node, and for no other. */
const COMPILED = `bundled-worker.${process.version}-${process.platform}-${process.arch}.compiled`;

function compiled(): Buffer | undefined {
  try {
    return fs.readFileSync(path.join(__dirname, COMPILED));
  } catch {
    return undefined;
  }
}

const cachedData = compiled();
// It is in ASCII, which is read fastest as Latin 1.
const script = new vm.Script(`(function (require, exports) {${fs.readFileSync(filename, 'latin1')}\n})`, {
  filename,
  ...(cachedData ? { cachedData } : {}),
});
script.runInThisContext()(require, {});

export = { COMPILED, script };
