/** `conntrack -E -o timestamp` of one namespace (conntrack-tools 1.4.7): what was told since the engine was watched. */

import { connectionEventsOf } from '../engine/connection-events.js';
import type { Namespace } from '../engine/index.js';
import { protocolColumns, tuples, wholeSeconds } from './connection.js';

export function conntrackEvents(namespace: Namespace): string {
  const { engine, name } = namespace;
  return (connectionEventsOf(engine) ?? [])
    .filter((event) => event.namespace === name)
    .map((event) => {
      const words = [
        protocolColumns(event),
        ...(event.left > 0 ? [`${wholeSeconds(event.left)}`] : []),
        ...(event.state ? [event.state] : []),
        tuples(event),
      ];
      return `[${timestamp(engine.epoch, event.time)}]\t${`[${event.change}]`.padStart(9)} ${words.join(' ')}\n`;
    })
    .join('');
}

/** Seconds since 1970, with microseconds. */
function timestamp(epoch: bigint, time: number): string {
  const microseconds = (epoch + BigInt(time)) / 1000n;
  return `${microseconds / 1_000_000n}.${`${microseconds % 1_000_000n}`.padStart(6, '0')}`;
}
