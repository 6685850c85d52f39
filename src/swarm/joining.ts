/**
 * In which order endpoints join when a whole node is stood up at once: their sandboxes' order, because rules of published ports
 * stand in that in which their containers started; but each in its place among the ports of its bridge.
 */

import type { Endpoint, Network, Sandbox } from '../topology/topology.js';

export interface Joining {
  sandbox: Sandbox;
  endpoint: Endpoint;
  /** The sandbox's place among the node's. */
  place: number;
}

export function joiningOrder(networks: readonly Network[], sandboxes: readonly Sandbox[]): Joining[] {
  const all = sandboxes.flatMap((sandbox, place) =>
    sandbox.endpoints.map((endpoint): Joining => ({ sandbox, endpoint, place })),
  );
  const names = new Set([...networks.map(({ name }) => name), ...all.map(({ endpoint }) => endpoint.network)]);
  return merged(
    [...names].map((name) =>
      all.filter(({ endpoint }) => endpoint.network === name).sort((a, b) => a.endpoint.port - b.endpoint.port),
    ),
  );
}

/** One list of several queues: always the first of that queue whose first is of the earliest sandbox. */
function merged(queues: readonly Joining[][]): Joining[] {
  const heads = queues.map((queue) => ({ queue, at: 0 }));
  const list: Joining[] = [];
  for (;;) {
    let next: (typeof heads)[number] | undefined;
    for (const head of heads) {
      const place = head.queue[head.at]?.place;
      if (place !== undefined && place < (next?.queue[next.at]?.place ?? Number.POSITIVE_INFINITY)) next = head;
    }
    const first = next?.queue[next.at];
    if (!next || !first) return list;
    next.at += 1;
    list.push(first);
  }
}
