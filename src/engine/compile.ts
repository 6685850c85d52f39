/** The engine's module: whoever only hands it to threads need not load what calls it. */

import { engineWasm } from './generated/module.js';

let compiled: Promise<WebAssembly.Module> | undefined;
/** Once for all engines of a thread; others may be given it, and what was compiled of it. */
export function compile(): Promise<WebAssembly.Module> {
  compiled ??= WebAssembly.compile(Uint8Array.from(atob(engineWasm), (c) => c.charCodeAt(0)));
  return compiled;
}
