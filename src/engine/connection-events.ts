/** What conntrack tells about its connections while it is watched, read from the engine's log. */

import { namesOf, type Tracked, trackedAt } from './connections.js';
import type { Engine } from './engine.js';
import { Change, ConnectionEvent as Layout } from './generated/layout.js';

export interface ConnectionEvent extends Tracked {
  change: keyof typeof Change;
  /** Virtual, ns. */
  time: number;
  /** Seconds until it would have run out; 0: it has. */
  left: number;
}

/** The exports of assembly/tables/events.ts. */
interface Log {
  watchConnections(records: number): void;
  connectionEvents(): number;
  connectionEventAt(index: number): number;
  connectionEventsMissed(): number;
}

const CHANGES = new Map(Object.entries(Change).map(([name, value]) => [value as number, name as keyof typeof Change]));
const watched = new WeakSet<Engine>();

/** From now on changes are kept, the first `records` of them. */
export function watchConnections(engine: Engine, records = 1 << 16): void {
  (engine.exports as unknown as Log).watchConnections(records);
  watched.add(engine);
}

/** Every change since it was watched, in order; undefined when it was not. */
export function connectionEventsOf(engine: Engine): ConnectionEvent[] | undefined {
  if (!watched.has(engine)) return undefined;
  const log = engine.exports as unknown as Log;
  const missed = log.connectionEventsMissed() >>> 0;
  if (missed > 0) throw new RangeError(`${missed} changes of connections did not fit in the log`);
  const names = namesOf(engine);
  const { memory } = engine;
  return Array.from({ length: log.connectionEvents() }, (_, i) => {
    const at = log.connectionEventAt(i) >>> 0;
    return {
      ...trackedAt(engine, names, at, Layout),
      change: CHANGES.get(memory.get(at, Layout.kind)) ?? 'UPDATE',
      time: memory.get(at, Layout.time),
      left: memory.get(at, Layout.left) / 1e9,
    };
  });
}
