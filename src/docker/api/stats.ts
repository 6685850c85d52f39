/** `docker stats`: what the simulation knows is true (interfaces' counters, processes); processors and memory stand at nought. */

import { stream } from 'hono/streaming';
import type { ContainerState } from '../../swarm/state.js';
import type { World } from '../world.js';
import { type App, type Engine, flag, required, timeText } from './context.js';

/** ms between two of them. */
const EVERY = 1000;
const NEVER = timeText(undefined);

export function statsRoutes(app: App, { world, node }: Engine): void {
  app.get('/containers/:id/stats', (c) => {
    const container = world.cluster.container(required(c, 'id'), node);
    if (!flag(c.req.query('stream') ?? '1') || flag(c.req.query('one-shot'))) {
      world.catchUp();
      return c.json(statsJson(world, container));
    }
    c.header('Content-Type', 'application/json');
    return stream(c, async (out) => {
      const still = world.look();
      let gone = false;
      out.onAbort(() => {
        gone = true;
      });
      while (!gone && world.cluster.containers.has(container.id)) {
        world.catchUp();
        await out.write(`${JSON.stringify(statsJson(world, container))}\n`);
        await new Promise((resolve) => setTimeout(resolve, EVERY));
      }
      still();
    });
  });
}

function statsJson(world: World, container: ContainerState) {
  const computer = world.computerOf(container);
  const now = timeText(world.time);
  const head = { id: container.id, name: `/${container.name}`, preread: NEVER };
  if (!computer) return { ...head, read: NEVER, pids_stats: {}, memory_stats: {}, ...cpu() };
  const devices = [...computer.namespace.devices].filter(([name]) => name !== 'lo');
  return {
    ...head,
    read: now,
    pids_stats: { current: computer.processes.length },
    blkio_stats: {},
    num_procs: 0,
    storage_stats: {},
    ...cpu(),
    memory_stats: { usage: 0, limit: MEMORY, stats: {} },
    networks: Object.fromEntries(
      devices.map(([name, { counters }]) => [
        name,
        {
          rx_bytes: counters.rxBytes,
          rx_packets: counters.rxPackets,
          rx_errors: 0,
          rx_dropped: 0,
          tx_bytes: counters.txBytes,
          tx_packets: counters.txPackets,
          tx_errors: 0,
          tx_dropped: 0,
        },
      ]),
    ),
  };
}

/** As much as `docker info` says that there is. */
const MEMORY = 2_147_483_648;

function cpu() {
  const none = {
    cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
    system_cpu_usage: 0,
    online_cpus: 1,
    throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
  };
  return { cpu_stats: none, precpu_stats: none };
}
