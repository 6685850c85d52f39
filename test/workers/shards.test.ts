/** Engines that share a load: what they capture together is what one alone captures. */

import { describe, expect, it } from 'vitest';
import type { Swarm } from '../../src/index.js';
import { bridge, compare, leftBy, mesh, routed } from './shares.js';

const CLIENT = 'client/host/eth0';

describe('over minutes, while neighbours are asked for again and again', () => {
  it('sends connections over IPv4 by several engines as by one', async () => {
    const { one, shares } = await compare(
      bridge(`{ load: { to: "node1:8080", flows: 7, packets: 3000, rate: 20 } },
        { load: { to: "node1:9090", protocol: udp, flows: 5, packets: 2000, rate: 20, arrivals: poisson, answered: true } }`),
    );
    // Each sends its own, and not much besides.
    for (const part of shares) expect(leftBy(part, CLIENT) / leftBy(one, CLIENT)).toBeLessThan(0.8);
  }, 120_000);

  it('sends them over IPv6 so', async () => {
    const { one, shares } = await compare(
      bridge(`{ load: { to: "[fd00:99::10]:8080", flows: 7, packets: 3000, rate: 20 } },
        { load: { to: "[fd00:99::10]:9090", protocol: udp, flows: 5, packets: 2000, rate: 20, arrivals: poisson, answered: true } }`),
    );
    for (const part of shares) expect(leftBy(part, CLIENT) / leftBy(one, CLIENT)).toBeLessThan(0.8);
  }, 120_000);

  it('sends them from a task to its own node so, whose bridge turns them round', async () => {
    await compare(
      mesh(
        '{ load: { from: api, to: "node1:9090", protocol: udp, flows: 7, packets: 2000, rate: 20, arrivals: poisson } }',
      ),
    );
  }, 120_000);

  it('sends them through a mesh so, by a service and from many addresses, with other traffic between', async () => {
    await compare(
      mesh(`{ load: { to: "node1:8080", sources: 192.168.99.128/28, flows: 40, packets: 1500, rate: 30, arrivals: poisson } },
        { ping: { to: node3 } },
        { load: { from: api, to: "web:80", flows: 9, packets: 1500, rate: 30, answered: true } },
        { http: { to: "node2:8080" } },
        { load: { to: "node3:9090", protocol: udp, flows: 3, packets: 300, rate: 5 } }`),
    );
  }, 120_000);
});

it('knows of progress that others make, which spares a neighbour to be asked for', async () => {
  await compare(
    bridge(`{ ping: { from: other, to: 172.30.0.2 } },
      { load: { from: [third, other], to: "172.30.0.2:80", flows: 2, packets: 30, rate: 1, answered: true, at: 60000 } }`),
  );
  // Also when it is asked for between two packets that are sent here.
  await compare(
    bridge(`{ ping: { from: other, to: 172.30.0.2 } },
      { load: { from: [third, other], to: "172.30.0.2:80", flows: 3, packets: 300, rate: 1.1, answered: true, at: 60000 } }`),
  );
}, 120_000);

it.each<[string, number, string, number]>([
  ['constant', 200, 'size: 64', 36_500],
  ['poisson', 200, 'size: 64', 36_500],
  // So many packets a flow that not all are drawn in advance.
  ['poisson', 66, 'imix: { 60: 3, 500: 1 }', 36_600],
])(
  "ends every datagram's connection when it would, whoever sent the last one: %s, of %i flows",
  async (arrivals, most, size, later) => {
    const load = (flows: number, packets: number, at: number) =>
      `{ load: { from: [client, node1], to: "node3:9090", protocol: udp, flows: ${flows}, packets: ${packets}, ${size}, rate: 200, arrivals: ${arrivals}, at: ${at} } }`;
    await compare(mesh(`${load(most, 1600, 0)}, ${load(300, 300, later)}`));
  },
  120_000,
);

it('learns a told MTU of IPv6 again when one engine would', async () => {
  const stack = bridge(
    '{ load: { to: "[fd00:99::10]:9090", protocol: udp, flows: 4, packets: 1250, size: 1500, rate: 2 } }',
  );
  await compare(
    stack.replace('driver: bridge,', 'driver: bridge, driver_opts: { com.docker.network.driver.mtu: "1400" },'),
  );
}, 120_000);

it('keeps every connection alive that others send by, so that the next one goes where it would', async () => {
  await compare(
    mesh(`{ load: { to: "node3:9090", protocol: udp, flows: 7, packets: 2900, rate: 7 } },
      { load: { to: "node3:9090", protocol: udp, sources: 192.168.99.128/28, flows: 5, packets: 50, rate: 100 } }`),
  );
}, 120_000);

