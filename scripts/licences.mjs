// The licences of the packages that a bundle is made of.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The package's directory, of a module in node_modules. */
const packageOf = (module) => /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(module.replaceAll('\\', '/'))[0];

function licenceOf(directory) {
  const { name, version, license } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  const file = readdirSync(directory).find((entry) => /^licen[cs]e/i.test(entry));
  if (!file) throw new Error(`${name} is in the bundle, and no licence text is in ${directory}`);
  return `${name} ${version} (${license})\n\n${readFileSync(join(directory, file), 'utf8').trim()}\n`;
}

/** Of all packages that have some of `modules`. */
export function licencesOf(modules) {
  const packages = [...new Set(modules.filter((module) => module.includes('node_modules')).map(packageOf))].sort();
  return packages.map(licenceOf).join(`\n${'-'.repeat(80)}\n\n`);
}
