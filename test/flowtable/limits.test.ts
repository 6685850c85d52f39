/**
 * How much there may be on the way of a flow: routers that track connections, rules, neighbours, taps, copies of a flood. A way with
 * more of it takes the slow way, and nothing that can be seen tells.
 */

import { expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import { addressNumber, ethernet, ipv4, macBytes, TYPE_IPV4, UDP, udp } from '../../bench/headers.js';
import { Engine } from '../../src/engine/index.js';
import { type Routers, routersIn } from './routers.js';
import { books, digest, state } from './seen.js';

const module = await checkedModule();
interface Way extends Routers {
  /** So many of them track connections. */
  tracking?: number;
  /** So many of those change the sender's address. */
  changing?: number;
  /** Rules that the first router has. */
  rules?: number;
}

/** Six datagrams; how many of them took the fast way. */
async function live(
  flowTable: boolean,
  { routers, tracking = 0, changing = 0, rules = 0, tapped = false, ports = 0 }: Way,
) {
  const engine = await Engine.create({ module, seed: 1, captureBuffer: 1 << 20 });
  engine.exports.setFlowTable(flowTable ? 1 : 0);
  const seen: string[] = [];
  engine.onCapture = (records) => void seen.push(`captured ${records.length} ${digest(records)}`);
  const { all, into } = routersIn(engine, { routers, tapped, ports });
  const [, first] = all;
  for (const one of all.slice(1, 1 + tracking)) one.trackConnections();
  for (const one of all.slice(1, 1 + changing))
    one.iptables.append('nat', 'POSTROUTING', { protocol: 'udp', target: 'MASQUERADE' });
  for (let i = 0; i < rules; i++) first?.iptables.append('filter', 'FORWARD', { target: 'JUMP', chain: 'USER' });
  const last = all[routers];
  if (!last) throw new RangeError('nobody is there');
  last.addForeignSocket('udp', { address: '0.0.0.0', port: 80 });
  last.device('eth0').tap();
  const ends = { source: addressNumber('10.0.1.1'), destination: addressNumber(`10.0.${routers}.2`), protocol: UDP };
  const packet = ipv4({ ...ends, fragment: 0x4000 }, udp(5000, 80, new Uint8Array(18)));
  const frame = ethernet(macBytes(into.mac), macBytes(into.peer?.mac ?? ''), TYPE_IPV4, packet);
  for (let i = 0; i < 6; i++) {
    engine.receive(into, frame);
    engine.run(engine.now + 1e6);
  }
  const arrived = last.device('eth0').counters.rxPackets;
  return { seen: [...seen, ...books(engine), ...state(engine)], arrived, fast: engine.exports.fastPackets() };
}

/** Up to `most` of it the whole way is fast. */
it.each<[string, number, number, (count: number) => Way]>([
  ['routers that track connections', 4, 6, (n) => ({ routers: 7, tracking: n })],
  [
    'routers that change addresses, and taps between them',
    4,
    5,
    (n) => ({ routers: 6, tracking: n, changing: n, tapped: true }),
  ],
  ['rules', 114, 118, (n) => ({ routers: 3, rules: n })],
  ['neighbours', 16, 18, (n) => ({ routers: n + 1 })],
  ['taps', 16, 18, (n) => ({ routers: n, tapped: true })],
  ['copies of a flood', 16, 18, (n) => ({ routers: 2, ports: n })],
])('%s', async (_, most, more, wayOf) => {
  for (let count = Math.max(1, most - 1); count <= more; count++) {
    const [slow, quick] = [await live(false, wayOf(count)), await live(true, wayOf(count))];
    expect(quick.seen).toEqual(slow.seen);
    expect(slow.arrived).toBe(6);
    // What is more may still be fast from some router on.
    if (count <= most) expect(quick.fast).toBeGreaterThan(3);
  }
});