it('sends half of a fast load, and little of the other half', async () => {
  const { one, shares } = await compare(
    mesh('{ load: { to: "node1:8080", flows: 50, packets: 6000, rate: 100kpps, arrivals: poisson } }'),
  );
  for (const part of shares) expect(leftBy(part, CLIENT) / leftBy(one, CLIENT)).toBeLessThan(0.55);
}, 120_000);

describe('counts what others send too', () => {
  it('where packets are too big, and the errors about them are numbered', async () => {
    const { one, shares } = await compare(
      mesh(
        '{ load: { to: "node3:9090", protocol: udp, flows: 5, packets: 4000, imix: true, rate: 40, answered: true } }',
      ),
    );
    // Those that fit are left to their owners all the same.
    for (const part of shares) expect(leftBy(part, CLIENT) / leftBy(one, CLIENT)).toBeLessThan(0.9);
  }, 120_000);

  it('where nobody listens', async () => {
    await compare(
      mesh(`{ load: { to: "node2:7777", protocol: udp, flows: 5, packets: 600, rate: 10, arrivals: poisson } },
        { load: { to: "node2:7777", flows: 5, packets: 600, rate: 100 } }`),
    );
  }, 120_000);

  it('where ESP numbers all that goes through a tunnel', async () => {
    await compare(
      mesh(
        '{ load: { to: "node1:8080", flows: 9, packets: 500, rate: 1kpps } }, { load: { from: api.1, to: "web:80", flows: 13, packets: 500, rate: 10 } }',
        {
          options: 'driver_opts: { encrypted: "" }',
        },
      ),
    );
  }, 120_000);

  it('where a wire loses some', async () => {
    await compare(
      mesh(`{ load: { to: "node1:8080", flows: 9, packets: 600, rate: 30 } },
        { load: { to: "node3:9090", protocol: udp, flows: 5, packets: 600, rate: 30, arrivals: poisson, answered: true } }`),
      {
        play: (swarm) => {
          swarm.underlay.loss = 0.01;
          swarm.play();
        },
      },
    );
  }, 120_000);

  it('where a router tells of a shorter way, the less often the more packets come', async () => {
    await compare(
      routed('{ load: { from: one, to: "192.168.51.10:80", flows: 4, packets: 800, rate: 40, arrivals: poisson } }'),
    );
  }, 120_000);

  it('where datagrams over IPv6 leave in fragments, whose ids are random', async () => {
    await compare(
      bridge(
        '{ load: { to: "[fd00:99::10]:9090", protocol: udp, flows: 6, packets: 300, size: 4000, rate: 5, answered: true } }, { ping: { from: other, to: web } }',
      ),
    );
  }, 120_000);
});

it('knows the way of all flows between two by one of them', async () => {
  const { one, shares } = await compare(
    mesh('{ load: { to: "node1:9090", protocol: udp, flows: 200, packets: 800, rate: 1kpps } }'),
  );
  // The first and the last packet of each; of the others, half.
  for (const part of shares) expect(leftBy(part, CLIENT) / leftBy(one, CLIENT)).toBeLessThan(0.8);
}, 120_000);

it('is where one engine is when it is to leave off', async () => {
  const few = mesh('{ load: { to: "node1:8080", flows: 40, packets: 3000, rate: 20, arrivals: poisson } }');
  // While there are many to come, steps are long.
  const many = mesh('{ load: { to: "node1:8080", flows: 40, packets: 14000, rate: 20kpps, arrivals: poisson } }');
  const leaves: [string, number][] = [
    [few, 30],
    [few, 77],
    [many, 3],
    [many, 12],
  ];
  for (const [stack, last] of leaves) {
    const play = (swarm: Swarm) => {
      const steps = swarm.playing();
      for (let step = 0; step < last; step++) steps.next();
      steps.return([]);
    };
    const { one } = await compare(stack, { play });
    expect(one.swarm.reports.map(({ load }) => load?.over)).toEqual([false]);
  }
}, 120_000);

it('knows no way from the load before', async () => {
  const load = (to: string, packets: number, at: number) =>
    `{ load: { to: "${to}:9090", protocol: udp, flows: 7, packets: ${packets}, rate: 10, at: ${at} } }`;
  const loads = [load('node3', 10, 0), load('node1', 250, 14_000), load('node3', 450, 0)].join(', ');
  await compare(mesh(loads).replace('replicas: 3', 'replicas: 1'));
}, 120_000);

