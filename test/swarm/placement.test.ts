/** Where tasks go (swarmkit manager/scheduler, manager/constraint). */

import { describe, expect, it } from 'vitest';
import { allowed, place } from '../../src/swarm/placement.js';
import type { NodeSpec, ServiceSpec } from '../../src/topology/spec.js';

const NODES: NodeSpec[] = [
  { name: 'node1', role: 'manager', labels: { zone: 'a' } },
  { name: 'node2', role: 'worker', labels: { zone: 'b' } },
  { name: 'node3', role: 'worker' },
];

const service = (some: Partial<ServiceSpec> = {}): ServiceSpec => ({
  name: 'web',
  mode: 'replicated',
  replicas: 1,
  networks: [],
  endpointMode: 'vip',
  ports: [],
  constraints: [],
  ...some,
});

const names = (constraints: string[]) => allowed(NODES, constraints).map(({ name }) => name);

describe('a constraint', () => {
  it.each([
    [['node.hostname == node2'], ['node2']],
    [['node.hostname==node2'], ['node2']],
    [['node.hostname != node2'], ['node1', 'node3']],
    [['node.role == manager'], ['node1']],
    [['node.role != manager'], ['node2', 'node3']],
    [['node.role == MANAGER'], ['node1']],
    [['node.labels.zone == b'], ['node2']],
    [['node.labels.zone != b'], ['node1', 'node3']],
    [['node.role == worker', 'node.hostname != node3'], ['node2']],
    [['node.hostname == node9'], []],
  ])('%j allows %j', (constraints, expected) => {
    expect(names(constraints)).toEqual(expected);
  });
});

describe('tasks', () => {
  it('are spread: one on each node before a second on any', () => {
    expect(place(service({ replicas: 5 }), NODES, new Map())).toEqual(['node1', 'node2', 'node3', 'node1', 'node2']);
  });

  it('go where the fewest tasks of all services are, if their own are even', () => {
    const load = new Map<string, number>();
    expect(place(service({ name: 'a' }), NODES, load)).toEqual(['node1']);
    expect(place(service({ name: 'b', replicas: 2 }), NODES, load)).toEqual(['node2', 'node3']);
    expect(place(service({ name: 'c', constraints: ['node.hostname == node1'], replicas: 2 }), NODES, load)).toEqual([
      'node1',
      'node1',
    ]);
    expect(place(service({ name: 'd', replicas: 3 }), NODES, load)).toEqual(['node2', 'node3', 'node1']);
  });

  it('of a global service are one on each node that is allowed', () => {
    expect(place(service({ mode: 'global', replicas: 0 }), NODES, new Map())).toEqual(['node1', 'node2', 'node3']);
    expect(place(service({ mode: 'global', constraints: ['node.role == worker'] }), NODES, new Map())).toEqual([
      'node2',
      'node3',
    ]);
  });

  // swarmkit's scheduler counts every task that a node runs (NodeInfo.ActiveTasksCount), global services' too.
  it('of a global service are counted as any others are', () => {
    const load = new Map<string, number>();
    place(service({ name: 'agent', mode: 'global', constraints: ['node.hostname != node3'] }), NODES, load);
    expect(place(service({ name: 'web' }), NODES, load)).toEqual(['node3']);
  });

  it('that no node may have are not placed', () => {
    expect(place(service({ constraints: ['node.role == nobody'] }), NODES, new Map())).toEqual([]);
    expect(place(service({ replicas: 0 }), NODES, new Map())).toEqual([]);
  });
});
