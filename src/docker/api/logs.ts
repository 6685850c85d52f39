/** `docker logs`, `docker service logs`: what was kept, and with `follow` what comes. */

import { stream } from 'hono/streaming';
import type { ContainerState } from '../../swarm/state.js';
import { framed, type LogEntry } from '../io.js';
import type { World } from '../world.js';
import { flag, moment, type Request, timeText } from './context.js';
import { ApiError } from './errors.js';

/** `prefix`: where a line is from, as `details` tells; only a service's and a task's have one. */
export interface Source {
  container: ContainerState;
  prefix: string;
}

/** `sourcesNow` may name more as time goes on: a service's new tasks are followed as well. */
export function logs(world: World, c: Request, sourcesNow: () => readonly Source[]) {
  const asked = (name: string) => flag(c.req.query(name));
  const [follow, out, err, times] = [asked('follow'), asked('stdout'), asked('stderr'), asked('timestamps')];
  if (!out && !err) throw new ApiError(400, 'Bad parameters: you must choose at least one stream');
  const details = asked('details');
  // What is no number is all (daemon/logs.go).
  const tail = /^\+?\d+$/.test(c.req.query('tail') ?? '') ? Number(c.req.query('tail')) : Number.POSITIVE_INFINITY;
  const since = moment(c.req.query('since')) ?? 0n;
  const until = moment(c.req.query('until'));
  const [first, ...more] = sourcesNow();
  const tty = first !== undefined && more.length === 0 && world.configOf(first.container).tty;
  const isWanted = ({ stream: name, time }: LogEntry) =>
    (name === 'stdout' ? out : err) && time >= since && (until === undefined || time <= until);
  c.header('Content-Type', tty ? 'application/vnd.docker.raw-stream' : 'application/vnd.docker.multiplexed-stream');
  return stream(c, async (to) => {
    const write = (prefix: string, entry: LogEntry) => {
      if (!isWanted(entry)) return;
      const head = `${times ? `${timeText(entry.time)} ` : ''}${details ? prefix : ''}`;
      const data = head === '' ? entry.data : new TextEncoder().encode(head + new TextDecoder().decode(entry.data));
      void to.write(framed({ ...entry, data }, tty));
    };
    const known = new Map<ContainerState, () => void>();
    const add = ({ container, prefix }: Source, over: () => void) => {
      if (known.has(container)) return;
      const io = world.ioOf(container);
      const kept = io.log.filter(isWanted);
      const last = kept.slice(Math.max(0, kept.length - tail));
      for (const entry of last) write(prefix, entry);
      known.set(container, follow ? io.watch({ onOutput: (entry) => write(prefix, entry), onEnd: over }) : () => {});
    };
    if (!follow) {
      for (const source of sourcesNow()) add(source, () => {});
      return;
    }
    const still = world.look();
    const leave: (() => void)[] = [still];
    await new Promise<void>((resolve) => {
      to.onAbort(resolve);
      // A container's log ends with it; a service has other tasks.
      const isOfService = first === undefined || first.prefix !== '';
      const over = isOfService ? () => {} : resolve;
      const addAll = () => {
        for (const source of sourcesNow()) add(source, over);
      };
      addAll();
      if (!isOfService && first.container.status === 'exited') resolve();
      if (!isOfService) return;
      leave.push(
        world.onEvent(({ type, action }) => {
          if (type === 'container' && action === 'start') addAll();
        }),
      );
    });
    for (const stop of [...known.values(), ...leave]) stop();
  });
}
