/** The docker commands that this machine has, by what they call themselves. */

import { spawnSync } from 'node:child_process';

export const has = (program: string, args: readonly string[]) =>
  spawnSync(program, [...args], { stdio: 'ignore' }).status === 0;

const FOUND = ['docker', '/usr/bin/docker', '/usr/local/bin/docker'].filter((program) => has(program, ['--version']));

/** More than one version, where the machine has them. */
export const CLIENTS = new Map(
  FOUND.map((program) => [spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout.trim(), program]),
);
