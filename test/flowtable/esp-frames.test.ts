/**
 * ESP packets by hand, between two that are as they should be: one that has anything else about it fares with the flow table as it
 * does without, and those behind it stay fast.
 */

import { describe, expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import { concat, get16, macBytes, put16, put32, seal, TYPE_IPV4 } from '../../bench/headers.js';
import { connectionEventsOf, watchConnections } from '../../src/engine/connection-events.js';
import { type Device, Engine, type Namespace, type Segment, Sockets, type UdpSocket } from '../../src/engine/index.js';
import { PORT, protect } from '../engine/protect.js';
import { books, digest, state } from './seen.js';

const module = await checkedModule();
const MAC = { client: '02:00:00:00:00:01', server: '02:00:00:00:00:02', other: '02:00:00:00:00:09' };
const CLIENT = '10.0.0.1';
const SERVER = '10.0.0.2';
const OUT = 0x11111111;
/** In a packet's place: four options that say nothing. */
const IN = 0x01010101;
const ETHERNET = 14;
/** Of another sender, and a bit that no policy asks for. */
const OTHER = 5000;
const LOUD = 0x1000000;
const COUNT = 6;
const EPB = 6;

/** What stands where the server's NIC would be alone: it is a bridge's port, or a macvlan of another namespace stands on it. */
type Around = 'a bridge' | 'a macvlan';

/** A client and a server on a segment, who speak by ESP; the server tracks connections. */
class Life {
  readonly seen: string[] = [];
  readonly client: Namespace;
  readonly server: Namespace;
  readonly nic: Device;
  /** As they came in at the server's NIC. */
  readonly esp: Uint8Array[] = [];
  readonly #segment: Segment;
  readonly #sockets: Sockets;
  readonly #sender: UdpSocket;
  readonly #other: UdpSocket;

  private constructor(
    readonly engine: Engine,
    around?: Around,
  ) {
    const [client, server] = [engine.namespace('node/client'), engine.namespace('node/server')];
    [this.client, this.server] = [client, server];
    const segment = engine.segment(1000);
    this.#segment = segment;
    const near = client.addPhysical('eth0', segment, { mac: MAC.client, mtu: 1500 });
    this.nic = server.addPhysical('eth0', segment, { mac: MAC.server, mtu: 1500 });
    client.addAddress(near, `${CLIENT}/24`);
    const link = { mac: MAC.server, mtu: 1500 };
    const stands = around === 'a bridge' ? server.addBridge('br0', link) : this.nic;
    if (around === 'a bridge') server.addPort(stands, this.nic);
    if (around === 'a macvlan')
      engine.namespace('node/aside').addMacvlan('eth0', { lower: this.nic, mtu: 1500, mac: MAC.other });
    server.addAddress(stands, `${SERVER}/24`);
    client.addNeighbour(near, SERVER, MAC.server);
    server.addNeighbour(stands, CLIENT, MAC.client);
    protect(client, CLIENT, SERVER, IN, OUT);
    protect(server, SERVER, CLIENT, OUT, IN);
    server.iptables.append('filter', 'INPUT', { states: ['INVALID'], target: 'DROP' });
    engine.onCapture = (records) => {
      this.seen.push(`captured ${records.length} ${digest(records)}`);
      this.#learn(records);
    };
    for (const device of [near, this.nic]) device.tap();
    this.#sockets = new Sockets(engine);
    this.#sockets.openUdp(server, PORT, ({ data, from, time }, socket) =>
      socket.send(from, data, this.#sockets.after(time)),
    );
    const open = (port: number) =>
      this.#sockets.openUdp(client, port, ({ data }) => this.seen.push(`answered ${data.length}`));
    [this.#sender, this.#other] = [open(PORT), open(OTHER)];
  }
  static async create(fast: boolean, around?: Around): Promise<Life> {
    const engine = await Engine.create({ module, seed: 1, captureBuffer: 4 << 20 });
    engine.exports.setFlowTable(fast ? 1 : 0);
    return new Life(engine, around);
  }

  #learn(records: Uint8Array): void {
    const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
    for (let at = 0; at < records.length; at += view.getUint32(at + 4, true)) {
      if (view.getUint32(at, true) !== EPB) continue;
      const frame = records.slice(at + 28, at + 28 + view.getUint32(at + 20, true));
      const here = this.engine.taps[view.getUint32(at + 8, true)] === this.nic;
      if (here && frame[5] === 2 && frame[23] === 50) this.esp.push(frame);
    }
  }
  /** Another one is on the segment. */
  third(): void {
    const nic = this.engine.namespace('third/host').addPhysical('eth0', this.#segment, { mac: MAC.other, mtu: 1500 });
    nic.tap();
  }
  run(time = 1e6): void {
    this.engine.run(this.engine.now + time, this.#sockets.handle);
  }
  /** Datagrams from the client, one after the other, and their answers. */
  say(...sizes: number[]): void {
    this.#say(this.#sender, sizes);
  }
  /** The same from port `OTHER`. */
  sayToo(...sizes: number[]): void {
    this.#say(this.#other, sizes);
  }
  #say(socket: UdpSocket, sizes: number[]): void {
    for (const size of sizes) {
      socket.send({ address: SERVER, port: PORT }, new Uint8Array(size), this.engine.now);
      this.run();
    }
    this.engine.drain();
  }
  /** They come in at `device`, one after the other. */
  bring(frames: Uint8Array[], device = this.nic): void {
    for (const frame of frames) {
      this.engine.receive(device, frame);
      this.run();
    }
  }
  look(): void {
    this.engine.drain();
    this.seen.push(...books(this.engine), ...state(this.engine));
  }
  get fast(): number {
    return this.engine.exports.fastPackets();
  }
}

async function twice(happens: (life: Life) => void, around?: Around): Promise<{ fast: number; seen: string[] }> {
  const [slow, quick] = [await Life.create(false, around), await Life.create(true, around)];
  for (const life of [slow, quick]) {
    happens(life);
    life.look();
  }
  expect(quick.seen).toEqual(slow.seen);
  expect(slow.fast).toBe(0);
  return { fast: quick.fast, seen: quick.seen };
}

/** With a header checksum that is right. */
const sealed = (frame: Uint8Array, change: (frame: Uint8Array) => void) => {
  const changed = frame.slice();
  change(changed);
  return seal(changed, ETHERNET);
};
/** Its first `length` bytes, or more, and a header that says so. */
const ofLength = (frame: Uint8Array, length: number, total = length) =>
  sealed(concat(frame, new Uint8Array(64)).slice(0, length + ETHERNET), (one) => put16(one, ETHERNET + 2, total));

const LENGTH = (frame: Uint8Array) => get16(frame, ETHERNET + 2);
const ODDITIES: [string, (frame: Uint8Array) => Uint8Array][] = [
  ['is for another MAC', (frame) => concat(macBytes(MAC.other), frame.slice(6))],
  ['comes from another MAC', (frame) => concat(frame.slice(0, 6), macBytes(MAC.other), frame.slice(12))],
  ['is for everybody', (frame) => concat(new Uint8Array(6).fill(0xff), frame.slice(6))],
  ['has no hop left', (frame) => sealed(frame, (one) => one.fill(0, ETHERNET + 8, ETHERNET + 9))],
  ['has another hop left', (frame) => sealed(frame, (one) => one.fill(3, ETHERNET + 8, ETHERNET + 9))],
  ['is marked', (frame) => sealed(frame, (one) => one.fill(3, ETHERNET + 1, ETHERNET + 2))],
  [
    'has a wrong checksum',
    (frame) => {
      const one = frame.slice();
      put16(one, ETHERNET + 10, get16(one, ETHERNET + 10) ^ 1);
      return one;
    },
  ],
  ['is a first fragment', (frame) => sealed(frame, (one) => put16(one, ETHERNET + 6, 0x2000))],
  ['is a last fragment', (frame) => sealed(frame, (one) => put16(one, ETHERNET + 6, 2))],
  [
    'has options that its checksum leaves out',
    (frame) => {
      const options = put32ed(new Uint8Array(4), IN);
      const body = ETHERNET + 20;
      const one = sealed(concat(frame.slice(0, body), options, frame.slice(body)), (it) =>
        put16(it, ETHERNET + 2, LENGTH(frame) + 4),
      );
      // Sealed with a header of 20 bytes, 24 afterwards: the checksum changes by that.
      one[ETHERNET] = 0x46;
      put16(one, ETHERNET + 10, get16(one, ETHERNET + 10) - 0x100);
      return one;
    },
  ],
  [
    'has options',
    (frame) => {
      const options = put32ed(new Uint8Array(4), IN);
      const body = ETHERNET + 20;
      return sealed(concat(frame.slice(0, body), options, frame.slice(body)), (it) => {
        it[ETHERNET] = 0x46;
        put16(it, ETHERNET + 2, LENGTH(frame) + 4);
      });
    },
  ],
  ['has an IPv6 packet’s type', (frame) => sealed(frame, (one) => put16(one, 12, 0x86dd))],
  ['has padding behind it', (frame) => ofLength(frame, LENGTH(frame) + 8, LENGTH(frame))],
  ['is longer than it says', (frame) => ofLength(frame, LENGTH(frame), LENGTH(frame) - 4)],
  ['is shorter than it says', (frame) => ofLength(frame, LENGTH(frame) - 4, LENGTH(frame))],
  ...[20, 21, 24, 28, 36, 43, 44, 45, 46].map((length): [string, (frame: Uint8Array) => Uint8Array] => [
    `is ${length} bytes long`,
    (frame) => ofLength(frame, length),
  ]),
  ['has another SPI', (frame) => put32ed(frame.slice(), 7, ETHERNET + 20)],
  ['was forged', (frame) => put32ed(frame.slice(), 7, ETHERNET + 40)],
];
function put32ed(bytes: Uint8Array, value: number, at = 0): Uint8Array {
  put32(bytes, at, value);
  return bytes;
}

const many = (size: number) => new Array(COUNT).fill(size);

describe('an ESP packet that comes in', () => {
  const between = (odd: (frame: Uint8Array) => Uint8Array, around?: Around) =>
    twice((life) => {
      life.say(...many(40));
      const [one = new Uint8Array()] = life.esp;
      expect(get16(one, 12)).toBe(TYPE_IPV4);
      for (let turn = 0; turn < 3; turn++) life.bring([one, odd(one), odd(one), one]);
      life.say(...many(60));
    }, around);

  it.each(ODDITIES)('%s', async (_, odd) => {
    const { fast } = await between(odd);
    // Of the client's half of the way and of the server's, each four parts but where they are made known.
    expect(fast).toBeGreaterThan(2 * COUNT * 4 - 10);
  });

  it.each<Around>(['a bridge', 'a macvlan'])('has %s in its way, whatever it is', async (around) => {
    for (const [, odd] of ODDITIES) await between(odd, around);
  });

  it.each<[string, (frame: Uint8Array) => Uint8Array]>([
    ['has another SPI', (frame) => put32ed(frame.slice(), 7, ETHERNET + 20)],
    ['comes from another address', (frame) => sealed(frame, (one) => one.fill(3, ETHERNET + 15, ETHERNET + 16))],
  ])('%s than the one before, with nothing between them', async (_, odd) => {
    const { fast } = await twice((life) => {
      life.say(...many(40));
      life.server.iptables.append('filter', 'OUTPUT', { target: 'DROP' });
      const [one = new Uint8Array()] = life.esp;
      for (let turn = 0; turn < 4; turn++) life.bring([one, one, odd(one), odd(one), one]);
    });
    expect(fast).toBeGreaterThan(4 * COUNT);
  });

  it('was for everybody: what is in it is not forwarded', async () => {
    const { fast } = await twice((life) => {
      life.server.set('forward', 1);
      life.server.iptables.append('nat', 'PREROUTING', { protocol: 'udp', target: 'DNAT', address: CLIENT });
      life.say(...many(40));
      const [one = new Uint8Array()] = life.esp;
      life.bring(many(0).map(() => concat(new Uint8Array(6).fill(0xff), one.slice(6))));
      life.bring([one, one, one]);
    });
    expect(fast).toBeGreaterThan(COUNT);
  });
});

describe('packets by ESP', () => {
  it.each<[string, (life: Life) => void]>([
    ['words are wanted', ({ engine }) => engine.exports.setTracing(1)],
    ['connections are watched', ({ engine }) => void watchConnections(engine)],
    ['the server forgets its connections', ({ server }) => server.forgetConnectionsOf(CLIENT)],
    ['they are quiet for ten minutes', (life) => life.run(601e9)],
  ])('go on when %s', async (_, happens) => {
    const { fast } = await twice((life) => {
      life.say(...many(40));
      happens(life);
      life.say(...many(50));
      happens(life);
      life.say(...many(60));
      life.seen.push(JSON.stringify(connectionEventsOf(life.engine) ?? []));
    });
    expect(fast).toBeGreaterThan(COUNT);
  });

  it('keep the marks that they had when they are sealed', async () => {
    const { fast } = await twice((life) => {
      const { xfrm, iptables } = life.client;
      const [policy] = xfrm.policies;
      if (!policy?.mark) throw new RangeError('no policy by a mark');
      xfrm.setPolicy({ ...policy, markMask: 0x00ffffff });
      // Nobody answers: whatever is sealed is the client's.
      life.server.iptables.append('filter', 'OUTPUT', { target: 'DROP' });
      const loud = { protocol: 'udp', sport: OTHER } as const;
      iptables.append('mangle', 'OUTPUT', { ...loud, target: 'MARK', value: policy.mark | LOUD });
      iptables.append('mangle', 'POSTROUTING', { mark: { value: LOUD, mask: LOUD }, target: 'NONE' });
      for (let turn = 0; turn < 5; turn++) {
        life.say(40, 40);
        life.sayToo(40, 40);
      }
    });
    expect(fast).toBeGreaterThan(2 * 20 - 8);
  });

  it('ask for their neighbour again when his time is over', async () => {
    const { fast } = await twice((life) => {
      life.client.addNeighbour(life.client.device('eth0'), SERVER, MAC.server, 'reachable');
      for (const seconds of [0, 20, 20, 5, 60, 1]) {
        life.run(seconds * 1e9);
        life.say(...many(40));
        life.look();
      }
    });
    expect(fast).toBeGreaterThan(6 * COUNT);
  });

  it('are heard by all when the wire has forgotten who is where', async () => {
    const { fast } = await twice((life) => {
      life.third();
      for (const seconds of [1, 298, 300, 302, 1]) {
        // Not one answer: what the wire knows of the server ages.
        life.server.iptables.append('filter', 'OUTPUT', { target: 'DROP' });
        life.run(seconds * 1e9);
        life.say(...many(40));
        life.server.iptables.clear();
        life.say(...many(40));
      }
    });
    expect(fast).toBeGreaterThan(10 * COUNT);
  });

  it('are of any size', async () => {
    const { fast } = await twice((life) => {
      for (let turn = 0; turn < 2; turn++)
        life.say(40, 40, 1300, 1410, 1430, 1440, 1441, 1442, 1443, 1444, 1448, 1472, 40);
    });
    expect(fast).toBeGreaterThan(30);
  });
});
