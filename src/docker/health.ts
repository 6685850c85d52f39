/** Health checks of containers (moby daemon/health.go): a command, again and again, and what follows from how it ends. */

import type { Computer } from '../programs/index.js';
import type { ContainerState } from '../swarm/state.js';
import type { World } from './world.js';

const SECOND = 1_000_000_000;
const LOG_KEPT = 5;
const TIMED_OUT = -1;

export interface HealthCheck {
  /** `CMD` or `CMD-SHELL` first. */
  test: readonly string[];
  /** ns; 0 is Docker's own: 30 s, 30 s, three times, no grace. */
  interval: number;
  timeout: number;
  retries: number;
  startPeriod: number;
}

export interface Health {
  status: 'starting' | 'healthy' | 'unhealthy';
  failing: number;
  /** Virtual times. */
  log: { start: number; end: number; exitCode: number; output: string }[];
}

/** Probes `container` as long as `computer` is its machine. */
export function watchHealth(world: World, container: ContainerState, computer: Computer, check: HealthCheck): Health {
  const { engine } = world;
  const health: Health = { status: 'starting', failing: 0, log: [] };
  const [kind, ...rest] = check.test;
  const argv = kind === 'CMD-SHELL' ? ['/bin/sh', '-c', rest.join(' ')] : rest;
  const interval = check.interval || 30 * SECOND;
  const timeout = check.timeout || 30 * SECOND;
  const retries = check.retries || 3;
  const began = engine.now;
  const settle = (exitCode: number, output: string, start: number) => {
    health.log.push({ start, end: engine.now, exitCode, output });
    if (health.log.length > LOG_KEPT) health.log.shift();
    const before = health.status;
    if (exitCode === 0) {
      health.failing = 0;
      health.status = 'healthy';
    } else if (health.status !== 'starting' || start - began >= check.startPeriod) {
      health.failing++;
      if (health.failing >= retries) health.status = 'unhealthy';
    }
    if (health.status !== before) world.tell(container, `health_status: ${health.status}`);
    engine.at(engine.now + interval, probe);
  };
  const probe = () => {
    if (world.computerOf(container) !== computer) return;
    let output = '';
    const screen = {
      write: (data: string | Uint8Array) => {
        output += typeof data === 'string' ? data : new TextDecoder().decode(data);
      },
    };
    const start = engine.now;
    const started = computer.run(argv, {
      stdout: screen,
      stderr: screen,
      environment: world.configOf(container).environment,
    });
    if (!started) {
      settle(127, `exec: "${argv[0]}": executable file not found in $PATH`, start);
      return;
    }
    let over = false;
    const end = (code: number, words: string) => {
      if (over || world.computerOf(container) !== computer) return;
      over = true;
      settle(code, words, start);
    };
    started.task.whenDone(() => end(started.task.value ?? 0, output));
    if (!over)
      engine.at(start + timeout, () => {
        if (over) return;
        end(TIMED_OUT, `Health check exceeded timeout (${timeout / SECOND}s)`);
        started.task.stop(137);
      });
  };
  engine.at(engine.now + interval, probe);
  return health;
}
