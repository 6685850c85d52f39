/** The guides of docs/guides, run with the real docker command: everything comes out as they print it. */

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { clientVersion } from '../../../src/docker/client.js';
import { blocksOf } from '../../../src/docker/transcript/guide.js';
import { Guide, type Result } from '../../../src/docker/transcript/runner.js';
import { hasTerminals } from '../../../src/docker/transcript/session.js';
import { stepsOf } from '../../../src/docker/transcript/steps.js';

const CLIENT = ['docker', '/usr/bin/docker', '/usr/local/bin/docker'].find((program) => clientVersion(program));
const SLOW = 180_000;

async function transcript(text: string, file = 'guide.md'): Promise<Result[]> {
  const blocks = blocksOf(text, file);
  const guide = new Guide(blocks, stepsOf(blocks), { client: CLIENT ?? '', seed: 1 });
  const results: Result[] = [];
  for await (const result of guide.run()) results.push(result);
  return results;
}

const GUIDES = new URL('../../../docs/guides/', import.meta.url);
test.skipIf(!CLIENT || !hasTerminals()).each(readdirSync(GUIDES).filter((name) => name.endsWith('.md')))(
  '%s',
  { timeout: SLOW },
  async (name) => {
    const results = await transcript(readFileSync(new URL(name, GUIDES), 'utf8'), name);
    expect(results.length).toBeGreaterThan(5);
    const others = results.filter(({ outcome }) => outcome !== 'equal' && outcome !== 'skipped');
    expect(
      others.map(({ step, outcome, rows }) => ({ line: step.line, command: step.command, outcome, rows })),
    ).toEqual([]);
  },
);

test.skipIf(!CLIENT)(
  'a guide that is wrong is told so; what is not simulated is explained by name',
  { timeout: SLOW },
  async () => {
    const results = await transcript(
      [
        '```',
        '$ docker network create alpha',
        '$ docker network ls --filter name=alpha',
        'NETWORK ID     NAME      DRIVER    SCOPE',
        '17e324f45964   alpha     overlay   swarm',
        '$ docker network create alpha',
        '$ helios jobs',
        'JOB ID NAME',
        '$ docker -H tcp://192.0.2.1:2375 ps',
        '$ docker network ls --filter name=alpha --quiet | wc -l',
        '1',
        '```',
      ].join('\n'),
    );
    expect(results.map(({ outcome, reasons }) => [outcome, ...reasons.map(({ name }) => name)])).toEqual([
      ['equal'],
      ['differs'],
      ['explained', 'guide-order'],
      ['explained', 'not-simulated'],
      ['explained', 'refused'],
      ['equal'],
    ]);
  },
);

test.skipIf(!CLIENT || !hasTerminals())(
  'what guides misprint, and show of other networks, machines and engines, is explained by name',
  { timeout: SLOW },
  async () => {
    const results = await transcript(
      [
        'On **node1**:',
        '```',
        '$ docker network create --subnet 100.0.0.0/24 -d overlay net1',
        '8vty8k3pejm5qhz20ijyhvmwa',
        '$ docker network create -d bridge br',
        '8vty8k3pejm5qhz20ijyhvmw0vty8k3pejm5qhz20ijyhvmw0vty8k3pejm5qhz2',
        '$ docker run -dit --name c1 --network br alpine',
        '...',
        '$ docker exec c1 ip addr show | grep inet',
        '    inet 127.0.0.1/8 scope host lo',
        '    inet 172.20.0.2/16 scope global eth',
        '$ docker exec c1 ip link show eth0',
        '11040: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UP mode DEFAULT group default',
        '    link/ether 02:42:65:00:00:03 brd ff:ff:ff:ff:ff:ff',
        '$ docker exec c1 ip link show lo',
        '1: lo: <LOOPBACK,UP,LOWER_UP> mtu 16436 qdisc noqueue state UNKNOWN',
        '$ ip addr show eth0 | grep "inet "',
        'inet 10.194.12.221/20 brd 10.194.15.255 scope global eth0',
        '$ ping -q -c 1 10.194.12.221 | head -1',
        'PING 10.194.12.221 (10.194.12.221) 56(84) bytes of data.',
        '$ docker service create --detach --name web -p 1080:80 nginx',
        '8vty8k3pejm5qhz20ijyhvmwa',
        '$ nsenter --net=/var/run/docker/netns/ingress_sbox iptables -t nat -nvL PREROUTING',
        'Chain PREROUTING (policy ACCEPT 0 packets, 0 bytes)',
        ' pkts bytes target     prot opt in     out     source               destination',
        '    9   576 REDIRECT   tcp  --  *      *       0.0.0.0/0            0.0.0.0/0            tcp dpt:1080 redir ports 80',
        '```',
      ].join('\n'),
    );
    const shown = results.filter(({ step }) => /ip |ping|nsenter/.test(step.command));
    expect(shown.map(({ outcome, reasons }) => [outcome, ...reasons.map(({ name }) => name)])).toEqual([
      ['explained', 'misprint', 'tool-version'],
      ['explained', 'other-network'],
      ['differs'],
      ['explained', 'other-machines'],
      ['equal'],
      ['explained', 'engine-1.12'],
    ]);
    expect(shown[4]?.typed).toContain('192.168.99.110');
  },
);
