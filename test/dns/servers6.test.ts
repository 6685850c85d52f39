/** Name servers with IPv6 addresses: who asks them, and from where. */

import { describe, expect, it } from 'vitest';
import { parseStackFile, Swarm } from '../../src/index.js';

const SERVER = '2001:db8:99::1';
const stack = (resolvers: string, image: string, network = 'dual') => `
services: {}
networks:
  dual: { driver: bridge, enable_ipv6: true, ipam: { config: [{ subnet: 172.20.0.0/16 }, { subnet: "2001:db8:1::/64" }] } }
  old: { driver: bridge }
x-swarmwire:
  nodes: [{ name: node1, address6: "2001:db8:99::110/64", resolvers: [${resolvers}] }]
  client: { address6: "${SERVER}/64", resolves: { www.example.com: [203.0.113.10, "2001:db8:cafe::10"] } }
  containers:
    asker: { image: ${image}, networks: [${network}] }
`;

async function asked(resolvers: string, image: string, from = 'node1/ct-asker', network = 'dual') {
  const { spec } = parseStackFile(stack(resolvers, image, network), { file: 'stack.yml' });
  const swarm = await Swarm.create(spec, { seed: 5 });
  swarm.tapEverything();
  const namespace = swarm.namespace(from);
  // The containers' subnet has no way back but this.
  swarm
    .namespace('client/host')
    .addRoute('2001:db8:1::/64', swarm.namespace('client/host').device('eth0'), '2001:db8:99::110');
  let addresses: string[] | undefined;
  let server: string | undefined;
  swarm.names.lookUp(namespace, 'www.example.com', swarm.engine.now, (result) => {
    addresses = result.addresses;
    server = result.server;
  });
  swarm.run(30_000);
  return { swarm, addresses, server };
}

describe('a server with an IPv6 address', () => {
  it.each(['alpine', 'debian'])(
    'is asked by a container (%s) itself: 20.10 names it beside 127.0.0.11',
    async (image) => {
      const { swarm, addresses, server } = await asked(`"${SERVER}"`, image);
      expect(swarm.file('node1/ct-asker', '/etc/resolv.conf')).toContain(
        `nameserver 127.0.0.11\nnameserver ${SERVER}\n`,
      );
      expect(addresses?.slice().sort()).toEqual(['2001:db8:cafe::10', '203.0.113.10']);
      expect(server).toBe(SERVER);
      const over6 = swarm.frames('client/host/eth0').filter(({ data }) => data[12] === 0x86 && data[20] === 17);
      // Two questions and two answers.
      expect(over6).toHaveLength(4);
    },
  );

  it('is asked by the node', async () => {
    const { addresses, server } = await asked(`"${SERVER}"`, 'debian', 'node1/host');
    expect(server).toBe(SERVER);
    expect(addresses).toHaveLength(2);
  });

  it('is out of reach of a container without IPv6, and IPv4 servers are asked as ever', async () => {
    const lost = await asked(`"${SERVER}"`, 'debian', 'node1/ct-asker', 'old');
    expect(lost.addresses).toEqual([]);
    const both = await asked(`"${SERVER}", 192.168.99.1`, 'debian', 'node1/ct-asker', 'old');
    expect(both.addresses).toHaveLength(2);
  });
});
