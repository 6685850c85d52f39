// Puts the modules of a worker thread into one file, which a thread loads in a quarter of the time (src/workers/share.ts):
//   node scripts/bundle-worker.mjs DIRECTORY    the directory that src/ was compiled to
import { join } from 'node:path';
import { argv } from 'node:process';
import { build } from 'rolldown';

const workers = join(argv[2], 'workers');
await build({
  input: join(workers, 'worker.js'),
  platform: 'node',
  logLevel: 'warn',
  output: { file: join(workers, 'bundled-worker.js'), format: 'esm', minify: true },
});
