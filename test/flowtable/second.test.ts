/**
 * Packets of one connection that come in by two devices have two flows of one direction: both move the same entries, and what one of
 * them has moved the other finds.
 */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ACK, FIN, SYN } from '../../bench/frames.js';
import { checkedModule } from '../../bench/fuzz/files.js';
import { Random } from '../../bench/fuzz/random.js';
import {
  addressNumber,
  ethernet,
  ipv4,
  macBytes,
  put16,
  put32,
  seal,
  TCP,
  TYPE_IPV4,
  UDP,
  udp,
} from '../../bench/headers.js';
import { type Device, Engine } from '../../src/engine/index.js';
import { lives } from './lives.js';
import { routersIn } from './routers.js';
import { books, digest, state } from './seen.js';

const module = await checkedModule();
const [NEAR, FAR] = ['10.0.1.1', '10.0.3.2'];

/** A packet of `size` bytes of data from one end, as it comes in at `into`. */
function framed(
  into: Device,
  from: string,
  protocol: 'tcp' | 'udp',
  said: { flags: number; at: number; heard: number; size: number },
) {
  const near = from === NEAR;
  const [sport, dport] = near ? [5000, 80] : [80, 5000];
  const data = new Uint8Array(said.size);
  let body = udp(sport, dport, data);
  if (protocol === 'tcp') {
    body = new Uint8Array(20 + said.size);
    put16(body, 0, sport);
    put16(body, 2, dport);
    put32(body, 4, said.at);
    put32(body, 8, said.heard);
    body[12] = 0x50;
    body[13] = said.flags;
    put16(body, 14, 65535);
  }
  const ends = { source: addressNumber(from), destination: addressNumber(near ? FAR : NEAR) };
  const packet = seal(ipv4({ ...ends, protocol: protocol === 'tcp' ? TCP : UDP, fragment: 0x4000 }, body), 0);
  return ethernet(macBytes(into.mac), macBytes(into.peer?.mac ?? ''), TYPE_IPV4, packet);
}

async function live(seed: number, fast: boolean, protocol: 'tcp' | 'udp') {
  const random = new Random(seed, 3);
  const engine = await Engine.create({ module, seed, captureBuffer: 1 << 20 });
  engine.exports.setFlowTable(fast ? 1 : 0);
  const seen: string[] = [];
  engine.onCapture = (records) => void seen.push(`captured ${records.length} ${digest(records)}`);
  const { all, into } = routersIn(engine, { routers: 3, tapped: random.chance(0.5) });
  const [outside, first, second, last] = all;
  if (!outside || !first || !second || !last) throw new RangeError('three routers');
  // The first router has another device to the same host, the second one perhaps another way to it.
  const [, aside] = outside.addVeth(
    'eth2',
    { mac: '02:00:00:00:50:01', mtu: 1500 },
    { namespace: first, name: 'eth2', mac: '02:00:00:00:50:02', mtu: 1500 },
  );
  first.trackConnections();
  if (random.chance(0.7)) second.trackConnections();
  last.device('eth0').tap();
  outside.device('eth1').tap();
  for (const one of [outside, last])
    for (const port of [80, 5000]) one.addForeignSocket(protocol, { address: '0.0.0.0', port });
  const back = last.device('eth0').peer as Device;
  const next = { near: 1000, far: 900_000 };
  const say = (from: string, flags: number, size: number) => {
    const device = from === NEAR ? random.pick([into, aside]) : back;
    const [own, other] = from === NEAR ? (['near', 'far'] as const) : (['far', 'near'] as const);
    const frame = framed(device, from, protocol, {
      flags,
      at: next[own],
      heard: flags === SYN ? 0 : next[other],
      size,
    });
    next[own] += size + (flags & (SYN | FIN) ? 1 : 0);
    engine.receive(device, frame);
    engine.run(engine.now + random.pick([0, 1e6, 1e9]));
  };
  if (protocol === 'tcp') {
    say(NEAR, SYN, 0);
    say(FAR, SYN | ACK, 0);
  }
  for (let i = 0; i < 60; i++) {
    say(random.pick([NEAR, NEAR, FAR]), ACK, random.pick([0, 10, 100]));
    if (random.chance(0.05)) engine.run(engine.now + random.pick([20e9, 29e9, 125e9]));
    if (random.chance(0.1)) seen.push(...state(engine));
    if (random.chance(0.03)) first.device(random.pick(['eth0', 'eth2'])).mtu = random.pick([1500, 1400]);
  }
  if (protocol === 'tcp') say(NEAR, FIN | ACK, 0);
  say(NEAR, ACK, 0);
  return { seen: [...seen, ...books(engine), ...state(engine)], fast: engine.exports.fastPackets() };
}

it.each(['tcp', 'udp'] as const)('of %s', async (protocol) => {
  let fast = 0;
  const property = fc.asyncProperty(fc.integer({ min: 1, max: 1 << 30 }), async (seed) => {
    const [slow, quick] = [await live(seed, false, protocol), await live(seed, true, protocol)];
    expect(quick.seen).toEqual(slow.seen);
    fast += quick.fast;
  });
  await fc.assert(property, lives(6, 3));
  expect(fast).toBeGreaterThan(150);
});
