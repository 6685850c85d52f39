/** The bridge driver's rules for published ports: their order, and none twice (nat.SortPortMap, iptables.ProgramRule). */

import { expect, test } from 'vitest';
import { RULES } from '../../src/drivers/bridge-engines.js';
import { type BridgeFacts, insertRules } from '../../src/drivers/bridge-rules.js';
import type { PublishedPort } from '../../src/topology/topology.js';
import { checkedEngine } from '../engine/checked.js';

const port = (published: number, target: number, hostAddress = '0.0.0.0'): PublishedPort => ({
  hostAddress,
  published,
  target,
  protocol: 'tcp',
});

function factsOf(bridge: BridgeFacts['bridge']): BridgeFacts {
  return {
    bridge,
    families: [{ family: 'ip', subnet: '10.1.0.0/24', mode: 'nat' }],
    icc: true,
    masquerade: true,
    internal: false,
    userlandProxy: true,
    trusted: [],
    directRouting: false,
    listensOver6: false,
  };
}

test('ports are programmed by the largest port of the node that leads to each; those to the same one stay as they were given', () => {
  // docker run -p 7000-7002:80-82 -p 10.66.7.21:9443:80, in a real daemon's order.
  const { inOrder } = RULES['20.10'];
  const given = [port(7000, 80), port(9443, 80, '10.66.7.21'), port(7001, 81), port(7002, 82)];
  expect(inOrder(given).map(({ published }) => published)).toEqual([7000, 9443, 7002, 7001]);
});

test('a rule that is there already is not written again: several ports of the node lead to the same one', async () => {
  const engine = await checkedEngine();
  const host = engine.namespace('node1/host');
  const bridge = host.addBridge('br-front', { mac: '02:42:00:00:00:01', mtu: 1500 });
  const rules = RULES['20.10'];
  const facts = factsOf(bridge);
  for (const published of [8000, 8001]) {
    const [binding] = rules.bindings(facts, { address: '10.1.0.2/24' }, port(published, 80), undefined);
    if (binding) insertRules(host, rules.port(facts, binding));
  }
  expect(host.iptables.chain('filter', 'DOCKER').rules.length).toBe(1);
  expect(host.iptables.chain('nat', 'POSTROUTING').rules.length).toBe(1);
  expect(host.iptables.chain('nat', 'DOCKER').rules.length).toBe(2);
});

test('engine 28 goes by the container port, then tcp before udp, then by the port of the node', () => {
  const given: PublishedPort[] = [
    port(9000, 90),
    port(8001, 80),
    { ...port(7000, 80), protocol: 'udp' },
    port(8000, 80),
  ];
  expect(RULES['28'].inOrder(given).map(({ published }) => published)).toEqual([8000, 8001, 7000, 9000]);
});

test("what an operator put on top of FORWARD is below Docker's jumps and rules as soon as a network is made", async () => {
  const engine = await checkedEngine();
  const host = engine.namespace('node1/host');
  const rules = RULES['20.10'];
  rules.node(host.iptables, { userlandProxy: true });
  const { iptables } = host;
  for (const chain of ['DOCKER-USER', 'DOCKER-ISOLATION-STAGE-1'])
    if (!iptables.has('filter', 'FORWARD', { target: 'JUMP', chain }))
      iptables.append('filter', 'FORWARD', { target: 'JUMP', chain });
  iptables.insert('filter', 'FORWARD', { target: 'DROP', in: { name: 'eth9' } }, 0);
  insertRules(host, rules.network(factsOf(host.addBridge('br-front', { mac: '02:42:00:00:00:01', mtu: 1500 }))));
  const said = iptables
    .chain('filter', 'FORWARD')
    .rules.map(({ spec }) => ('chain' in spec ? spec.chain : spec.target));
  expect(said.slice(0, 2)).toEqual(['DOCKER-USER', 'DOCKER-ISOLATION-STAGE-1']);
  expect(said.at(-1)).toBe('DROP');
  expect(said.length).toBe(7);
});
