/** `docker events`: what has happened, and what happens from now on (moby daemon/events, filter.go). */

import { stream } from 'hono/streaming';
import type { ClusterEvent } from '../../swarm/cluster.js';
import { hasLabels, readFilters } from './body.js';
import { type App, type Engine, moment } from './context.js';

/** Filters that ask for whom it happened to, by the beginning of a name or an id. */
const ACTORS = ['container', 'network', 'volume', 'node', 'service', 'secret', 'config', 'plugin', 'daemon'];

/** Node.js's timers count milliseconds in 31 bits, and fire at once beyond. */
const LONGEST = 2 ** 31 - 1;

export function eventRoutes(app: App, { world, node }: Engine): void {
  app.get('/events', (c) => {
    const filters = readFilters(c.req.query('filters'));
    const since = moment(c.req.query('since'));
    const limit = moment(c.req.query('until'));
    const wanted = (event: ClusterEvent) =>
      (event.node === undefined || event.node === node) && matches(event, filters);
    c.header('Content-Type', 'application/json');
    return stream(c, async (out) => {
      const write = (event: ClusterEvent) => void out.write(`${eventText(world.at(event.time), event)}\n`);
      if (since !== undefined)
        for (const event of world.events) {
          const time = world.at(event.time);
          if (time >= since && (limit === undefined || time <= limit) && wanted(event)) write(event);
        }
      if (limit !== undefined && limit <= world.time) return;
      const still = world.look();
      const stop = world.onEvent((event) => {
        if (wanted(event)) write(event);
      });
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        out.onAbort(resolve);
        if (limit === undefined) return;
        const wait = () => {
          const left = Number((limit - world.time) / 1_000_000n);
          timer = left > LONGEST ? setTimeout(wait, LONGEST) : setTimeout(resolve, left);
        };
        wait();
      });
      clearTimeout(timer);
      stop();
      still();
    });
  });
}

function matches(event: ClusterEvent, filters: ReadonlyMap<string, string[]>): boolean {
  const any = (key: string, test: (value: string) => boolean) => {
    const wanted = filters.get(key);
    return wanted === undefined || wanted.length === 0 || wanted.some(test);
  };
  const { type, action, name, attributes } = event;
  const { id = name } = attributes;
  const image = attributes.image ?? (type === 'image' ? name : undefined);
  return (
    any('type', (one) => one === type) &&
    // `health_status: healthy`, `exec_start: sh`
    any('event', (one) => one === action || action.startsWith(`${one}:`)) &&
    any('scope', (one) => one === scopeOf(event)) &&
    ACTORS.every((key) => any(key, (one) => id.startsWith(one) || name.startsWith(one))) &&
    any('image', (one) => image !== undefined && (one === image || one === withoutTag(image) || id === one)) &&
    hasLabels(attributes, filters.get('label') ?? [])
  );
}

function withoutTag(image: string): string {
  return image.replace(/:[\w][\w.-]*$/, '');
}

function scopeOf({ node }: ClusterEvent): 'swarm' | 'local' {
  return node === undefined ? 'swarm' : 'local';
}

/** JSON: nanoseconds since 1970 are more than a number of JavaScript holds. */
function eventText(time: bigint, event: ClusterEvent): string {
  const { type, action, name, attributes } = event;
  const { id = name, ...rest } = attributes;
  const json = JSON.stringify({
    ...(type === 'container' ? { status: action, id, from: attributes.image ?? '' } : {}),
    ...(type === 'image' ? { status: action, id } : {}),
    Type: type,
    Action: action,
    Actor: { ID: id, Attributes: { name, ...rest } },
    scope: scopeOf(event),
    time: Number(time / 1_000_000_000n),
  });
  return `${json.slice(0, -1)},"timeNano":${time}}`;
}
