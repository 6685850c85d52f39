/** Whole runs, by the library: the two examples, who answers whom, what happens to addresses on the way, and what a seed decides. */

import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { type FlowReport, parseStackFile, Swarm } from '../../src/index.js';
import { toHex } from '../engine/packets.js';
import { expectConserved } from '../engine/watch.js';

async function run(example: string, seed = 1): Promise<{ swarm: Swarm; reports: FlowReport[] }> {
  const file = new URL(`../../examples/${example}.yml`, import.meta.url);
  const { spec } = parseStackFile(readFileSync(file, 'utf8'), { file: `${example}.yml` });
  const swarm = await Swarm.create(spec, { seed });
  swarm.tapEverything();
  return { swarm, reports: swarm.play() };
}

/** `node1/host DNAT 192.168.99.110:1080 > 172.18.0.2:1080 by nat DOCKER-INGRESS`; the client's drawn port as P. */
function steps({ journey }: FlowReport): string[] {
  const drawn = journey.find(({ what }) => what === 'SNAT' || what === 'MASQUERADE')?.before.split(':')[1];
  return journey.map(({ namespace, what, before, after, by }) =>
    `${namespace} ${what} ${before} > ${after}${by ? ` by ${by}` : ''}`
      .replaceAll(`:${drawn} `, ':P ')
      .replaceAll(`:${drawn}`, ':P'),
  );
}

/** Drops that a bridge brings about: what it floods is no business of most who get it, and vxlan0 lets no ARP through. */
const HARMLESS = ['OTHERHOST', 'VXLAN_ARP_SWALLOWED'];
const unexpectedDrops = ({ engine }: Swarm) =>
  engine.drops
    .filter(({ reason }) => !HARMLESS.includes(reason))
    .map(({ device, reason }) => `${device.path} ${reason}`);

describe('the default example, three-tier.yml', () => {
  let swarm: Swarm;
  let reports: FlowReport[];
  beforeAll(async () => {
    ({ swarm, reports } = await run('three-tier'));
  });

  it('has every flow answered, by the task that runs where it is pinned', () => {
    expect(
      reports.map(({ from, to, ok, answeredBy, detail }) => `${from} ${to} ${ok} ${answeredBy} ${detail}`),
    ).toEqual([
      'client node1:1080 true nginx.1 on node2 200 OK',
      'client node2:1080 true nginx.1 on node2 200 OK',
      'client node3:1080 true nginx.1 on node2 200 OK',
      'nginx 203.0.113.10:80 true client 200 OK',
    ]);
  });

  it('shows the whole path through a node that does not run nginx', () => {
    expect(steps(reports[0] as FlowReport)).toEqual([
      'node1/host DNAT 192.168.99.110:1080 > 172.18.0.2:1080 by nat DOCKER-INGRESS',
      'node1/ingress_sbox IPVS 172.18.0.2:1080 > 10.0.0.6:1080 by FWM 256 rr',
      'node1/ingress_sbox SNAT 192.168.99.1:P > 10.0.0.2:P by nat POSTROUTING',
      'node1/ov-ingress VXLAN 192.168.99.110 > 192.168.99.111 by VNI 4096',
      'node2/task-nginx.1 REDIRECT 10.0.0.6:1080 > 10.0.0.6:80 by nat PREROUTING',
    ]);
  });

  it('needs no tunnel through the node that does', () => {
    expect((reports[1] as FlowReport).journey.map(({ namespace, what }) => `${namespace} ${what}`)).toEqual([
      'node2/host DNAT',
      'node2/ingress_sbox IPVS',
      'node2/ingress_sbox SNAT',
      'node2/task-nginx.1 REDIRECT',
    ]);
  });

  it('masquerades what a task asks outside, and sends no VXLAN for it', () => {
    expect(steps(reports[3] as FlowReport)).toEqual([
      'node2/host MASQUERADE 172.18.0.3:P > 192.168.99.111:P by nat POSTROUTING',
    ]);
    const asked = swarm
      .frames('node2/host/eth0')
      .filter((frame) => frame.all('ip.dst').includes('203.0.113.10') || frame.all('ip.src').includes('203.0.113.10'));
    expect(asked.length).toBeGreaterThan(5);
    expect(asked.filter((frame) => frame.field('vxlan.vni') !== undefined)).toEqual([]);
  });

  it('has nginx ask node and node ask redis over net1, each through the VIP and its own node’s balancer', () => {
    const syns = (tap: string) =>
      swarm
        .frames(tap)
        .filter((frame) => frame.direction === 'transmitted' && frame.field('tcp.flags') === '0x002')
        .map((frame) => `${frame.field('ip.src')} > ${frame.field('ip.dst')}:${frame.field('tcp.dstport')}`);
    // VIPs: nginx .2, node .5, redis .8; balancers of node2 and node3: .4 and .7.
    expect(new Set(syns('node2/task-nginx.1/eth2'))).toEqual(new Set(['100.0.0.3 > 100.0.0.5:3000']));
    expect(new Set(syns('node2/lb-net1/eth0'))).toEqual(new Set(['100.0.0.4 > 100.0.0.6:3000']));
    expect(new Set(syns('node3/lb-net1/eth0'))).toEqual(new Set(['100.0.0.7 > 100.0.0.9:6379']));
  });

  it('loses nothing but what a bridge floods in vain', () => {
    expect(unexpectedDrops(swarm)).toEqual([]);
    expectConserved(swarm.engine);
  });
});

