// Puts the modules of a worker thread into one file, which a thread loads in a quarter of the time (src/workers/share.ts), and
// the licences of the packages that are in it beside it:
//   node scripts/bundle-worker.mjs DIRECTORY    the directory that src/ was compiled to
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';
import { build } from 'rolldown';

const workers = join(argv[2], 'workers');
const bundle = join(workers, 'bundled-worker.js');
const { output } = await build({
  input: join(workers, 'worker.js'),
  platform: 'node',
  logLevel: 'warn',
  output: { file: bundle, format: 'esm', minify: true },
});

/** The package's directory, of a module in node_modules. */
const packageOf = (module) => /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(module.replaceAll('\\', '/'))[0];
function licenceOf(directory) {
  const { name, version, license } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  const file = readdirSync(directory).find((entry) => /^licen[cs]e/i.test(entry));
  if (!file) throw new Error(`${name} is in the bundle, and no licence text is in ${directory}`);
  return `${name} ${version} (${license})\n\n${readFileSync(join(directory, file), 'utf8').trim()}\n`;
}
const foreign = output.flatMap((chunk) => chunk.moduleIds ?? []).filter((module) => module.includes('node_modules'));
const packages = [...new Set(foreign.map(packageOf))].sort();
writeFileSync(join(workers, 'bundled-worker.LICENSES.txt'), packages.map(licenceOf).join(`\n${'-'.repeat(80)}\n\n`));
