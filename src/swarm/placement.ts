/** Where tasks go: constraints first, then spread (reference: swarmkit manager/scheduler, manager/constraint); by hand, and as the first Swarm did it. */

import type { NodeSpec, ServiceSpec } from '../topology/spec.js';

/** What a node must be known by to be chosen. */
export type Candidate = Pick<NodeSpec, 'name' | 'role' | 'labels'> & { id?: string };

/** The nodes that all of a service's constraints allow. */
export function allowed<Node extends Candidate>(nodes: readonly Node[], constraints: readonly string[]): Node[] {
  if (constraints.length === 0) return [...nodes];
  return nodes.filter((node) => constraints.every((constraint) => meets(node, constraint)));
}

function meets(node: Candidate, constraint: string): boolean {
  const [, key = '', operator = '==', wanted = ''] = /^\s*([\w.-]+)\s*(==|!=)\s*(.*?)\s*$/.exec(constraint) ?? [];
  const label = key.startsWith('node.labels.') ? key.slice('node.labels.'.length) : undefined;
  const equals = (value: string) => value.toLowerCase() === wanted.toLowerCase();
  // Values are compared without regard to case, as swarmkit does.
  let equal: boolean;
  if (key === 'node.id') equal = equals(node.id ?? '') || equals(node.name);
  else if (key === 'node.hostname') equal = equals(node.name);
  else if (key === 'node.role') equal = equals(node.role);
  else if (label !== undefined) equal = equals(node.labels?.[label] ?? '');
  else return true;
  return operator === '==' ? equal : !equal;
}

/** Tasks that nodes have: of the service, and in all. */
export interface Load {
  own: (node: string) => number;
  all: (node: string) => number;
}

/**
 * The best of `nodes` for one more task: among the values of each preferred label those with the fewest tasks of the service
 * (`spread`), then the fewest tasks of the service on the node, then the fewest in all, then the order of the nodes.
 */
export function best<Node extends Candidate>(
  nodes: readonly Node[],
  { own, all }: Load,
  preferences: readonly string[] = [],
): Node | undefined {
  let left = nodes;
  for (const preference of preferences) {
    const groups = new Map<string, Node[]>();
    for (const node of left) {
      const value = labelOf(node, preference);
      groups.set(value, [...(groups.get(value) ?? []), node]);
    }
    const tasks = (group: readonly Node[]) => group.reduce((sum, { name }) => sum + own(name), 0);
    const [fewest] = [...groups.values()].sort((a, b) => tasks(a) - tasks(b));
    left = fewest ?? left;
  }
  let found: Node | undefined;
  let [fewestOwn, fewestAll] = [0, 0];
  for (const node of left) {
    const mine = own(node.name);
    if (found && mine > fewestOwn) continue;
    const every = all(node.name);
    if (found && mine === fewestOwn && every >= fewestAll) continue;
    [found, fewestOwn, fewestAll] = [node, mine, every];
  }
  return found;
}

/** `node.labels.rack`; a node without the label counts as one with an empty value. */
function labelOf(node: Candidate, descriptor: string): string {
  const label = descriptor.replace(/^(spread=)?(node\.labels\.|engine\.labels\.)?/, '');
  return node.labels?.[label] ?? '';
}

/**
 * The first Swarm's `spread`: of nodes alike the one with the fewest containers, running or not, else the first
 * (docker/swarm scheduler/strategy/spread.go). What it is linked to draws a container to itself (scheduler/filter/dependency.go).
 */
export function spreadContainer(
  nodes: readonly string[],
  occupied: Iterable<string>,
  linked: readonly string[],
): string {
  const [near] = linked;
  if (near !== undefined) return near;
  const count = new Map(nodes.map((name) => [name, 0]));
  for (const node of occupied) count.set(node, (count.get(node) ?? 0) + 1);
  return fewest(nodes, count) ?? '';
}

/** The first of those with the lowest count. */
export function fewest(nodes: readonly string[], count: ReadonlyMap<string, number>): string | undefined {
  const of = (name: string) => count.get(name) ?? 0;
  return nodes.reduce<string | undefined>(
    (best, name) => (best === undefined || of(name) < of(best) ? name : best),
    undefined,
  );
}

/** A node for each task of a service, `load` counting what nodes have in all. */
export function place(service: ServiceSpec, nodes: readonly NodeSpec[], load: Map<string, number>): string[] {
  const candidates = allowed(nodes, service.constraints);
  if (service.mode === 'global') {
    for (const { name } of candidates) load.set(name, (load.get(name) ?? 0) + 1);
    return candidates.map(({ name }) => name);
  }
  const own = new Map<string, number>();
  const placed: string[] = [];
  for (let i = 0; i < service.replicas; i++) {
    const count = (map: Map<string, number>) => (node: string) => map.get(node) ?? 0;
    const node = best(candidates, { own: count(own), all: count(load) }, service.preferences);
    if (!node) break;
    placed.push(node.name);
    own.set(node.name, (own.get(node.name) ?? 0) + 1);
    load.set(node.name, (load.get(node.name) ?? 0) + 1);
  }
  return placed;
}