it('sends all datagrams of flows that may be silent until their connections have ended, and only of those', async () => {
  const load = (flows: number, packets: number, more: string) =>
    `{ load: { from: [api, web, node1], to: "node3:9090", protocol: udp, flows: ${flows}, packets: ${packets}, ${more}, arrivals: poisson } }`;
  await compare(mesh(load(12, 500, 'rate: 700bps')));
  const { one, shares } = await compare(mesh(load(12, 600, 'imix: { 60: 3, 500: 1 }, rate: 22kbps')));
  for (const part of shares) expect(leftBy(part, 'node1/host/eth0') / leftBy(one, 'node1/host/eth0')).toBeLessThan(0.9);
}, 120_000);

it('finds out anew about the ways of flows that go elsewhere', async () => {
  const load = '{ load: { to: "node3:9090", protocol: udp, flows: 6, packets: 3000, rate: 20 } }';
  const more = 'changes: [{ at: 1000, scale: { web: 3 } }, { at: 8000, exit: web.1 }],';
  await compare(mesh(load, { more }).replace('replicas: 3', 'replicas: 1'));
}, 120_000);

it('takes back what is left to others when sockets go and balancers change before it is sent', async () => {
  await compare(
    mesh('{ load: { to: "node1:9090", protocol: udp, flows: 7, packets: 1200, rate: 40 } }', {
      more: 'changes: [{ at: 5000, exit: web.1 }, { at: 12000, exit: web.2 }, { at: 20000, kill: web.3 }],',
    }),
  );
  const changes = [3, 2, 4, 3, 2, 4, 3].map((web, i) => `{ at: ${4000 * (i + 1)}, scale: { web: ${web} } }`);
  await compare(
    mesh(
      '{ load: { to: "node1:9090", protocol: udp, flows: 24, packets: 1200, rate: 40, arrivals: poisson, imix: { 60: 3, 500: 1 }, answered: true } }',
      { more: `changes: [${changes}],` },
    ),
  );
}, 120_000);

it('follows changes of the swarm while the load runs', async () => {
  const changes = `changes: [
    { at: 9003, scale: { web: 1 } }, { at: 20010, scale: { web: 4 } }, { at: 33333, kill: web.1 },
    { at: 45000, drain: node2 }, { at: 60000, exit: web.3 }]`;
  const { one } = await compare(
    mesh(
      `{ load: { to: "node1:8080", flows: 12, packets: 1500, rate: 30, arrivals: poisson } },
      { load: { from: api, to: "web:90", protocol: udp, flows: 7, packets: 900, rate: 50 } }`,
      { more: `${changes},` },
    ),
  );
  // Tasks that are gone in the end have their names all the same.
  const [load] = one.swarm.reports;
  expect(load?.load?.tasks.map(({ name }) => name)).toEqual(['web.1 on node1', 'web.2 on node2', 'web.3 on node3']);
}, 120_000);

it('says what is lost as one engine does, though of a packet that arrives copies end elsewhere', async () => {
  const changes = 'changes: [{ at: 2477, lose: node3 }, { at: 5928, exit: web.2 }, { at: 20770, restore: node3 }],';
  const load =
    '{ load: { from: api.1, to: "web:90", protocol: udp, flows: 9, packets: 300, imix: true, rate: 30kbps, arrivals: poisson } }';
  const { one } = await compare(mesh(load, { more: changes }), { counts: [2] });
  const [report] = one.swarm.reports;
  expect(report?.load?.lost).toEqual({ packets: 25, reasons: { DEV_DOWN: 25 } });
}, 120_000);

it('has the errors about packets for a neighbour that does not answer made by who sends these', async () => {
  const load =
    '{ load: { from: [api, node3], to: "node3:9090", protocol: udp, flows: 3, packets: 58, imix: { 60: 3, 500: 1 }, rate: 1kbps } }';
  const stack = mesh(load, { more: 'changes: [{ at: 33928, lose: node3 }],' });
  const { one } = await compare(stack, { counts: [4] });
  expect(one.swarm.reports[0]?.load?.lost.reasons.NEIGH_FAILED).toBeGreaterThan(0);

  // Of one that is left off those that wait are not lost.
  const play = (swarm: Swarm) => {
    const steps = swarm.playing();
    while (swarm.engine.now < 65e9) steps.next();
    steps.return([]);
  };
  const left = (await compare(stack, { counts: [4], play })).one.swarm.reports[0]?.load;
  if (!left) throw new Error('no report');
  expect(left.over).toBe(false);
  expect(left.lost.packets).toBeLessThan(left.sent.packets - left.received.packets);
}, 120_000);
