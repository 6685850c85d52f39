/** Where tasks go: constraints first, then spread (reference: swarmkit manager/scheduler, manager/constraint). */

import type { NodeSpec, ServiceSpec } from '../topology/spec.js';

/** The nodes that all of a service's constraints allow. */
export function allowed(nodes: readonly NodeSpec[], constraints: readonly string[]): NodeSpec[] {
  return nodes.filter((node) => constraints.every((constraint) => meets(node, constraint)));
}

function meets(node: NodeSpec, constraint: string): boolean {
  const [, key = '', operator = '==', wanted = ''] = /^\s*([\w.-]+)\s*(==|!=)\s*(.*?)\s*$/.exec(constraint) ?? [];
  const label = key.startsWith('node.labels.') ? key.slice('node.labels.'.length) : undefined;
  let value: string;
  if (key === 'node.hostname' || key === 'node.id') value = node.name;
  else if (key === 'node.role') value = node.role;
  else if (label !== undefined) value = node.labels?.[label] ?? '';
  else return true;
  // Values are compared without regard to case, as swarmkit does.
  const equal = value.toLowerCase() === wanted.toLowerCase();
  return operator === '==' ? equal : !equal;
}

/** A node for each task: fewest tasks of the service first, then fewest in all, then the order of the nodes. */
export function place(service: ServiceSpec, nodes: readonly NodeSpec[], load: Map<string, number>): string[] {
  const candidates = allowed(nodes, service.constraints);
  if (service.mode === 'global') {
    for (const { name } of candidates) load.set(name, (load.get(name) ?? 0) + 1);
    return candidates.map(({ name }) => name);
  }
  if (candidates.length === 0) return [];
  const own = new Map<string, number>();
  const placed: string[] = [];
  for (let i = 0; i < service.replicas; i++) {
    const count = (map: Map<string, number>, { name }: NodeSpec) => map.get(name) ?? 0;
    const [best] = [...candidates].sort((a, b) => count(own, a) - count(own, b) || count(load, a) - count(load, b));
    if (!best) break;
    placed.push(best.name);
    own.set(best.name, count(own, best) + 1);
    load.set(best.name, count(load, best) + 1);
  }
  return placed;
}
