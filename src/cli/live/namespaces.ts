/**
 * The namespaces of a run, `swlive-PID-NAME`: made, and taken away whatever happens. What a run that was killed has left is
 * swept by the next.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { LiveError } from './agent.js';
import type { Command } from './commands.js';

const PREFIX = 'swlive-';
const WHERE = '/run/netns';
/** One command takes no longer, ms. */
const PATIENCE = 20_000;

export interface Outcome {
  ok: boolean;
  out: string;
  /** The first line that it said on stderr. */
  why: string;
}

export function run({ argv, input }: Command): Outcome {
  const [program = '', ...args] = argv;
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    input: input ?? '',
    encoding: 'utf8',
    timeout: PATIENCE,
    env: { ...process.env, LC_ALL: 'C' },
  });
  const why = error?.message ?? stderr.trim().split('\n')[0] ?? '';
  return { ok: status === 0, out: stdout ?? '', why: why || `exit code ${status}` };
}

/** @throws LiveError */
export function mustRun(command: Command): string {
  const { ok, out, why } = run(command);
  if (!ok) throw new LiveError(`${command.argv.join(' ')}: ${why}`);
  return out;
}

/** `node1/host` → `swlive-PID-node1.host` */
export function netnsName(namespace: string): string {
  return `${PREFIX}${process.pid}-${namespace.replaceAll('/', '.')}`;
}

function all(): string[] {
  return existsSync(WHERE) ? readdirSync(WHERE).filter((name) => name.startsWith(PREFIX)) : [];
}

function remove(names: readonly string[]): void {
  for (const name of names) run({ argv: ['ip', 'netns', 'del', name] });
}

export function removeOwn(): void {
  remove(all().filter((name) => name.startsWith(`${PREFIX}${process.pid}-`)));
}

/** Those whose run is over: no process of that number is there any more. */
export function sweepLeftovers(): void {
  remove(all().filter((name) => !existsSync(`/proc/${name.slice(PREFIX.length).split('-')[0]}`)));
}

/** Runs `work`; at its end, by Ctrl-C, by a signal or by a crash, no namespace of this process is left. */
export async function tidily<T>(stop: () => void, work: () => Promise<T>): Promise<T> {
  const tidy = (): void => {
    stop();
    removeOwn();
  };
  const signals = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;
  const handlers = Object.entries(signals).map(([signal, number]) => {
    const handler = (): void => {
      tidy();
      process.exit(128 + number);
    };
    process.once(signal, handler);
    return [signal, handler] as const;
  });
  process.once('exit', tidy);
  try {
    return await work();
  } finally {
    for (const [signal, handler] of handlers) process.off(signal, handler);
    process.off('exit', tidy);
    tidy();
  }
}
