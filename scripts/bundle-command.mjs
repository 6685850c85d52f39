// Puts the modules of the command into a few files, dist/bundled/, so that it starts in a fraction of the time (src/cli/main.ts), and
// the licences of the packages that are in them beside these.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';
import { licencesOf } from './licences.mjs';

const dist = fileURLToPath(new URL('../dist/', import.meta.url));
const bundled = join(dist, 'bundled');

rmSync(bundled, { recursive: true, force: true });
const { output } = await build({
  input: join(dist, 'cli/swarmwire.js'),
  platform: 'node',
  logLevel: 'warn',
  // What is one large file anyway, and what finds others by where it is.
  external: [/[\\/]generated[\\/](module|validators)\.js$/, /^elkjs/, /[\\/]workers[\\/]crew\.js$/],
  output: { dir: bundled, format: 'esm', comments: false },
});
writeFileSync(join(bundled, 'LICENSES.txt'), licencesOf(output.flatMap((chunk) => chunk.moduleIds ?? [])));
