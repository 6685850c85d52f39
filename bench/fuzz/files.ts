/** Files of the repository, wherever the fuzzer runs from: as TypeScript under vitest, or compiled under build/. */

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function rootFrom(folder: string): string {
  if (existsSync(join(folder, 'asconfig.json'))) return folder;
  const above = dirname(folder);
  if (above === folder) throw new Error('the repository is not here');
  return rootFrom(above);
}
const ROOT = rootFrom(dirname(fileURLToPath(import.meta.url)));

/** Reads files of a folder, named from the repository's root. */
export function readIn(folder: string): (name: string) => Uint8Array | undefined {
  return (name) => {
    const path = join(ROOT, folder, name);
    return existsSync(path) ? readFileSync(path) : undefined;
  };
}

/** The checked build: asserts on, and a guard zone round every slot. */
export function checkedModule(): Promise<WebAssembly.Module> {
  const bytes = readIn('build')('testing.wasm');
  if (!bytes) throw new Error('there is no build/testing.wasm: run `npm run build:engine` first');
  return WebAssembly.compile(bytes as BufferSource);
}
