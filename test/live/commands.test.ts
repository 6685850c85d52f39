/** A topology of the engine as commands for the kernel. */

import { expect, it } from 'vitest';
import { swarmMesh } from '../../src/cli/live/cases/swarm.js';
import { commandsFor } from '../../src/cli/live/commands.js';
import { buildLab } from '../../src/cli/live/engine-side.js';
import { iptablesRestore, ruleText } from '../../src/cli/live/iptables.js';

it('rules are written as iptables-save writes them', () => {
  expect(ruleText({ notDestination: '127.0.0.0/8', destinationType: 'LOCAL', target: 'JUMP', chain: 'DOCKER' })).toBe(
    '! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER',
  );
  expect(ruleText({ protocol: 'tcp', dport: 8080, target: 'DNAT', address: '172.18.0.2', port: 8080 })).toBe(
    '-p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.2:8080',
  );
  expect(ruleText({ states: ['RELATED', 'ESTABLISHED'], target: 'ACCEPT' })).toBe(
    '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
  );
  expect(ruleText({ ipvs: true, destination: '10.0.0.0/24', target: 'SNAT', address: '10.0.0.2' })).toBe(
    '-d 10.0.0.0/24 -m ipvs --ipvs -j SNAT --to-source 10.0.0.2',
  );
  expect(
    ruleText({ notSource: 'fe80::/10', protocol: 'tcp', dport: 80, target: 'DNAT', address: 'fd00::2', port: 80 }),
  ).toBe('! -s fe80::/10 -p tcp -m tcp --dport 80 -j DNAT --to-destination [fd00::2]:80');
  expect(ruleText({ target: 'MARK', value: 256 })).toBe('-j MARK --set-xmark 0x100/0xffffffff');
  expect(ruleText({ protocol: 'udp', sport: 53, target: 'SNAT', port: 53 })).toBe(
    '-p udp -m udp --sport 53 -j SNAT --to-source :53',
  );
});

it('a whole swarm becomes namespaces, devices, routes, neighbours, rules and balancers', async () => {
  const lab = await buildLab(swarmMesh);
  const commands = commandsFor(lab, (name) => `t-${name.replaceAll('/', '.')}`, 'iptables');
  const text = commands.map(({ argv, input }) => `${argv.join(' ')}\n${input ?? ''}`).join('\n');
  expect(commands[0]?.argv).toEqual(['ip', 'netns', 'add', 't-wire']);
  expect(text).toContain('ip netns add t-node2.ingress_sbox');
  // The vxlan device is made where its socket is to live, then moved.
  expect(text).toMatch(
    /ip -n t-node1\.host -batch -\n(?:.*\n)*?link add vxlan\d+ .* type vxlan id 4096 dstport 4789 proxy/,
  );
  expect(text).toMatch(/link set vxlan\d+ netns t-node1\.ov-ingress/);
  expect(text).toMatch(/fdb add 02:42:0a:\S+ dev vxlan\d+ dst 192\.168\.50\.12 self permanent/);
  expect(text).toMatch(/neigh replace 10\.\S+ lladdr 02:42:0a:\S+ nud permanent dev vxlan\d+/);
  expect(text).toContain('addr add 192.168.50.11/24 brd + dev eth0');
  expect(text).toMatch(
    /ip netns exec t-node1\.ingress_sbox ipvsadm --restore\n-A -f 256 -s rr\n-a -f 256 -r 10\.\S+:0 -m -w 1/,
  );
  expect(text).toMatch(/-A DOCKER-INGRESS .*--dport 8080 -j DNAT --to-destination/);
});

it('a namespace without a chain leaves netfilter alone', async () => {
  const { engine } = await buildLab(swarmMesh);
  const client = engine.namespaces.get('client/host');
  expect(client && iptablesRestore(client.iptables)).toBeUndefined();
  expect(client && iptablesRestore(client.ip6tables)).toBeUndefined();
});
