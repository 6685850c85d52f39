/** What nodes know of each other's endpoints when one of them is lost, and what `iptables: false` leaves alone. */

import { describe, expect, it } from 'vitest';
import { hostPart } from '../../src/topology/topology.js';
import { outcomes, rules, swarmOf } from '../drivers/stack.js';

describe('a node that is lost', () => {
  const stack = `services:
  web: { image: nginx, networks: [net], deploy: { mode: global } }
networks: { net: }
x-swarmwire: { nodes: 3 }`;

  it('is given up by the others’ overlays, and they by its own; when it is back they know each other again', async () => {
    const swarm = await swarmOf(stack);
    /** Permanent neighbours of vxlan0, and where their frames go, by node. */
    const known = () =>
      Object.fromEntries(
        ['node1', 'node2', 'node3'].map((node) => {
          const overlay = swarm.namespace(`${node}/ov-net`);
          const vxlan = overlay.device('vxlan0');
          const there = swarm.topology.sandboxes.flatMap((sandbox) =>
            sandbox.endpoints
              .filter(({ network, address }) => network === 'net' && overlay.neighbour(vxlan, hostPart(address)))
              .map(() => sandbox.node),
          );
          return [node, [...new Set(there)].sort()];
        }),
      );
    const all = { node1: ['node2', 'node3'], node2: ['node1', 'node3'], node3: ['node1', 'node2'] };
    expect(known()).toEqual(all);
    swarm.cluster.nodeLost('node3');
    swarm.run(4000);
    expect(known()).toEqual(all);
    swarm.run(2000);
    expect(known()).toEqual({ node1: ['node2'], node2: ['node1'], node3: [] });
    swarm.cluster.nodeBack('node3');
    swarm.run(30_000);
    expect(known()).toEqual(all);
  });

  it('does not hear of endpoints that come meanwhile, and learns of them when it is back', async () => {
    const swarm = await swarmOf(`networks: { net: { driver: overlay, attachable: true } }
x-swarmwire:
  nodes: 2
  containers: { a: { node: node1, networks: [net] }, b: { node: node2, networks: [net] } }`);
    const { cluster } = swarm;
    cluster.nodeLost('node2');
    swarm.run(1000);
    const late = cluster.containerCreate({
      name: 'late',
      node: 'node1',
      networks: [{ name: 'net', aliases: [] }],
      ports: [],
      exposes: [],
      links: [],
    });
    const address = hostPart(cluster.containerStart(late).endpoints[0]?.address ?? '');
    const overlay = swarm.namespace('node2/ov-net');
    expect(overlay.neighbour(overlay.device('vxlan0'), address)).toBeUndefined();
    cluster.nodeBack('node2');
    expect(overlay.neighbour(overlay.device('vxlan0'), address)).toBeDefined();
    expect(swarm.send({ kind: 'ping', from: 'b', to: address, count: 1, size: 56 }).ok).toBe(true);
  });
});

describe('daemon.json’s iptables: false', () => {
  it('is the bridge driver’s alone: the mesh and encrypted overlays have their rules all the same', async () => {
    const swarm = await swarmOf(`services: { web: { image: nginx, ports: ["8080:80"], networks: [net] } }
networks: { net: { driver_opts: { encrypted: "" } } }
x-swarmwire:
  nodes: [{ name: node1, daemon: { iptables: false } }]
  containers: { own: { image: nginx, ports: ["9000:80"] } }
  traffic:
    - http: { from: client, to: "node1:8080" }
    - http: { from: client, to: "node1:9000" }
    - ping: { from: web, to: 203.0.113.10 }`);
    expect(rules(swarm, 'node1/host', 'nat')).toEqual([
      '-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER-INGRESS',
      '-A OUTPUT -m addrtype --dst-type LOCAL -j DOCKER-INGRESS',
      '-A POSTROUTING -o docker_gwbridge -m addrtype --src-type LOCAL -j MASQUERADE',
      expect.stringMatching(
        /^-A DOCKER-INGRESS -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172\.18\.0\.2:8080$/,
      ),
      '-A DOCKER-INGRESS -j RETURN',
    ]);
    expect(rules(swarm, 'node1/host', 'filter').join('\n')).toMatch(/--pol ipsec .*-j ACCEPT/);
    // docker-proxy relays what no rule leads to the container; nothing masquerades on the way out.
    const heard = outcomes(swarm);
    expect(heard.slice(0, 2)).toEqual(['client > node1:8080: web.1 on node1', 'client > node1:9000: own on node1']);
    expect(heard[2]).toMatch(/no answer within/);
  });
});
