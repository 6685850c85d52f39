/**
 * Two flows whose keys have the same tag in the same line of their index, so that a vector's frames of both are taken for the first one's:
 * each moves its own connection.
 */

import { expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import { addressNumber, ethernet, ipv4, macBytes, TYPE_IPV4, UDP, udp } from '../../bench/headers.js';
import { address6, ipv6, TYPE_IPV6 } from '../../bench/headers6.js';
import { type Device, Engine } from '../../src/engine/index.js';
import { numberOf } from '../../src/engine/wire6.js';
import { books, state } from './seen.js';

const module = await checkedModule();
const STRIDE = 256;
const [SOURCE, DESTINATION] = ['fd00:8::1', 'fd00:9::1'];

/** A router that tracks connections. */
async function create(v6: boolean, fast: boolean) {
  const engine = await Engine.create({ module, seed: 1 });
  engine.exports.setFlowTable(fast ? 1 : 0);
  const router = engine.namespace('router');
  const wire = engine.segment(1000);
  const into = router.addPhysical('eth0', engine.segment(1000), { mac: '02:00:00:00:00:01', mtu: 1500 });
  const out = router.addPhysical('eth1', wire, { mac: '02:00:00:00:00:02', mtu: 1500 });
  engine.namespace('end').addPhysical('eth0', wire, { mac: '02:00:00:00:00:03', mtu: 1500 });
  router.addAddress(out, v6 ? 'fd00:2::1/64' : '10.2.0.1/16', v6 ? { nodad: true } : {});
  router.addNeighbour(out, v6 ? 'fd00:2::2' : '10.2.0.2', '02:00:00:00:00:03');
  router.addRoute(v6 ? '::/0' : '0.0.0.0/0', out, v6 ? 'fd00:2::2' : '10.2.0.2');
  router.set('forward', 1);
  if (v6) {
    router.ipv6.enable(into);
    router.ipv6.forwards = true;
  }
  router.trackConnections(v6 ? 'ip6' : 'ip');
  return { engine, into };
}

interface Ends {
  /** Over IPv4. */
  source: number;
  sport: number;
  dport: number;
}
const TO = addressNumber('10.9.0.1');
const swapped = (port: number) => ((port & 255) << 8) | (port >>> 8);
const reversed = (a: number) => (((a & 255) << 24) | ((a & 0xff00) << 8) | ((a >>> 8) & 0xff00) | (a >>> 24)) >>> 0;

/** Two such flows, among those that `endsOf` counts up: by a flow's key as assembly/flowtable/flows.ts has it. */
function alike(engine: Engine, into: Device, v6: boolean, endsOf: (i: number) => Ends): [Ends, Ends] {
  const { indexHash } = engine.exports as unknown as { indexHash(a: bigint, b: bigint): bigint };
  const numbers = v6 ? [SOURCE, DESTINATION].map((one) => BigInt(numberOf(engine.exports, one))) : [];
  const rest = (BigInt(UDP) << 32n) | (BigInt(into.id) << 40n) | (v6 ? 1n << 63n : 0n);
  const known = new Map<number, number>();
  for (let i = 0; ; i++) {
    const ends = endsOf(i);
    const [from = BigInt(reversed(ends.source)), to = BigInt(reversed(TO))] = numbers;
    const ports = BigInt((swapped(ends.sport) | (swapped(ends.dport) << 16)) >>> 0);
    const hash = BigInt.asUintN(64, indexHash(from | (to << 32n), rest | ports));
    // 31 bits of tag, seven of line.
    const tag = Number(hash >> 33n) * 128 + (Number(hash & 1023n) >>> 3);
    const other = known.get(tag);
    if (other !== undefined) return [endsOf(other), ends];
    known.set(tag, i);
  }
}

function live({ engine, into }: { engine: Engine; into: Device }, v6: boolean, [one, other]: [Ends, Ends]) {
  const slots = engine.exports.scratch(4 * STRIDE) >>> 0;
  const lengths = engine.exports.scratch(16) >>> 0;
  const seen: string[] = [];
  const come = (...all: Ends[]) => {
    all.forEach(({ source, sport, dport }, i) => {
      const text = udp(sport, dport, new Uint8Array(18));
      const packet = v6
        ? ipv6({ source: address6(SOURCE), destination: address6(DESTINATION), protocol: UDP }, text)
        : ipv4({ source, destination: TO, protocol: UDP }, text);
      const frame = ethernet(macBytes(into.mac), macBytes('02:00:00:00:00:04'), v6 ? TYPE_IPV6 : TYPE_IPV4, packet);
      engine.memory.bytes.set(frame, slots + i * STRIDE);
      engine.memory.view.setUint32(lengths + 4 * i, frame.length, true);
    });
    engine.exports.receiveBatch(into.at, slots, lengths, STRIDE, all.length);
    engine.run(engine.now + 1e9);
    seen.push(...books(engine), ...state(engine));
  };
  for (let turn = 0; turn < 3; turn++) come(one, other);
  come(other, other, other, other);
  come(one, one, one, one);
  return { seen, fast: engine.exports.fastPackets() };
}

it.each<[string, boolean, (i: number) => Ends]>([
  [
    'ports over IPv4',
    false,
    (i) => ({ source: 0x0a080001, sport: 1024 + (i % 60_000), dport: 1 + Math.floor(i / 60_000) }),
  ],
  ['addresses over IPv4', false, (i) => ({ source: 0x0b000001 + i, sport: 4000, dport: 80 })],
  ['ports over IPv6', true, (i) => ({ source: 0, sport: 1024 + (i % 60_000), dport: 1 + Math.floor(i / 60_000) })],
])('that differ by their %s', async (_, v6, endsOf) => {
  const [slow, quick] = [await create(v6, false), await create(v6, true)];
  const two = alike(quick.engine, quick.into, v6, endsOf);
  const [calm, swift] = [live(slow, v6, two), live(quick, v6, two)];
  expect(swift.seen).toEqual(calm.seen);
  expect([calm.fast, swift.fast]).toEqual([0, 10]);
});
