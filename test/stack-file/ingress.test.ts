/** `x-swarmwire: {ingress: …}`: the routing mesh's network, made as `docker network create --ingress` makes it. */

import { expect, it } from 'vitest';
import { Swarm } from '../../src/swarm/swarm.js';
import { read, refusal } from './reading.js';

const stack = (ingress: string) =>
  `services:\n  web: { image: nginx, ports: ["8080:80"] }\nx-swarmwire:\n  ingress: ${ingress}\n`;
const encrypted =
  '{ name: mesh, ipam: { config: [{ subnet: 10.11.0.0/24, gateway: 10.11.0.2 }] }, driver_opts: { encrypted: "" } }';

it('has a name, a subnet, a gateway and options of its own, and no service joins it', () => {
  const { spec, unsupported, ignored } = read(stack(encrypted));
  expect(spec.networks[0]).toEqual({
    name: 'mesh',
    driver: 'overlay',
    ingress: true,
    subnet: '10.11.0.0/24',
    gateway: '10.11.0.2',
    options: { encrypted: '' },
  });
  expect([unsupported, ignored]).toEqual([[], []]);
  expect(spec.services[0]?.networks).toEqual([{ name: 'default', aliases: [] }]);
});

it('is called ingress, and is the only one', async () => {
  const { spec } = read(stack('{ driver_opts: { com.docker.network.driver.mtu: 1400 } }'));
  const { topology } = await Swarm.create(spec);
  const [mesh, ...more] = topology.networks.filter(({ ingress }) => ingress);
  expect([mesh?.name, mesh?.mtu, more.length]).toEqual(['ingress', 1350, 0]);
});

it('can be encrypted: requests through every node are answered, and cross the wire in ESP', async () => {
  const swarm = await Swarm.create(read(stack(encrypted)).spec);
  for (const { name } of swarm.topology.nodes) swarm.tap(`${name}/host/eth0`);
  const reports = swarm.play();
  expect(reports.map(({ ok }) => ok)).toEqual([true, true, true]);
  const carried = swarm.frames().map(({ protocols }) => protocols);
  expect(carried.filter((protocols) => protocols.includes('vxlan'))).toEqual([]);
  expect(carried.filter((protocols) => protocols.includes('esp')).length).toBeGreaterThan(10);
});

it.each([
  ['yes', '4:12: x-swarmwire.ingress must be a map, not "yes"\nhint: write a map'],
  ['{ driver: bridge }', '4:14: x-swarmwire.ingress has no key "driver"'],
  ['{ ipam: { config: [{ subnet: 10.11.0.0/33 }] } }', '4:41: "10.11.0.0/33" is no subnet'],
  ['{ driver_opts: { com.docker.network.driver.mtu: x } }', '4:60: failed to parse x'],
])('%s is refused, with its place', (ingress, words) => {
  expect(refusal(stack(ingress)).message).toContain(words);
});
