/** Loads: many packets over many flows at a rate, made and taken by the engine, on their real way through a swarm. */

import { describe, expect, it } from 'vitest';
import { type FlowReport, parseStackFile, Swarm } from '../../src/index.js';
import { expectConserved } from '../engine/watch.js';

const STACK = `
services:
  web:
    image: nginx
    ports: ["8080:80", "9090:90/udp"]
    networks: [net1]
    deploy: {replicas: 3}
  api: {image: api, networks: [net1], deploy: {replicas: 2}}
networks: {net1: {}}
x-swarmwire:
  nodes: 3
  traffic:
`;

async function stand(loads: string[], { seed = 1, tapped = false, flowTable = true } = {}): Promise<Swarm> {
  const traffic = loads.map((load) => `    - load: {${load}}\n`).join('');
  const { spec } = parseStackFile(STACK + traffic, { file: 'load.yml' });
  const swarm = await Swarm.create(spec, { seed });
  swarm.engine.exports.setFlowTable(flowTable ? 1 : 0);
  if (tapped) swarm.tapEverything();
  return swarm;
}

async function play(load: string, options = {}): Promise<{ swarm: Swarm; report: FlowReport }> {
  const swarm = await stand([load], options);
  const [report] = swarm.play();
  if (!report) throw new Error('no report');
  expectConserved(swarm.engine);
  return { swarm, report };
}

/** Frames of data that left the client: with bytes behind the headers. */
const fromClient = (swarm: Swarm, headers = 54) =>
  swarm
    .frames('client/host/eth0')
    .filter(
      ({ direction, data, protocols }) =>
        direction === 'transmitted' && data.length > headers && !protocols.includes('arp'),
    );

describe('TCP through the routing mesh', () => {
  it('opens its connections, sends its packets, closes, and every task has its share', async () => {
    const { swarm, report } = await play('from: client, to: "node1:8080", flows: 30, packets: 600, rate: 20000', {
      tapped: true,
    });
    expect(report).toMatchObject({ kind: 'load', ok: true, detail: '600 of 600 packets arrived' });
    expect(report.load).toMatchObject({
      protocol: 'tcp',
      flows: { asked: 30, opened: 30, refused: 0, unanswered: 0 },
      sent: { packets: 600, bytes: 600 * 64 },
      received: { packets: 600, bytes: 600 * 64 },
      lost: { packets: 0, reasons: {} },
      notSent: 0,
      cut: 0,
    });
    expect(
      report.load?.tasks.map(({ name, flows, packets, share }) => [name.split(' ')[0], flows, packets, share]),
    ).toEqual([
      ['web.1', 10, 200, 1 / 3],
      ['web.2', 10, 200, 1 / 3],
      ['web.3', 10, 200, 1 / 3],
    ]);
    const sent = swarm.frames('client/host/eth0').filter(({ direction }) => direction === 'transmitted');
    const flags = (value: string) => sent.filter((frame) => frame.field('tcp.flags') === value);
    expect(flags('0x002')).toHaveLength(30);
    expect(flags('0x018')).toHaveLength(600);
    expect(flags('0x011')).toHaveLength(30);
    expect(new Set(flags('0x018').map(({ data }) => data.length))).toEqual(new Set([64]));
  });

  it('sends at even distances, its flows in turn', async () => {
    const { swarm, report } = await play('to: "node2:8080", flows: 4, packets: 40, rate: 1000pps', { tapped: true });
    const data = fromClient(swarm).filter((frame) => frame.field('tcp.flags') === '0x018');
    const distances = data.slice(1).map(({ time }, index) => Number(time - (data[index]?.time ?? 0n)));
    expect(new Set(distances)).toEqual(new Set([1_000_000]));
    const ports = data.map((frame) => frame.field('tcp.srcport'));
    expect(new Set(ports).size).toBe(4);
    expect(ports.slice(4)).toEqual(ports.slice(0, -4));
    expect(report.load?.rate.packets).toBeCloseTo(40 / (report.load?.duration ?? 1) / 1e-9, 3);
  });

  it('keeps to the MSS of the overlay', async () => {
    const { report } = await play('to: "node1:8080", flows: 2, packets: 120, imix: {60: 1, 1514: 1}, rate: 1Gbps');
    expect(report.ok).toBe(true);
    expect(report.load?.cut).toBeGreaterThan(30);
    expect(report.load?.received.packets).toBe(120);
  });

  it('opens again what was not answered: nobody knows the way at first', async () => {
    const { report } = await play('to: "node1:8080", flows: 2000, packets: 2000, rate: 2Mpps');
    expect(report.load).toMatchObject({ flows: { opened: 2000, unanswered: 0 }, received: { packets: 2000 } });
  });

  it('is refused where nobody listens', async () => {
    const { report } = await play('to: "node1:8081", flows: 5, packets: 50');
    expect(report.ok).toBe(false);
    expect(report.load).toMatchObject({ flows: { opened: 0, refused: 5 }, sent: { packets: 0 }, notSent: 50 });
  });
});

