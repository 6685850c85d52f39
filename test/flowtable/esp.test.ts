/** An encrypted overlay by the flow table: packets take the fast way on both sides of the cipher, and what changes is met by the next one. */

import { expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import { encryptionIn } from '../../src/drivers/overlay-encryption.js';
import { type Datagram, Engine, Sockets, type UdpSocket } from '../../src/engine/index.js';
import { plan } from '../../src/swarm/plan.js';
import { realize } from '../../src/swarm/realize.js';
import { hostPart } from '../../src/topology/topology.js';
import { books, digest, state } from './seen.js';
import { ENCRYPTED } from './topologies.js';

const module = await checkedModule();
const MICROSECOND = 1000;
/** Datagrams, and half of their answers: each is sealed once and opened once. */
const COUNT = 200;

/** A datagram every ten microseconds from a task of one node to one of the other, which answers; `at` half of the time something happens. */
async function life(fast: boolean, engineVersion: '20.10' | '28', happens: (engine: Engine) => void) {
  const engine = await Engine.create({ module, seed: 1, captureBuffer: 8 << 20 });
  engine.exports.setFlowTable(fast ? 1 : 0);
  const { topology } = plan({ ...ENCRYPTED, engine: engineVersion }, 1);
  const { namespaces } = realize(engine, topology, { latency: 1000 });
  const sockets = new Sockets(engine);
  const [near, far] = ['node1', 'node2'].map((node) => {
    const sandbox = topology.sandboxes.find((one) => one.kind === 'task' && one.node === node);
    const endpoint = sandbox?.endpoints.find(({ network }) => network === 'net1');
    const namespace = namespaces.get(`${node}/${sandbox?.name}`);
    if (!endpoint || !namespace) throw new RangeError(`no task on ${node}`);
    return { namespace, address: hostPart(endpoint.address) };
  });
  if (!near || !far) throw new RangeError('no two tasks');
  const seen: string[] = [];
  engine.onCapture = (records) => void seen.push(`${records.length} ${digest(records)}`);
  for (const { kind, namespace } of engine.devices)
    if (kind === 'physical') for (const device of namespace.devices.values()) device.tap();
  sockets.openUdp(far.namespace, 80, ({ data, from, time }: Datagram, socket: UdpSocket) => {
    socket.send(from, data, sockets.after(time));
  });
  let answers = 0;
  const socket = sockets.openUdp(near.namespace, 5000, () => void answers++);
  const goOn = (time: number) => void engine.run(engine.now + time, (punted) => sockets.handle(punted));
  const say = (count: number) => {
    for (let i = 0; i < count; i++)
      socket.send({ address: far.address, port: 80 }, new Uint8Array(20 + i), engine.now + i * 10 * MICROSECOND);
  };
  say(3);
  goOn(1e9);
  const before = engine.exports.fastPackets();
  say(COUNT);
  engine.at(engine.now + 5 * COUNT * MICROSECOND, () => happens(engine));
  goOn(1e9);
  return { seen: [...seen, ...books(engine), ...state(engine)], answers, fast: engine.exports.fastPackets() - before };
}

const hosts = (engine: Engine) => [...engine.namespaces.values()].filter((one) => encryptionIn(one));
const outbound = (engine: Engine) =>
  hosts(engine).map(({ xfrm }) =>
    xfrm.association(xfrm.policies[0]?.template.destination ?? '', xfrm.policies[0]?.template.spi ?? 0),
  );

it.each(['20.10', '28'] as const)('with the rules of Engine %s', async (version) => {
  const slow = await life(false, version, () => {});
  const quick = await life(true, version, () => {});
  expect(quick.seen).toEqual(slow.seen);
  expect(quick.answers).toBe(COUNT + 3);
  // There and back: to the cipher, out of it, to the next one, out of it.
  expect(quick.fast).toBeGreaterThan(0.95 * COUNT * 8);
});

it.each<[string, (engine: Engine) => void, boolean]>([
  [
    'keys that rotate',
    (engine) => {
      for (const host of hosts(engine)) {
        const encryption = encryptionIn(host);
        const [, ...kept] = [...(encryption?.keys ?? [])].sort((a, b) => a.tag - b.tag);
        encryption?.rotate([...kept, { key: '00112233445566778899aabbccddeeff', tag: (kept.at(-1)?.tag ?? 0) + 1 }]);
      }
    },
    true,
  ],
  [
    'an association that goes',
    (engine) => {
      const [, association] = outbound(engine);
      if (association) hosts(engine)[1]?.xfrm.removeAssociation(association);
    },
    false,
  ],
  [
    'sequence numbers that run out',
    (engine) => {
      for (const association of outbound(engine)) if (association) association.sequence = 0xfffffff0;
    },
    false,
  ],
  [
    'a node that goes',
    (engine) => {
      for (const device of engine.devices) if (device.path === 'node2/host/eth0') device.up = false;
    },
    false,
  ],
])('meets %s in the middle', async (_, happens, goesOn) => {
  const slow = await life(false, '20.10', happens);
  const quick = await life(true, '20.10', happens);
  expect(quick.seen).toEqual(slow.seen);
  expect(quick.answers).toBe(slow.answers);
  // One that was about to be sealed by the old key is lost.
  if (goesOn) expect(quick.answers).toBeGreaterThan(COUNT);
  else expect(quick.answers).toBeLessThan(COUNT);
  expect(quick.fast).toBeGreaterThan(0.4 * COUNT * 8);
});
