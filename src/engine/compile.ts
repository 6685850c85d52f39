/** The engine's module: whoever only hands it to threads need not load what calls it. */

import { bytesOf } from './base64.js';
import { engineWasm } from './generated/module.js';

let compiled: Promise<WebAssembly.Module> | undefined;
/** Once for all engines of a thread; others may be given it, and what was compiled of it. */
export function compile(): Promise<WebAssembly.Module> {
  compiled ??= WebAssembly.compile(bytesOf(engineWasm));
  return compiled;
}