describe('the second example, round-robin.yml', () => {
  let swarm: Swarm;
  let reports: FlowReport[];
  beforeAll(async () => {
    ({ swarm, reports } = await run('round-robin'));
  });

  it('goes round from every node, each with its own turn, from the task that came up last', () => {
    expect(reports.map(({ to, answeredBy }) => `${to} ${answeredBy}`)).toEqual([
      'node1:8080 web.3 on node3',
      'node1:8080 web.2 on node2',
      'node1:8080 web.1 on node1',
      'node2:8080 web.3 on node3',
      'node2:8080 web.2 on node2',
      'node2:8080 web.1 on node1',
      'node3:8080 web.3 on node3',
      'node3:8080 web.2 on node2',
      'node3:8080 web.1 on node1',
      'node1:8080 web.3 on node3',
      'node1:4000 echo.2 on node2',
      'node2:4000 echo.2 on node2',
    ]);
    expect(reports.every(({ ok }) => ok)).toBe(true);
  });

  it('balances UDP the same way', () => {
    expect(steps(reports[10] as FlowReport).map((step) => step.split(' ').slice(0, 2).join(' '))).toEqual([
      'node1/host DNAT',
      'node1/ingress_sbox IPVS',
      'node1/ingress_sbox SNAT',
      'node1/ov-ingress VXLAN',
      'node2/task-echo.2 REDIRECT',
    ]);
  });

  it('loses nothing but what a bridge floods in vain', () => {
    expect(unexpectedDrops(swarm)).toEqual([]);
    expectConserved(swarm.engine);
  });
});

describe('a seed', () => {
  const everyFrame = ({ swarm }: { swarm: Swarm }) =>
    swarm.frames().map(({ tap, time, direction, data }) => `${tap} ${time} ${direction} ${toHex(data)}`);
  const outcome = ({ reports }: { reports: FlowReport[] }) =>
    reports.map(({ kind, from, to, ok, answeredBy, detail, journey }) => ({
      kind,
      from,
      to,
      ok,
      answeredBy,
      detail,
      steps: journey.map(({ namespace, what, by }) => `${namespace} ${what} ${by}`),
    }));
  const ports = ({ reports }: { reports: FlowReport[] }) =>
    reports.flatMap(({ journey }) => journey.filter(({ what }) => what === 'SNAT').map(({ before }) => before));

  it.each(['three-tier', 'round-robin'])(
    'that is the same gives %s the same bytes at the same times',
    async (example) => {
      expect(everyFrame(await run(example, 5))).toEqual(everyFrame(await run(example, 5)));
    },
  );

  it.each(['three-tier', 'round-robin'])(
    'that is another gives %s other ports and the same outcome',
    async (example) => {
      const [one, two] = [await run(example, 5), await run(example, 6)];
      expect(outcome(two)).toEqual(outcome(one));
      expect(ports(two)).not.toEqual(ports(one));
      for (const port of [...ports(one), ...ports(two)].map((text) => Number(text.split(':')[1]))) {
        expect(port).toBeGreaterThanOrEqual(32768);
        expect(port).toBeLessThanOrEqual(60999);
      }
      expectConserved(one.swarm.engine);
      expectConserved(two.swarm.engine);
    },
  );
});

describe('a service without a task', () => {
  it('is nobody’s: no node has its port in the mesh, and the one that is asked resets the connection, and the run says so', async () => {
    const { spec } = parseStackFile(
      'services: { web: { image: nginx, ports: ["8080:80"], deploy: { replicas: 0 } } }',
      {
        file: 'stack.yml',
      },
    );
    const swarm = await Swarm.create(spec);
    const reports = swarm.play();
    expect(reports.map(({ ok, detail }) => `${ok} ${detail}`)).toEqual(Array(3).fill('false connection refused'));
    expect(unexpectedDrops(swarm)).toEqual([1, 2, 3].map((n) => `node${n}/host/eth0 NO_SOCKET`));
    expectConserved(swarm.engine);
  });
});

describe('a lossy underlay', () => {
  it('costs time and nothing else: TCP sends again', async () => {
    const { spec } = parseStackFile('services: { web: { image: nginx, ports: ["8080:80"] } }', { file: 'stack.yml' });
    const swarm = await Swarm.create(spec, { seed: 3 });
    swarm.underlay.loss = 0.05;
    const reports = swarm.play();
    expect(reports.map(({ ok }) => ok)).toEqual([true, true, true]);
    expectConserved(swarm.engine, { inFlight: swarm.engine.account.inFlight });
  });
});
