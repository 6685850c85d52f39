/**
 * A small world for tests: one namespace between two neighbours.
 *
 *   alice 10.0.1.2 ── left │ router 10.0.1.1, 10.0.2.1 │ right ── bob 10.0.2.2
 *
 * Frames are put in at `left` or `right` as if the neighbour had sent them; the neighbours only swallow what they get.
 */

import type { Device, Engine, EngineOptions, Namespace } from '../../src/engine/index.js';
import { checkedEngine } from './checked.js';
import { ethernet, IPV4 } from './packets.js';
import { dropsOf, inWords, packetsIn, Watch } from './watch.js';

export const MAC = {
  alice: '02:00:00:00:01:02',
  left: '02:00:00:00:01:01',
  right: '02:00:00:00:02:01',
  bob: '02:00:00:00:02:02',
};
export const ALICE = '10.0.1.2';
export const BOB = '10.0.2.2';
export const LEFT = '10.0.1.1';
export const RIGHT = '10.0.2.1';

export interface World {
  engine: Engine;
  router: Namespace;
  left: Device;
  right: Device;
  watch: Watch;
  /** A packet comes from alice's side, or from bob's, and runs to its end. */
  fromAlice(packet: Uint8Array, time?: number): void;
  fromBob(packet: Uint8Array, time?: number): void;
  /** What left towards them since the last look, in words. */
  toAlice(): string[];
  toBob(): string[];
  /** The packets themselves. */
  packetsToAlice(): Uint8Array[];
  packetsToBob(): Uint8Array[];
  drops(): string[];
}

export async function routerWorld(
  options: Omit<EngineOptions, 'module'> & { mtuRight?: number; neighbours?: boolean } = {},
): Promise<World> {
  const { mtuRight = 1500, neighbours = true, ...rest } = options;
  const engine = await checkedEngine(rest);
  const router = engine.namespace('node/router');
  const alice = engine.namespace('node/alice');
  const bob = engine.namespace('node/bob');
  const [left, atAlice] = router.addVeth(
    'left',
    { mac: MAC.left, mtu: 1500 },
    { namespace: alice, name: 'eth0', mac: MAC.alice, mtu: 1500 },
  );
  const [right, atBob] = router.addVeth(
    'right',
    { mac: MAC.right, mtu: mtuRight },
    { namespace: bob, name: 'eth0', mac: MAC.bob, mtu: mtuRight },
  );
  router.addAddress(left, `${LEFT}/24`);
  router.addAddress(right, `${RIGHT}/24`);
  router.set('forward', 1);
  alice.addAddress(atAlice, `${ALICE}/24`);
  bob.addAddress(atBob, `${BOB}/24`);
  alice.set('silent', 1);
  bob.set('silent', 1);
  if (neighbours) {
    router.addNeighbour(left, ALICE, MAC.alice);
    router.addNeighbour(right, BOB, MAC.bob);
  }
  const watch = new Watch(engine, [left, right]);
  const seen = { left: 0, right: 0 };
  const put = (device: Device, destination: string, source: string, packet: Uint8Array, time?: number) => {
    engine.receive(device, ethernet(destination, source, IPV4, packet), time);
    engine.run(time === undefined ? engine.now + 1_000_000 : time + 1_000_000);
  };
  const since = (side: 'left' | 'right', device: Device) => {
    const frames = watch.sent(device);
    const fresh = frames.slice(seen[side]);
    seen[side] = frames.length;
    return fresh;
  };
  return {
    engine,
    router,
    left,
    right,
    watch,
    fromAlice: (packet, time) => put(left, MAC.left, MAC.alice, packet, time),
    fromBob: (packet, time) => put(right, MAC.right, MAC.bob, packet, time),
    toAlice: () => since('left', left).map(inWords),
    toBob: () => since('right', right).map(inWords),
    packetsToAlice: () => packetsIn(since('left', left)),
    packetsToBob: () => packetsIn(since('right', right)),
    drops: () => dropsOf(engine).filter((drop) => drop.startsWith('node/router')),
  };
}