describe('UDP', () => {
  it('is one-way, unless it is to be answered', async () => {
    const { report } = await play('to: "node1:9090", protocol: udp, flows: 10, packets: 500, size: 200');
    expect(report.load).toMatchObject({ received: { packets: 500, bytes: 100_000 }, flows: { opened: 10 } });
    expect(report.load?.answered).toBeUndefined();
    const answered = await play('to: "node1:9090", protocol: udp, flows: 10, packets: 500, size: 200, answered: true');
    expect(answered.report.load?.answered).toEqual({ packets: 500, bytes: 100_000 });
  });

  it('says where and why packets are lost', async () => {
    const { report } = await play('to: "node1:9090", protocol: udp, packets: 100, size: 1514');
    expect(report.ok).toBe(false);
    expect(report.load?.lost).toEqual({ packets: 100, reasons: { PKT_TOO_BIG: 100 } });
  });

  it('arrives at random times with the right mean, the same for the same seed', async () => {
    const load = 'to: "node1:9090", protocol: udp, flows: 20, packets: 2000, rate: 10kpps, arrivals: poisson';
    const { swarm, report } = await play(load, { tapped: true });
    expect(report.load?.received.packets).toBe(2000);
    const times = fromClient(swarm, 42).map(({ time }) => Number(time));
    const distances = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    const mean = distances.reduce((sum, one) => sum + one, 0) / distances.length;
    expect(mean).toBeGreaterThan(90_000);
    expect(mean).toBeLessThan(110_000);
    const variance = distances.reduce((sum, one) => sum + (one - mean) ** 2, 0) / distances.length;
    expect(Math.sqrt(variance) / mean).toBeCloseTo(1, 0);
    const again = await play(load, { tapped: true });
    expect(fromClient(again.swarm, 42).map(({ time }) => Number(time))).toEqual(times);
    const other = await play(load, { tapped: true, seed: 2 });
    expect(fromClient(other.swarm, 42).map(({ time }) => Number(time))).not.toEqual(times);
  });
});

it('is not mixed up with what nodes say to each other meanwhile', async () => {
  const { spec } = parseStackFile(
    STACK.replace('  nodes: 3\n', '  nodes: 3\n  control-plane: true\n') +
      '    - load: {from: client, to: "node1:8080", flows: 20, packets: 3000, rate: 1000}\n',
    { file: 'load.yml' },
  );
  const swarm = await Swarm.create(spec, { seed: 1 });
  const [report] = swarm.play();
  expect(report).toMatchObject({ ok: true, detail: '3000 of 3000 packets arrived' });
  expect(report?.load?.tasks.map(({ name }) => name.split(' ')[0])).toEqual(['web.1', 'web.2', 'web.3']);
});

