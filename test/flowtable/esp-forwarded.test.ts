/**
 * A router that seals what it forwards: packets that are like no others of their way, put together of fragments or with options,
 * fare with the flow table as they do without.
 */

import { expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import {
  addressNumber,
  concat,
  ethernet,
  ipv4,
  macBytes,
  put16,
  seal,
  TYPE_IPV4,
  UDP,
  udp,
} from '../../bench/headers.js';
import { type Device, Engine, type Namespace } from '../../src/engine/index.js';
import { KEY, PORT } from '../engine/protect.js';
import { books, digest, state } from './seen.js';

const module = await checkedModule();
const ETHERNET = 14;
const CLIENT = '10.0.0.1';
const SERVER = '10.0.1.2';
const ALL = '10.0.1.255';
const mac = (n: number) => `02:00:00:00:00:0${n}`;

class Life {
  readonly seen: string[] = [];
  readonly router: Namespace;
  readonly nic: Device;

  private constructor(readonly engine: Engine) {
    const router = engine.namespace('node/router');
    this.router = router;
    const server = engine.namespace('node/server');
    const [near, far] = [engine.segment(1000), engine.segment(1000)];
    engine.namespace('node/client').addPhysical('eth0', near, { mac: mac(1), mtu: 1500 });
    this.nic = router.addPhysical('eth0', near, { mac: mac(2), mtu: 1500 });
    const out = router.addPhysical('eth1', far, { mac: mac(3), mtu: 1500 });
    const eth0 = server.addPhysical('eth0', far, { mac: mac(4), mtu: 1500 });
    router.addAddress(this.nic, '10.0.0.2/24');
    router.addAddress(out, '10.0.1.1/24');
    server.addAddress(eth0, `${SERVER}/24`);
    router.addNeighbour(out, SERVER, mac(4));
    router.addNeighbour(this.nic, CLIENT, mac(1));
    router.set('forward', 1);
    // Of a router's connections.
    router.iptables.append('filter', 'FORWARD', { states: ['INVALID'], target: 'DROP' });
    for (const [spi, to] of [SERVER, ALL].entries()) {
      const template = { source: CLIENT, destination: to, spi: spi + 7, reqid: 5 };
      for (const { xfrm } of [router, server]) xfrm.addAssociation({ ...template, key: KEY });
      router.xfrm.setPolicy({
        source: CLIENT,
        destination: to,
        protocol: UDP,
        port: PORT,
        mark: 0,
        markMask: 0,
        template,
      });
    }
    server.addForeignSocket('udp', { address: '0.0.0.0', port: PORT });
    for (const device of [out, eth0]) device.tap();
    engine.onCapture = (records) => void this.seen.push(`captured ${records.length} ${digest(records)}`);
  }
  static async create(fast: boolean): Promise<Life> {
    const engine = await Engine.create({ module, seed: 1, captureBuffer: 4 << 20 });
    engine.exports.setFlowTable(fast ? 1 : 0);
    return new Life(engine);
  }
  bring(...frames: Uint8Array[]): void {
    for (const frame of frames) {
      this.engine.receive(this.nic, frame);
      this.engine.run(this.engine.now + 1e5);
    }
  }
}

const framed = (packet: Uint8Array) => ethernet(macBytes(mac(2)), macBytes(mac(1)), TYPE_IPV4, packet);
const datagram = (size: number, to = SERVER) =>
  framed(
    ipv4(
      { source: addressNumber(CLIENT), destination: addressNumber(to), protocol: UDP },
      udp(4000, PORT, new Uint8Array(size)),
    ),
  );
/** In two pieces. */
const pieces = (frame: Uint8Array, first: number): Uint8Array[] => {
  const [start, end] = [ETHERNET + 20, ETHERNET + 20 + first];
  const piece = (bytes: Uint8Array, offset: number) => {
    const one = concat(frame.slice(0, start), bytes);
    put16(one, ETHERNET + 2, one.length - ETHERNET);
    put16(one, ETHERNET + 6, offset);
    return seal(one, ETHERNET);
  };
  return [piece(frame.slice(start, end), 0x2000), piece(frame.slice(end), first / 8)];
};
const withOptions = (frame: Uint8Array): Uint8Array => {
  const body = ETHERNET + 20;
  const one = concat(frame.slice(0, body), new Uint8Array(4).fill(1), frame.slice(body));
  one[ETHERNET] = 0x46;
  put16(one, ETHERNET + 2, one.length - ETHERNET);
  return seal(one, ETHERNET);
};

it.each<[string, (life: Life) => void]>([
  [
    'packets of all sizes',
    (life) => life.bring(...[0, 100, 700, 1400, 1430, 1440, 1450].map((size) => datagram(size))),
  ],
  ['fragments of one', (life) => life.bring(...pieces(datagram(1000), 600), ...pieces(datagram(1400), 800))],
  ['fragments of short ones', (life) => life.bring(...pieces(datagram(100), 64), ...pieces(datagram(60), 32))],
  ['packets with options', (life) => life.bring(withOptions(datagram(100)), withOptions(datagram(0)))],
  ['packets with options and in pieces', (life) => life.bring(...pieces(withOptions(datagram(1000)), 600))],
  ['packets for everybody', (life) => life.bring(datagram(10, ALL), datagram(20, ALL))],
])('seals %s', async (_, happens) => {
  const [slow, quick] = [await Life.create(false), await Life.create(true)];
  for (const life of [slow, quick]) {
    const plain = () => life.bring(...[0, 10, 20, 30].map((size) => datagram(size)));
    for (let turn = 0; turn < 4; turn++) {
      plain();
      happens(life);
    }
    plain();
    life.engine.drain();
    life.seen.push(...books(life.engine), ...state(life.engine));
  }
  expect(quick.seen).toEqual(slow.seen);
  expect(slow.engine.exports.fastPackets()).toBe(0);
  // Where they have been sealed, and where they come in at the server.
  expect(quick.engine.exports.fastPackets()).toBeGreaterThan(20);
});
