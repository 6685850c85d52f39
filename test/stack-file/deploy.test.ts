/** `deploy`, how many and where aside: restart policies, updates, spreading. */

import { describe, expect, it } from 'vitest';
import { durationOf } from '../../src/stack-file/durations.js';
import { swarmOf } from '../drivers/stack.js';
import { read, refusal, service } from './reading.js';

const deployed = (text: string) => read(service(`deploy: ${text}`));

describe('deploy', () => {
  it('is read, and what has no effect is named', () => {
    const { spec, ignored, unsupported } = deployed(`{
      restart_policy: { condition: on-failure, delay: 1m30s, max_attempts: 3, window: 120s },
      update_config: { parallelism: 2, delay: 500ms, order: start-first, failure_action: rollback, monitor: 5s },
      rollback_config: { parallelism: 0 },
      placement: { preferences: [{ spread: node.labels.rack }], max_replicas_per_node: 2 },
      resources: { limits: { cpus: "1" } }, labels: { a: b } }`);
    expect(spec.services[0]).toMatchObject({
      restart: { condition: 'on-failure', delay: 90e9, maxAttempts: 3, window: 120e9 },
      update: { parallelism: 2, delay: 0.5e9, order: 'start-first' },
      rollback: { parallelism: 0 },
      preferences: ['node.labels.rack'],
      maxReplicasPerNode: 2,
    });
    // What a stack deployment takes and no packet shows is not named.
    expect(ignored).toEqual([]);
    expect(unsupported.map(({ key }) => key)).toEqual([
      'deploy.update_config.failure_action',
      'deploy.update_config.monitor',
    ]);
  });

  it.each([
    ['{ restart_policy: { condition: sometimes } }', 'unknown restart policy: sometimes'],
    ['{ restart_policy: { delay: soon } }', '"soon" is no duration'],
    ['{ restart_policy: { max_attempts: few } }', '"few" is no whole number'],
    ['{ placement: { preferences: [{ spread: rack }] } }', '"rack" is nothing to spread tasks over'],
  ])('%s is refused', (text, message) => {
    expect(refusal(service(`deploy: ${text}`)).message).toContain(message);
  });

  it.each([
    ['0', 0],
    ['90', undefined],
    ['', undefined],
    ['1.5h', 5400e9],
    ['1h2m3s4ms5us', 3723.004005e9],
    ['10 s', undefined],
  ])('%j is %j ns', (text, nanoseconds) => {
    expect(durationOf(text)).toBe(nanoseconds);
  });
});

describe('what was asked for comes about', () => {
  const nodes =
    'x-swarmwire: { nodes: [{ name: node1, labels: { rack: a } }, { name: node2, labels: { rack: a } }, { name: node3, labels: { rack: b } }] }';

  it('max_replicas_per_node leaves tasks without a node, and says why', async () => {
    const swarm = await swarmOf(
      `${service('deploy: { replicas: 4, placement: { max_replicas_per_node: 1 } }')}\n${nodes}`,
    );
    expect(swarm.pending).toEqual(['web: no node has room for one more: 1 on each (max_replicas_per_node)']);
    expect(swarm.topology.sandboxes.filter(({ kind }) => kind === 'task').map(({ node }) => node)).toEqual([
      'node1',
      'node2',
      'node3',
    ]);
  });

  it('a preference spreads tasks over racks first', async () => {
    const swarm = await swarmOf(
      `${service('deploy: { replicas: 4, placement: { preferences: [{ spread: node.labels.rack }] } }')}\n${nodes}`,
    );
    const on = swarm.topology.sandboxes.filter(({ kind }) => kind === 'task').map(({ node }) => node);
    expect(on.filter((node) => node === 'node3')).toHaveLength(2);
  });

  it('max_attempts of a restart policy ends it, however many tasks are kept in the history', async () => {
    const swarm = await swarmOf(service('deploy: { restart_policy: { max_attempts: 7, delay: 1s } }'));
    let ended = 0;
    for (; ended < 20; ended++) {
      const task = swarm.cluster.orchestrator.tasks.find(({ state }) => state === 'running');
      if (!task) break;
      swarm.cluster.taskKill(task.name);
      swarm.run(5000);
    }
    expect(ended).toBe(8);
  });

  it('attempts before the window do not count', async () => {
    const swarm = await swarmOf(service('deploy: { restart_policy: { max_attempts: 1, delay: 1s, window: 10s } }'));
    for (let i = 0; i < 3; i++) {
      swarm.cluster.taskKill('web.1');
      swarm.run(15_000);
    }
    expect(swarm.cluster.task('web.1').state).toBe('running');
    swarm.cluster.taskKill('web.1');
    swarm.run(3000);
    swarm.cluster.taskKill('web.1');
    swarm.run(15_000);
    expect(swarm.cluster.orchestrator.tasks.some(({ state }) => state === 'running')).toBe(false);
  });
});
