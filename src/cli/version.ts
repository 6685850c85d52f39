/** The package beside which the command stands. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = new URL('../../', import.meta.url);

export function version(): string {
  const { version } = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')) as { version: string };
  return version;
}

/** The recorded scenarios that come with the source. */
export function recordedScenarios(): string {
  return fileURLToPath(new URL('test/oracle', ROOT));
}