it('names tasks that go between two looks at who there is', async () => {
  // While many packets are to come, it is looked every 100 ms.
  const load = '    - load: {to: "node1:9090", protocol: udp, flows: 30, packets: 20000, rate: 20pps}\n';
  const changes = '  changes: [{at: 80, kill: web.2}, {at: 110, scale: {web: 1}}]\n';
  const stack = STACK.replace('  nodes: 3\n', `  nodes: 3\n${changes}`) + load;
  const swarm = await Swarm.create(parseStackFile(stack, { file: 'load.yml' }).spec, { seed: 1 });
  const steps = swarm.playing();
  while (swarm.engine.now < 3e9) steps.next();
  steps.return([]);
  expect(swarm.topology.sandboxes.flatMap(({ task }) => (task?.startsWith('web.') ? [task] : []))).toEqual(['web.1']);
  const names = swarm.reports[0]?.load?.tasks.map(({ name }) => name);
  expect(names).toEqual(['web.1 on node1', 'web.2 on node2', 'web.3 on node3']);
});

it('has a connection that is answered too late neither opened nor twice', async () => {
  const { spec } = parseStackFile(
    `${STACK.replace(
      '  traffic:\n',
      '  changes: [{ at: 59900, lose: node2 }, { at: 64500, restore: node2 }]\n  traffic:\n',
    )}    - load: {from: client, to: "node1:8080", flows: 12, packets: 6000, rate: 300, at: 60000}\n`,
    { file: 'load.yml' },
  );
  const swarm = await Swarm.create(spec, { seed: 1 });
  const [report] = swarm.play();
  const { asked, opened, refused, unanswered } = report?.load?.flows ?? {
    asked: 0,
    opened: 0,
    refused: 0,
    unanswered: 0,
  };
  expect([asked, unanswered > 0]).toEqual([12, true]);
  expect(opened + refused + unanswered).toBe(12);
});

describe('who sends', () => {
  it('may be a service, whose tasks all send, to another by its virtual address', async () => {
    const { report } = await play('from: api, to: "web:80", flows: 12, packets: 240, answered: true');
    expect(report.load).toMatchObject({ received: { packets: 240 }, answered: { packets: 240 } });
    // Each sender's node balances for itself.
    expect(report.load?.tasks.reduce((sum, { flows }) => sum + flows, 0)).toBe(12);
    expect(report.load?.tasks).toHaveLength(3);
  });

  it('may have many addresses', async () => {
    const { swarm, report } = await play(
      'from: client, to: "node1:8080", flows: 30000, packets: 1000, rate: 1Mpps, sources: 198.18.0.0/15',
    );
    expect(report.load).toMatchObject({ flows: { opened: 30_000 }, received: { packets: 1000 } });
    expect(swarm.engine.live.connections).toBeGreaterThan(30_000);
  });

  it('is told when there are not enough ports', async () => {
    const { report } = await play('from: client, to: "node1:8080", flows: 30000');
    expect(report).toMatchObject({ ok: false, detail: expect.stringContaining('only 28232 of 30000 flows') });
  });
});

it('makes the same frames without the flow table', async () => {
  const load = 'to: "node1:8080", flows: 7, packets: 300, imix: true, answered: true, arrivals: poisson';
  const one = await play(load, { tapped: true });
  const two = await play(load, { tapped: true, flowTable: false });
  const all = (swarm: Swarm) =>
    swarm.frames().map(({ tap, time, data }) => `${tap} ${time} ${Buffer.from(data).toString('hex')}`);
  expect(all(one.swarm)).toEqual(all(two.swarm));
  expect(one.report.load).toEqual(two.report.load);
});

it('follows other traffic and is followed by it', async () => {
  const { spec } = parseStackFile(
    `${STACK}    - http: {to: "node1:8080"}\n    - load: {to: "node1:8080", packets: 100}\n    - http: {to: "node1:8080"}\n`,
    { file: 'load.yml' },
  );
  const reports = (await Swarm.create(spec)).play();
  expect(reports.map(({ kind, ok }) => [kind, ok])).toEqual([
    ['http', true],
    ['load', true],
    ['http', true],
  ]);
});
