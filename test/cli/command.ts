/** The command as a shell runs it: `dist/cli/main.js` in a process of its own. `npm run build` makes it. */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
export const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));
export const ORACLE = fileURLToPath(new URL('../oracle/', import.meta.url));

export interface Ended {
  code: number | null;
  out: string;
  err: string;
}

/** `swarmwire ARGS...` in the directory `cwd`. */
export function swarmwire(
  args: readonly string[],
  { cwd, env = {} }: { cwd?: string; env?: Record<string, string> } = {},
): Ended {
  if (!existsSync(MAIN)) throw new Error(`there is no ${MAIN}: run \`npm run build\` first`);
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...process.env, FORCE_COLOR: '1', ...env },
  });
  return { code: status, out: stdout, err: stderr };
}
