/**
 * Tables that change between two frames of one vector take effect on the next of them: with the flow table, which has foreseen the
 * whole vector by then, as without it.
 */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { establish } from '../../bench/flows.js';
import { ACK, answerTo, control, FIN, fromClient, SYN } from '../../bench/frames.js';
import { checkedModule } from '../../bench/fuzz/files.js';
import { Random } from '../../bench/fuzz/random.js';
import { Mesh, STRIDE } from '../../bench/mesh.js';
import type { Denial } from '../../src/engine/denial.js';
import { lives } from './lives.js';
import { books, connectionsOf, digest, state } from './seen.js';

const VECTOR = 32;
const FLOWS = 6;
interface Interrupted {
  beginVector(device: number, frames: number, lengths: number, stride: number, count: number): void;
  continueVector(device: number, count: number): void;
}

/** What can be changed, by name: the scale, a neighbour, a connection, rules, devices, the wire's access list. */
const CHANGES = [
  'scale-down',
  'weight',
  'neighbour',
  'neighbour-moves',
  'connection',
  'rule',
  'rule-goes',
  'forward',
  'mtu',
  'device',
  'forwarding-entry',
  'learned-again',
  'denied',
  'allowed',
  'route',
  'tap',
] as const;
type Change = (typeof CHANGES)[number];

async function live(
  seed: number,
  fast: boolean,
  module: WebAssembly.Module,
  steps: number,
  counts?: Map<Change, number>,
) {
  const random = new Random(seed, 11);
  const mesh = await Mesh.create(random.chance(0.5), module);
  const { engine, nic, macs } = mesh;
  engine.exports.setFlowTable(fast ? 1 : 0);
  const kinds = [await establish(mesh, 'tcp', FLOWS, undefined), await establish(mesh, 'udp', FLOWS, undefined)];
  const seen: string[] = [];
  const interrupted = engine.exports as unknown as Interrupted;
  const frames = engine.exports.scratch(VECTOR * STRIDE) >>> 0;
  const lengths = engine.exports.scratch(VECTOR * 4) >>> 0;
  const node1 = [...engine.namespaces.values()].filter(({ name }) => name.startsWith('node1/'));
  const devices = engine.devices.filter(({ path, kind }) => path.startsWith('node1/') && kind !== 'loopback');
  const overlay = mesh.namespace('node1/ov-ingress');
  const sandbox = mesh.namespace('node1/ingress_sbox');
  const ruled: { remove(): void }[] = [];
  const denied: Denial[] = [];

  const frame = (): Uint8Array => {
    const { flows, sent } = random.pick(kinds);
    const i = random.below(FLOWS);
    const [flow, left] = [flows[i], sent[i]];
    if (!flow || !left) throw new RangeError('no such flow');
    const size = random.pick([64, 64, 300]);
    if (random.chance(0.3)) return answerTo(left, size, ACK);
    if (random.chance(0.05)) return control(flow, macs, random.pick([SYN, FIN | ACK]));
    return fromClient(flow, macs, size, ACK);
  };
  const change = (): void => {
    const what = random.pick(CHANGES);
    counts?.set(what, (counts.get(what) ?? 0) + 1);
    const device = random.pick(devices);
    const namespace = random.pick(node1);
    switch (what) {
      case 'scale-down': {
        const destinations = sandbox.ipvs.services.flatMap((one) => one.destinations);
        if (destinations.length > 20) random.pick(destinations).remove();
        break;
      }
      case 'weight': {
        const destinations = sandbox.ipvs.services.flatMap((one) => one.destinations);
        random.pick(destinations).weightNow = random.pick([0, 1]);
        break;
      }
      case 'neighbour': {
        const known = namespace.neighbours;
        if (known.length > 0) namespace.removeNeighbour(random.pick(known));
        break;
      }
      case 'neighbour-moves': {
        const known = namespace.neighbours;
        if (known.length === 0) break;
        const { device: by, address } = random.pick(known);
        const on = devices.find((one) => one === by) ?? device;
        namespace.addNeighbour(on, address, `02:00:00:00:aa:0${random.below(10)}`);
        break;
      }
      case 'connection': {
        engine.exports.forgetConnection(random.pick(connectionsOf(engine)));
        break;
      }
      case 'rule':
        ruled.push(
          namespace.iptables.insert(random.pick(['filter', 'mangle'] as const), random.pick(['FORWARD', 'OUTPUT']), {
            protocol: random.pick(['tcp', 'udp'] as const),
            target: random.pick(['DROP', 'ACCEPT', 'RETURN'] as const),
          }),
        );
        break;
      case 'rule-goes':
        ruled.pop()?.remove();
        break;
      case 'forward':
        namespace.set('forward', random.pick([0, 1, 1, 1]));
        break;
      case 'mtu':
        device.mtu = random.pick([1500, 1450, 120]);
        break;
      case 'device':
        device.up = !device.up || random.chance(0.5);
        break;
      case 'forwarding-entry':
        overlay.removeFdb(overlay.device('br0'), random.pick(mesh.tasks).mac);
        break;
      case 'learned-again':
        mesh.learn();
        for (const one of devices) one.up = true;
        break;
      case 'denied':
        denied.push(nic.deny({ protocol: random.pick(['tcp', 'udp'] as const) }));
        break;
      case 'allowed':
        denied.pop()?.remove();
        break;
      case 'route': {
        const { routes } = namespace;
        const [route] = routes.filter(({ device: by }) => by === device);
        if (route && random.chance(0.3)) namespace.removeRoute(route);
        break;
      }
      case 'tap':
        device.tap();
        break;
    }
  };

  for (let step = 0; step < steps; step++) {
    const count = random.between(4, VECTOR);
    const { bytes, view } = engine.memory;
    for (let i = 0; i < count; i++) {
      const one = frame();
      bytes.set(one, frames + i * STRIDE);
      view.setUint32(lengths + 4 * i, one.length, true);
    }
    interrupted.beginVector(nic.at, frames, lengths, STRIDE, count);
    for (let left = count; left > 0; ) {
      const some = random.between(1, left);
      interrupted.continueVector(nic.at, some);
      left -= some;
      if (left > 0 && random.chance(0.5)) change();
    }
    for (const records of mesh.drain()) seen.push(`capture ${records.length} ${digest(records)}`);
    if (step % 5 === 4) seen.push(`step ${step}`, ...books(engine));
    // Now and then all is well again, so that flows are recorded anew.
    if (!random.chance(0.2)) continue;
    for (const rule of ruled.splice(0)) rule.remove();
    for (const one of denied.splice(0)) one.remove();
    for (const one of devices) [one.up, one.mtu] = [true, Math.max(one.mtu, 1450)];
    for (const one of node1) one.set('forward', 1);
    mesh.learn();
    engine.run(engine.now + random.pick([1e6, 1e6, 35e9, 130e9]));
  }
  seen.push(...state(engine));
  return { seen, fast: engine.exports.fastPackets() };
}

it('a change between two frames of a vector is met by the next one', async () => {
  const module = await checkedModule();
  const counts = new Map<Change, number>();
  let fast = 0;
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 1 << 30 }), async (seed) => {
      const slow = await live(seed, false, module, 40);
      const quick = await live(seed, true, module, 40, counts);
      expect(quick.seen).toEqual(slow.seen);
      expect(slow.fast).toBe(0);
      fast += quick.fast;
    }),
    lives(6, 3),
  );
  // It would not say much if nothing had been fast, or nothing had changed.
  expect(fast).toBeGreaterThan(1000);
  expect([...counts.keys()].sort()).toEqual([...CHANGES].sort());
}, 300_000);
