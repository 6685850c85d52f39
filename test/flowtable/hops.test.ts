/**
 * A frame crosses no more than 128 devices, by the flow table or not: routers stand in a line, the last two of which track
 * connections, and what they have seen comes again from further and further away.
 */

import { expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import { addressNumber, ethernet, ipv4, macBytes, TYPE_IPV4, UDP, udp } from '../../bench/headers.js';
import { address6, ipv6, TYPE_IPV6 } from '../../bench/headers6.js';
import { Engine } from '../../src/engine/index.js';
import { KEY } from '../engine/protect.js';
import { books, state } from './seen.js';

const module = await checkedModule();
const STRIDE = 2048;
const MOST = 128;
/** From so many of them a frame comes too far. */
const BEYOND = 3;
const LAST = MOST + BEYOND - 1;

async function line(v6: boolean, fast: boolean, sealed: boolean) {
  const engine = await Engine.create({ module, seed: 1 });
  engine.exports.setFlowTable(fast ? 1 : 0);
  const mac = (i: number, side: number) => `02:00:00:00:${i.toString(16).padStart(2, '0')}:0${side}`;
  const address = (i: number, host: number) => (v6 ? `fd00:${i}::${host}` : `10.${i}.0.${host}`);
  let segment = engine.segment(1000);
  const all = Array.from({ length: LAST + 1 }, (_, i) => {
    const router = engine.namespace(`router${i}`);
    const into = router.addPhysical('eth0', segment, { mac: mac(i, 1), mtu: 1500 });
    segment = engine.segment(1000);
    const out = router.addPhysical('eth1', segment, { mac: mac(i, 2), mtu: 1500 });
    router.addAddress(out, `${address(i, 1)}/${v6 ? 64 : 24}`, v6 ? { nodad: true } : {});
    router.addNeighbour(out, address(i, 2), mac(i + 1, 1));
    router.addRoute(v6 ? '::/0' : '0.0.0.0/0', out, address(i, 2));
    if (v6) {
      router.ipv6.enable(into);
      router.ipv6.forwards = true;
    } else router.set('forward', 1);
    return { router, into };
  });
  for (const { router } of all.slice(-2)) router.trackConnections(v6 ? 'ip6' : 'ip');
  if (sealed) {
    const ends = { source: '10.200.0.1', destination: '10.201.0.1' };
    const template = { ...ends, spi: 7, reqid: 5 };
    const xfrm = all[LAST - 1]?.router.xfrm;
    xfrm?.addAssociation({ ...template, key: KEY });
    xfrm?.setPolicy({ ...ends, protocol: UDP, port: 5000, mark: 0, markMask: 0, template });
  }
  engine.namespace('end').addPhysical('eth0', segment, { mac: mac(LAST + 1, 1), mtu: 1500 });

  const slots = engine.exports.scratch(STRIDE) >>> 0;
  const lengths = engine.exports.scratch(4) >>> 0;
  /** A datagram comes in at that router. */
  const come = (i: number, port: number) => {
    const into = all[i]?.into;
    if (!into) throw new RangeError(`no router ${i}`);
    const text = udp(port, 5000, new Uint8Array(18));
    const packet = v6
      ? ipv6({ source: address6('fd00:a::1'), destination: address6('fd00:b::1'), protocol: UDP, hops: 255 }, text)
      : ipv4(
          { source: addressNumber('10.200.0.1'), destination: addressNumber('10.201.0.1'), protocol: UDP, ttl: 255 },
          text,
        );
    const frame = ethernet(macBytes(into.mac), macBytes(mac(i ? i - 1 : 0xff, 2)), v6 ? TYPE_IPV6 : TYPE_IPV4, packet);
    engine.memory.bytes.set(frame, slots);
    engine.memory.view.setUint32(lengths, frame.length, true);
    engine.exports.receiveBatch(into.at, slots, lengths, STRIDE, 1);
    engine.run(engine.now + 1e9);
  };
  return { engine, come };
}

/** All that is seen of it, what was lost, and how many packets went by the flow table. */
async function life(v6: boolean, fast: boolean, sealed: boolean) {
  const { engine, come } = await line(v6, fast, sealed);
  // Switches learn first who is where.
  for (const i of [0, LAST - 4]) come(i, 1);
  for (const port of [2, 3, 3, 3]) come(LAST - 1, port);
  const seen: string[] = [];
  let port = 4;
  for (let i = 2 * BEYOND; i >= 0; i--) {
    // A flow’s packets, and the first one of a connection.
    for (const one of [3, 3, port++]) come(i, one);
    seen.push(...books(engine), ...state(engine));
  }
  const lost = engine.drops.filter(({ reason }) => reason === 'LOOP').reduce((sum, { count }) => sum + count, 0);
  return { seen, lost, fast: engine.exports.fastPackets(), opened: engine.exports.openedByExample() };
}

it.each([
  ['IPv4', false, false, [1664, 11]],
  ['IPv6', true, false, [1664, 11]],
  // The last one but one seals them, and the last one has no flow of ESP.
  ['IPv4, by ESP at the end', false, true, [1651, 0]],
] as const)('over %s', async (_, v6, sealed, [packets, opened]) => {
  const [slow, quick] = [await life(v6, false, sealed), await life(v6, true, sealed)];
  expect(quick.seen).toEqual(slow.seen);
  expect(slow.lost).toBe(1 + 3 * BEYOND);
  expect([slow.fast, slow.opened]).toEqual([0, 0]);
  // At each router all of a flow's packets but its first, and at the last two what opens a connection and gets there.
  expect([quick.fast, quick.opened]).toEqual([packets, opened]);
});
