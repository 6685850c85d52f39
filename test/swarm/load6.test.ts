/** Loads over IPv6: between containers, and from outside through NAT66. */

import { describe, expect, it } from 'vitest';
import { type FlowReport, parseStackFile, Swarm } from '../../src/index.js';
import { expectConserved } from '../engine/watch.js';

const STACK = `
networks:
  near: { driver: bridge, enable_ipv6: true, ipam: { config: [{ subnet: 172.30.0.0/16 }, { subnet: "fd00:30::/64" }] } }
x-swarmwire:
  engine: "28"
  nodes: [{ name: node1, address6: "fd00:99::10/64" }]
  client: { address6: "fd00:99::1/64" }
  containers:
    web: { image: nginx, networks: { near: { ipv6_address: "fd00:30::b" } }, ports: ["8080:80", "9090:90/udp"] }
    other: { networks: [near] }
  traffic:
`;

interface Options {
  tapped?: boolean;
  flowTable?: boolean;
}

async function play(load: string, { tapped = false, flowTable = true }: Options = {}) {
  const { spec } = parseStackFile(`${STACK}    - load: {${load}}\n`, { file: 'load.yml' });
  const swarm = await Swarm.create(spec);
  swarm.engine.exports.setFlowTable(flowTable ? 1 : 0);
  if (tapped) swarm.tapEverything();
  const [report] = swarm.play();
  if (!report) throw new Error('no report');
  expectConserved(swarm.engine);
  return { swarm, report: report as FlowReport, fast: swarm.engine.exports.fastPackets() };
}

describe('TCP', () => {
  it('opens, sends and closes between containers, every frame over IPv6', async () => {
    const { swarm, report } = await play('from: other, to: "[fd00:30::b]:80", flows: 5, packets: 200, size: 100', {
      tapped: true,
    });
    expect(report).toMatchObject({ ok: true, detail: '200 of 200 packets arrived' });
    expect(report.load).toMatchObject({
      flows: { opened: 5, refused: 0, unanswered: 0 },
      received: { packets: 200, bytes: 200 * 100 },
      cut: 0,
    });
    expect(report.load?.tasks.map(({ name, flows }) => [name, flows])).toEqual([['web on node1', 5]]);
    const sent = swarm.frames('node1/ct-other/eth0').filter(({ protocols }) => protocols.includes('tcp'));
    expect(sent.every(({ protocols }) => protocols.includes('ipv6'))).toBe(true);
    const data = sent.filter((frame) => frame.field('tcp.flags') === '0x018');
    expect(data.map(({ data }) => data.length)).toEqual(new Array(200).fill(100));
    expect(sent.filter((frame) => frame.field('tcp.flags') === '0x002')).toHaveLength(5);
  });

  it('goes to a name that has an IPv6 address, as other traffic does', async () => {
    const { swarm, report } = await play('from: other, to: "web:80", packets: 20', { tapped: true });
    expect(report.ok).toBe(true);
    const data = swarm
      .frames('node1/ct-web/eth0')
      .filter((frame) => frame.direction === 'received' && frame.field('tcp.flags') === '0x018');
    expect(data).toHaveLength(20);
    expect(data.every(({ protocols }) => protocols.includes('ipv6'))).toBe(true);
  });

  it('reaches a published port through NAT66, by the flow table', async () => {
    const { report, fast } = await play('from: client, to: "[fd00:99::10]:8080", flows: 20, packets: 2000');
    expect(report.load).toMatchObject({ flows: { opened: 20 }, received: { packets: 2000 } });
    expect(fast).toBeGreaterThan(2000);
  });

  it('makes frames as large as their headers and a number need, and no segment longer than the MSS', async () => {
    const small = await play('from: other, to: "[fd00:30::b]:80", packets: 10, size: 60');
    expect(small.report.load?.received).toEqual({ packets: 10, bytes: 780 });
    const large = await play('from: other, to: "[fd00:30::b]:80", packets: 10, size: 3000');
    expect(large.report.load).toMatchObject({ cut: 10, received: { packets: 10, bytes: 10 * 1514 } });
  });

  it('is refused where nobody listens', async () => {
    const { report } = await play('to: "[fd00:99::10]:8081", flows: 3, packets: 30');
    expect(report.load).toMatchObject({ flows: { opened: 0, refused: 3 }, sent: { packets: 0 }, notSent: 30 });
  });
});

describe('UDP', () => {
  it('is answered where that is asked for', async () => {
    const load = 'from: client, to: "[fd00:99::10]:9090", protocol: udp, flows: 10, packets: 500, size: 200';
    const { report } = await play(`${load}, answered: true`);
    expect(report.load).toMatchObject({
      received: { packets: 500, bytes: 100_000 },
      answered: { packets: 500, bytes: 100_000 },
      flows: { opened: 10 },
    });
  });

  it('is cut into fragments by its sender', async () => {
    const { swarm, report } = await play('from: other, to: "[fd00:30::b]:90", protocol: udp, packets: 5, size: 3000', {
      tapped: true,
    });
    expect(report.load?.received).toEqual({ packets: 5, bytes: 15_000 });
    const sent = swarm
      .frames('node1/ct-other/eth0')
      .filter(({ direction, data }) => direction === 'transmitted' && data[20] === 44);
    expect(sent).toHaveLength(15);
  });
});

it('makes the same frames without the flow table', async () => {
  const load = 'to: "[fd00:99::10]:8080", flows: 7, packets: 300, imix: true, answered: true, arrivals: poisson';
  const one = await play(load, { tapped: true });
  const two = await play(load, { tapped: true, flowTable: false });
  const all = (swarm: Swarm) =>
    swarm.frames().map(({ tap, time, data }) => `${tap} ${time} ${Buffer.from(data).toString('hex')}`);
  expect(all(one.swarm)).toEqual(all(two.swarm));
  expect(one.report.load).toEqual(two.report.load);
  expect(one.fast).toBeGreaterThan(300);
  expect(two.fast).toBe(0);
});

it('says that sources are IPv4 addresses, to whom gives a spec of his own', async () => {
  const { spec } = parseStackFile(`${STACK}    - load: { to: "[fd00:99::10]:8080" }\n`, { file: 'load.yml' });
  const traffic = spec.traffic?.map((item) => ({ ...item, sources: '198.18.0.0/15' }) as typeof item) ?? [];
  const [report] = (await Swarm.create({ ...spec, traffic })).play();
  expect(report).toMatchObject({ ok: false, detail: expect.stringContaining('"sources" are IPv4 addresses') });
});

it('has no more flows than one address has ports, and names no way out that there is not', async () => {
  const { report } = await play('to: "[fd00:99::10]:8080", flows: 30000');
  expect(report).toMatchObject({ ok: false, detail: 'only 28232 of 30000 flows find a source port' });
});

it('opens at the rate in bits: a SYN is 86 bytes long', async () => {
  const { swarm } = await play('from: other, to: "[fd00:30::b]:80", flows: 4, packets: 4, rate: 8.6Mbps', {
    tapped: true,
  });
  const times = swarm
    .frames('node1/ct-other/eth0')
    .filter((frame) => frame.field('tcp.flags') === '0x002')
    .map(({ time }) => BigInt(time));
  // The first one waits for a neighbour.
  expect(times.slice(2).map((time, i) => time - (times[i + 1] ?? 0n))).toEqual([80_000n, 80_000n]);
});
