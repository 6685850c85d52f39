/** Tasks and containers on named nodes, and by the number of containers, beside swarmkit's own way. */

import { describe, expect, it } from 'vitest';
import { Swarm } from '../../src/index.js';
import { read as readFile, refusal } from '../stack-file/reading.js';

const STACK = `
services:
  web: { image: nginx, deploy: { replicas: 3 }, networks: [net] }
  api: { image: node, networks: [net] }
networks: { net: { attachable: true }, wire: { driver: bridge } }
x-swarmwire:
  nodes: 3
`;

const read = (section: string, stack = STACK) => readFile(stack + section).spec;

async function placed(section: string): Promise<{ swarm: Swarm; where: string[] }> {
  const swarm = await Swarm.create(read(section));
  return { swarm, where: whereabouts(swarm) };
}

function whereabouts(swarm: Swarm): string[] {
  return swarm.topology.sandboxes.flatMap(({ kind, task, container, node }) =>
    kind === 'balancer' ? [] : [`${task ?? container} ${node}`],
  );
}

const problem = (section: string) => refusal(STACK + section).message;

describe('by hand', () => {
  it('tasks go to the named nodes, one after the other', async () => {
    const { where } = await placed('  placement: { web: [node3, node1], api: node3 }');
    expect(where).toEqual(expect.arrayContaining(['web.1 node3', 'web.2 node1', 'web.3 node3', 'api.1 node3']));
  });

  it('a service that does not say how many has a task on each', async () => {
    const { where } = await placed('  placement: { api: [node3, node2] }');
    expect(where).toEqual(expect.arrayContaining(['api.1 node3', 'api.2 node2']));
  });

  it('a global service has its tasks on these nodes alone', async () => {
    const stack = STACK.replace('api: { image: node,', 'api: { image: node, deploy: { mode: global },');
    const swarm = await Swarm.create(read('  placement: { api: [node1, node3] }', stack));
    expect(whereabouts(swarm).filter((one) => one.startsWith('api'))).toEqual(['api.node1 node1', 'api.node3 node3']);
  });

  it('a task whose node is away waits for it, and goes nowhere else', async () => {
    const { swarm } = await placed('  placement: { api: node3 }');
    swarm.cluster.nodeLost('node3');
    swarm.run(40_000);
    const api = () =>
      swarm.cluster.orchestrator.tasks.filter(({ name, state }) => name === 'api.1' && state === 'running');
    expect(api().map(({ node }) => node)).toEqual(['node3']);
    expect(swarm.pending).toEqual(['api: not all of its nodes (node3) are free']);
    swarm.cluster.nodeBack('node3');
    swarm.run(10_000);
    expect(api().map(({ node }) => node)).toEqual(['node3']);
    expect(swarm.pending).toEqual([]);
  });

  it('a container has its node there, too', async () => {
    const { where } = await placed('  containers: { cli: { networks: [net] } }\n  placement: { cli: node2 }');
    expect(where).toContain('cli node2');
  });
});

describe('by spread', () => {
  it('containers go to the node with the fewest at their turn, the first of several', async () => {
    const { where } = await placed(`
  containers: { a: { node: node1 }, b: {}, c: {}, d: {}, e: {} }
  placement: { b: spread, c: spread, d: spread, e: spread }`);
    expect(where.filter((one) => /^[a-e] /.test(one)).sort()).toEqual([
      'a node1',
      'b node2',
      'c node3',
      'd node1',
      'e node2',
    ]);
  });

  it('a link draws a container to what it is linked to', async () => {
    const { where } = await placed(`
  containers: { a: {}, db: {}, web: { links: [db] } }
  placement: { a: spread, db: spread, web: spread }`);
    expect(where).toEqual(expect.arrayContaining(['a node1', 'db node2', 'web node2']));
  });

  it('networks of a node come to where their containers are', async () => {
    const { swarm } = await placed(`
  containers: { a: { networks: [wire] }, b: { networks: [wire] } }
  placement: { a: spread, b: spread }`);
    const wire = swarm.topology.networks.find(({ name }) => name === 'wire');
    expect(Object.keys(wire?.onNode ?? {})).toEqual(['node1', 'node2']);
  });

  it('tasks go by the number of all containers, and not of their service’s', async () => {
    const { where } = await placed('  placement: { web: [node1], api: spread }');
    expect(where).toContain('api.1 node2');
    const later = await placed('  placement: { web: spread, api: [node1] }');
    later.swarm.cluster.serviceUpdate('web', { replicas: 1 });
    later.swarm.run(3000);
    // node1 has web.1 and api.1: the others are free.
    later.swarm.cluster.serviceUpdate('web', { replicas: 3 });
    later.swarm.run(3000);
    expect(whereabouts(later.swarm).filter((one) => one.startsWith('web'))).toEqual([
      'web.1 node1',
      'web.2 node2',
      'web.3 node3',
    ]);
  });

  it('is there for the library, where containers say so themselves', async () => {
    const spec = read('  containers: { a: {}, b: {} }');
    for (const container of spec.containers ?? []) container.placement = 'spread';
    expect(whereabouts(await Swarm.create(spec))).toEqual(expect.arrayContaining(['a node1', 'b node2']));
  });
});

describe('mistakes', () => {
  it('are told with their place', () => {
    expect(problem('  placement: { web: node9 }')).toMatch(/stack\.yml:8:21: there is no node "node9"/);
    expect(problem('  placement: { cache: node1 }')).toMatch(/there is no service or container "cache"/);
    expect(problem('  placement: { web: [] }')).not.toBe('');
    expect(problem('  containers: { cli: {} }\n  placement: { cli: [node1, node2] }')).toMatch(/runs on one node/);
    expect(problem('  containers: { cli: { node: node1 } }\n  placement: { cli: spread }')).toMatch(
      /has a node already/,
    );
  });
});
