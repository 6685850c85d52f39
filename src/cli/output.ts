/** Small files that a command writes: each under a temporary name first, so that nobody meets half a file. */

import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BadInput } from './bad-input.js';

/** All of them or none. @throws BadInput */
export function writeOutputs(files: readonly { path: string; text: string }[]): void {
  const written: [part: string, path: string][] = [];
  try {
    for (const { path, text } of files) {
      const part = join(dirname(path), `.${basename(path)}.${process.pid}.part`);
      mkdirSync(dirname(path), { recursive: true });
      written.push([part, path]);
      writeFileSync(part, text);
    }
    for (const [part, path] of written) renameSync(part, path);
  } catch (error) {
    for (const [part] of written) rmSync(part, { force: true });
    throw new BadInput(`cannot write: ${error instanceof Error ? error.message : String(error)}`);
  }
}
