/** What a node sends to itself keeps its mark over `lo`: the way of a marked packet is no other one's. */

import { expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import { addressNumber, ipv4, UDP, udp } from '../../bench/headers.js';
import { address6, ipv6 } from '../../bench/headers6.js';
import { Engine } from '../../src/engine/index.js';
import { books, state } from './seen.js';

const module = await checkedModule();
const MARK = { value: 5, mask: 0xffffffff };

async function life(fast: boolean, v6: boolean) {
  const engine = await Engine.create({ module, seed: 1 });
  engine.exports.setFlowTable(fast ? 1 : 0);
  const host = engine.namespace('host');
  const own = v6 ? '::1' : '127.0.0.1';
  if (v6) host.ipv6.enable(host.device('lo'));
  host.addForeignSocket('udp', { address: v6 ? '::' : '0.0.0.0', port: 80 });
  const tables = v6 ? host.ip6tables : host.iptables;
  // By the first byte behind the datagram's header.
  tables.append('mangle', 'OUTPUT', { u32: `${v6 ? 48 : 28}>>24=1`, target: 'MARK', value: MARK.value });
  tables.append('filter', 'INPUT', { mark: MARK, target: 'NONE' });
  const seen: string[] = [];
  const send = (sport: number, marked: boolean) => {
    const text = udp(sport, 80, Uint8Array.of(marked ? 1 : 2, 0, 0, 0));
    if (v6)
      engine.sendFromSocket6(host, ipv6({ source: address6(own), destination: address6(own), protocol: UDP }, text));
    else {
      const ends = { source: addressNumber(own), destination: addressNumber(own), protocol: UDP };
      engine.sendFromSocket(host, ipv4(ends, text), { address: own, port: sport }, { address: own, port: 80 });
    }
    engine.run(engine.now + 1e6);
    seen.push(...books(engine), ...state(engine));
  };
  for (const marked of [true, true, true, false, false, false, true, false]) send(4000, marked);
  return { seen, fast: engine.exports.fastPackets(), marked: tables.chain('filter', 'INPUT').rules[0]?.packets };
}

it.each([
  ['IPv4', false],
  ['IPv6', true],
] as const)('over %s', async (_, v6) => {
  const [slow, quick] = [await life(false, v6), await life(true, v6)];
  expect(quick.seen).toEqual(slow.seen);
  expect(slow.marked).toBe(4);
  // Of those without a mark all but the first.
  expect([slow.fast, quick.fast]).toEqual([0, 3]);
});
