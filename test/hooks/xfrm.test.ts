/** IPsec in a packet's way: ESP in transport mode (net/xfrm, net/ipv4/esp4.c). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeBlocks } from '../../src/crypto/index.js';
import { nobleBlocks, nobleCipher } from '../../src/crypto/noble.js';
import { chainsOf } from '../../src/engine/chains.js';
import type { Namespace } from '../../src/engine/index.js';
import { xfrmStat } from '../../src/views/index.js';
import { addressText, concat, ethernet, hex, IPV4, ipPacket, toHex, u16, u32, udpPacket } from '../engine/packets.js';
import { CLIENT, type Pair, pair, SERVER } from '../engine/pair.js';
import { KEY, PORT, protect } from '../engine/protect.js';
import { dropsOf, expectConserved } from '../engine/watch.js';

const OUT = 0x11111111;
const IN = 0x22222222;
const OTHER = hex('10a2dd8171c5b883f65856574cc365bf deadbeef');
const cipher = nobleCipher(KEY.subarray(0, 16));
const nonce = (iv: Uint8Array) => concat(KEY.subarray(16), iv);

/** The client sends by SPI OUT and is sent to by SPI IN, the other way round at the server; marked UDP to PORT goes through. */
async function protectedPair(options: Parameters<typeof pair>[0] = {}): Promise<Pair> {
  const world = await pair(options);
  const ends = [
    [world.client, CLIENT, SERVER, OUT, IN],
    [world.server, SERVER, CLIENT, IN, OUT],
  ] as const;
  for (const [namespace, own, peer, sends, receives] of ends) protect(namespace, own, peer, sends, receives);
  return world;
}

/** A datagram from the client to the server; what the server's socket got of it. */
function sendDatagrams(world: Pair, sizes: readonly number[], port = PORT): number[] {
  const got: number[] = [];
  const server = world.sockets.openUdp(world.server, port, ({ data }) => got.push(data.length));
  const socket = world.sockets.openUdp(world.client, 5000, () => {});
  for (const size of sizes) socket.send({ address: SERVER, port }, new Uint8Array(size).fill(7), world.engine.now);
  world.engine.run(world.engine.now + 10_000_000, world.sockets.handle);
  world.sockets.closeUdp(server);
  world.sockets.closeUdp(socket);
  return got;
}

const sentPackets = ({ watch, clientNic }: Pair) => watch.sent(clientNic).map((frame) => frame.subarray(14));
const counted = ({ xfrm }: Namespace) =>
  [...xfrm.statistics].filter(([, count]) => count > 0).map(([name, count]) => `${name} ${count}`);

interface Opened {
  spi: number;
  sequence: number;
  iv: Uint8Array;
  payload: Uint8Array;
  pad: Uint8Array;
  next: number;
}
function opened(packet: Uint8Array): Opened {
  const esp = packet.subarray(20, u16(packet, 2));
  const iv = esp.subarray(8, 16);
  const plain = esp.slice(16, -8);
  expect(cipher.open(nonce(iv), esp.subarray(0, 8), plain, esp.subarray(-8))).toBe(true);
  const length = plain.at(-2) ?? 0;
  const payload = plain.subarray(0, plain.length - 2 - length);
  const pad = plain.subarray(payload.length, -2);
  return { spi: u32(esp, 0), sequence: u32(esp, 4), iv, payload, pad, next: plain.at(-1) ?? 0 };
}

/** An ESP packet from the client to the server, sealed with KEY. `trailer`: padding, pad length, next header. */
function sealedPacket(
  payload: Uint8Array,
  options: { trailer?: Uint8Array; spi?: number; sequence?: number; source?: string } = {},
): Uint8Array {
  const { spi = OUT, sequence = 1, source = CLIENT } = options;
  const pad = -(payload.length + 2) & 3;
  const trailer = options.trailer ?? Uint8Array.of(...[1, 2, 3].slice(0, pad), pad, 17);
  const head = new Uint8Array(8);
  new DataView(head.buffer).setUint32(0, spi);
  new DataView(head.buffer).setUint32(4, sequence);
  const iv = hex('0102030405060708');
  const data = concat(payload, trailer);
  const icv = new Uint8Array(8);
  cipher.seal(nonce(iv), head, data, icv);
  return ipPacket({ source, destination: SERVER, protocol: 50 }, concat(head, iv, data, icv));
}
const datagram = (size = 10) =>
  udpPacket({ source: CLIENT, destination: SERVER, sport: 5000, dport: PORT }, new Uint8Array(size).fill(7)).subarray(
    20,
  );

/** Packets come to the server from the wire; how many datagrams reached its socket. */
function arrive(world: Pair, packets: readonly Uint8Array[]): number {
  let got = 0;
  const socket = world.sockets.openUdp(world.server, PORT, () => got++);
  for (const packet of packets)
    world.engine.receive(world.serverNic, ethernet('02:00:00:00:00:02', '02:00:00:00:00:01', IPV4, packet));
  world.engine.run(world.engine.now + 1_000_000, world.sockets.handle);
  world.sockets.closeUdp(socket);
  return got;
}

describe('a packet that leaves by an outbound policy', () => {
  it('is ESP on the wire: the same IP header but for length, protocol and checksum; inside, all of the datagram', async () => {
    const world = await protectedPair();
    expect(sendDatagrams(world, [0, 1, 2, 3, 1000])).toEqual([0, 1, 2, 3, 1000]);
    const packets = sentPackets(world);
    expect(packets.map((packet) => packet[9])).toEqual([50, 50, 50, 50, 50]);
    for (const [i, packet] of packets.entries()) {
      const { spi, sequence, payload, pad, next } = opened(packet);
      expect([spi, sequence, next]).toEqual([OUT, i + 1, 17]);
      expect(pad).toEqual(Uint8Array.of(1, 2, 3).subarray(0, pad.length));
      expect([addressText(packet, 12), addressText(packet, 16), packet[8]]).toEqual([CLIENT, SERVER, 64]);
      expect([u16(payload, 0), u16(payload, 2), u16(payload, 4)]).toEqual([5000, PORT, payload.length]);
    }
    expectConserved(world.engine);
  });

  it('has IVs that differ by the sequence number alone, and begin with another constant at each seed', async () => {
    const constants = new Set<string>();
    for (const seed of [1, 2]) {
      const world = await protectedPair({ seed });
      sendDatagrams(world, [8, 8, 8]);
      const own = sentPackets(world).map((packet) => {
        const { iv, sequence } = opened(packet);
        const whole = iv.slice();
        whole[7] = (whole[7] ?? 0) ^ sequence;
        return toHex(whole);
      });
      expect(new Set(own).size).toBe(1);
      constants.add(own[0] ?? '');
    }
    expect(constants.size).toBe(2);
  });

  it('passes OUTPUT and POSTROUTING twice: as it was, and as ESP; what arrives passes PREROUTING and INPUT twice', async () => {
    const world = await protectedPair();
    const counting = (namespace: Namespace, hooks: ('OUTPUT' | 'POSTROUTING' | 'PREROUTING' | 'INPUT')[]) => {
      for (const hook of hooks) {
        namespace.iptables.append('mangle', hook, { protocol: 'udp', target: 'MARK', value: 0, mask: 0 });
        namespace.iptables.append('mangle', hook, { target: 'MARK', value: 0, mask: 0 });
      }
      return () =>
        hooks.map((hook) => {
          const rules =
            chainsOf(namespace.iptables, 'mangle')
              .find(({ name }) => name === hook)
              ?.rules.slice(-2) ?? [];
          return `${hook} ${rules.map(({ packets, bytes }) => `${packets}:${bytes}`).join(' ')}`;
        });
    };
    const out = counting(world.client, ['OUTPUT', 'POSTROUTING']);
    const into = counting(world.server, ['PREROUTING', 'INPUT']);
    sendDatagrams(world, [100]);
    // 20 + 8 + 100 bytes in clear; 16 before them, 2 of padding, 2 and 8 behind as ESP.
    expect(out()).toEqual(['OUTPUT 1:128 2:284', 'POSTROUTING 1:128 2:284']);
    expect(into()).toEqual(['PREROUTING 1:128 2:284', 'INPUT 1:128 2:284']);
  });

  it('is one hop later on the wire than in clear, whoever ciphers', async () => {
    const times = async (mark: boolean, cipherMaker = nobleBlocks) => {
      const world = mark ? await protectedPair({ cipher: cipherMaker }) : await pair();
      sendDatagrams(world, [100]);
      return world.watch.frames().map(({ tap, time }) => `${tap} ${time}`);
    };
    const clear = await times(false);
    const sealed = await times(true);
    const later = (line: string, by: number) => line.replace(/\d+$/, (time) => `${Number(time) + by}`);
    expect(sealed).toEqual(clear.map((line) => later(line, 1000)));
    expect(await times(true, nodeBlocks())).toEqual(sealed);
  });

  it('stays in clear without the mark, to another port, to another host and over another protocol', async () => {
    const world = await protectedPair();
    sendDatagrams(world, [10], PORT + 1);
    world.sockets.ping(world.client, SERVER, { identifier: 1, sequence: 1, size: 10, time: world.engine.now });
    world.run(2);
    expect(sentPackets(world).map((packet) => packet[9])).toEqual([17, 1]);
  });

  it('is cut up after it was sealed, and put together before it is opened', async () => {
    const world = await protectedPair();
    expect(sendDatagrams(world, [1473, 4000, 60_000])).toEqual([1473, 4000, 60_000]);
    const packets = sentPackets(world);
    expect(packets.every((packet) => packet[9] === 50)).toBe(true);
    expect(packets.length).toBeGreaterThan(40);
    expectConserved(world.engine);
  });

  it('ends here when DF forbids to cut up what ESP has made too long', async () => {
    const world = await protectedPair();
    // 1446 bytes: 20 + 16 + 8 + 1446 + 2 + 8 = 1500.
    expect(sendDatagrams(world, [1446, 1447])).toEqual([1446]);
    expect(dropsOf(world.engine)).toEqual(['client/host/eth0 PKT_TOO_BIG']);
    expectConserved(world.engine);
  });

  it.each([1600, 1620, 1622, 1630, 1636])('fits behind %i bytes of a slot that is nearly full', async (size) => {
    const world = await protectedPair({ mtu: 9000 });
    expect(sendDatagrams(world, [size])).toEqual([size]);
    expectConserved(world.engine);
  });

  it('ends here when it would be too long for IP', async () => {
    const world = await protectedPair();
    expect(sendDatagrams(world, [65_507])).toEqual([]);
    expect(counted(world.client)).toEqual(['XfrmOutStateProtoError 1']);
    expect(dropsOf(world.engine)).toEqual(['client/host/eth0 XFRM_OUT_STATE_PROTO_ERROR']);
    expectConserved(world.engine);
  });

  it('ends here without an association, before POSTROUTING sees it', async () => {
    const world = await protectedPair();
    const { xfrm } = world.client;
    const [sending] = xfrm.associations.filter(({ spi }) => spi === OUT);
    if (sending) xfrm.removeAssociation(sending);
    const rule = world.client.iptables.append('mangle', 'POSTROUTING', { target: 'RETURN' });
    expect(sendDatagrams(world, [10, 10])).toEqual([]);
    expect(counted(world.client)).toEqual(['XfrmOutNoStates 2']);
    expect(dropsOf(world.engine)).toEqual(['client/host/eth0 XFRM_OUT_NO_STATES x2']);
    expect(rule.packets).toBe(0);
    expectConserved(world.engine);
  });

  it('ends here when all sequence numbers are used up', async () => {
    const world = await protectedPair();
    const sending = world.client.xfrm.association(SERVER, OUT);
    if (sending) sending.sequence = 0xfffffffe;
    expect(sendDatagrams(world, [10, 11, 12])).toEqual([10]);
    expect(sentPackets(world).map((packet) => opened(packet).sequence)).toEqual([0xffffffff]);
    expect(counted(world.client)).toEqual(['XfrmOutStateSeqError 2']);
    expectConserved(world.engine);
  });

  it('goes by the association that the policy names now, and a policy is replaced by one with its selector', async () => {
    const world = await protectedPair();
    const { xfrm } = world.client;
    xfrm.addAssociation({ source: CLIENT, destination: SERVER, spi: 7, reqid: 5, key: KEY });
    world.server.xfrm.addAssociation({ source: CLIENT, destination: SERVER, spi: 7, reqid: 5, key: KEY });
    const [policy] = xfrm.policies;
    if (!policy) throw new Error('no policy');
    xfrm.setPolicy({ ...policy, template: { ...policy.template, spi: 7 } });
    expect(xfrm.policies).toHaveLength(1);
    expect(sendDatagrams(world, [10])).toEqual([10]);
    expect(sentPackets(world).map((packet) => opened(packet).spi)).toEqual([7]);
    xfrm.setPolicy({ ...policy, template: { ...policy.template, spi: 0 } });
    expect(xfrm.policies.map(({ template }) => template.spi)).toEqual([0]);
    xfrm.removePolicy(CLIENT, SERVER);
    expect(xfrm.policies).toEqual([]);
  });
});

describe('what was sent, whenever the run stops', () => {
  const record = async (step: number, options: Parameters<typeof pair>[0] = {}) => {
    const world = await protectedPair({ ...options, seed: 3 });
    world.sockets.openUdp(world.server, PORT, ({ data, from, time }, socket) =>
      socket.send(from, data, world.sockets.after(time)),
    );
    const socket = world.sockets.openUdp(world.client, PORT, () => {});
    for (let i = 0; i < 40; i++) socket.send({ address: SERVER, port: PORT }, new Uint8Array(i * 30), i * 137);
    for (let time = 0; time < 2_000_000; time += step) world.engine.run(time, world.sockets.handle);
    world.run(1);
    expectConserved(world.engine);
    return world.watch.frames().map(({ tap, time, data }) => `${tap} ${time} ${toHex(data)}`);
  };

  it('is the same bytes at the same times, with either library', async () => {
    const whole = await record(2_000_000);
    expect(whole.length).toBe(160);
    expect(await record(333)).toEqual(whole);
    expect(await record(50_000, { cipher: nodeBlocks() ?? nobleBlocks })).toEqual(whole);
  });

  it.each([0, 1, 1000])(
    'stands on the wire in the order of its sequence numbers, a hop being %i ns',
    async (hopDelay) => {
      const world = await protectedPair({ hopDelay });
      sendDatagrams(
        world,
        Array.from({ length: 50 }, (_, i) => (i * 97) % 1400),
      );
      const numbers = sentPackets(world).map((packet) => opened(packet).sequence);
      expect(numbers).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
    },
  );
});

describe('packets that wait for the cipher together', () => {
  it.each<[string, Uint8Array, number[]]>([
    ['one key, in one call', KEY, [5, 5]],
    ['two keys, in one call each', concat(OTHER.subarray(0, 16), KEY.subarray(16)), [2, 3, 2, 3]],
  ])('are encrypted under %s, though two associations have it', async (_, key, packets) => {
    const calls: number[] = [];
    const cipher = (own: Uint8Array) => {
      const encrypt = nobleBlocks(own);
      return (blocks: Uint8Array) => {
        if (blocks.length > 16) calls.push(blocks.length);
        return encrypt(blocks);
      };
    };
    const { client, server, sockets, engine } = await protectedPair({ cipher });
    for (const { xfrm } of [client, server]) {
      const back = xfrm.association(CLIENT, IN);
      if (back) xfrm.removeAssociation(back);
      xfrm.addAssociation({ source: SERVER, destination: CLIENT, spi: IN, reqid: 5, key });
    }
    const got: string[] = [];
    const [near, far] = [client, server].map((one) =>
      sockets.openUdp(one, PORT, ({ data, from }) => void got.push(`${data.length} from ${from.address}`)),
    );
    // With UDP header and trailer 52 to 56 bytes: four blocks of key stream, and one for the tag.
    for (let i = 0; i < 3; i++) near?.send({ address: SERVER, port: PORT }, new Uint8Array(40 + i), engine.now);
    for (let i = 0; i < 2; i++) far?.send({ address: CLIENT, port: PORT }, new Uint8Array(44 + i), engine.now);
    engine.run(engine.now + 10_000_000, sockets.handle);
    expect(got.sort()).toEqual(
      [40, 41, 42].map((size) => `${size} from ${CLIENT}`).concat([44, 45].map((size) => `${size} from ${SERVER}`)),
    );
    expect(calls.map((length) => length / 80)).toEqual(packets);
  });
});

describe('an ESP packet that arrives', () => {
  it('is opened: the datagram reaches its socket, and bytes and packets are counted without headers', async () => {
    const world = await protectedPair();
    expect(arrive(world, [sealedPacket(datagram())])).toBe(1);
    const association = world.server.xfrm.association(SERVER, OUT);
    expect([association?.packets, association?.bytes, association?.integrityFailed]).toEqual([1, 18, 0]);
    expect(counted(world.server)).toEqual([]);
    expectConserved(world.engine);
  });

  it('is taken again when it is replayed: replay-window 0', async () => {
    const world = await protectedPair();
    const packet = sealedPacket(datagram(), { sequence: 9 });
    expect(arrive(world, [packet, packet, sealedPacket(datagram(), { sequence: 0 })])).toBe(3);
    expect(counted(world.server)).toEqual([]);
  });

  it('with an SPI that nobody knows is counted under XfrmInNoStates', async () => {
    const world = await protectedPair();
    expect(arrive(world, [sealedPacket(datagram(), { spi: 0x33333333 })])).toBe(0);
    expect(counted(world.server)).toEqual(['XfrmInNoStates 1']);
    expect(dropsOf(world.engine)).toEqual(['server/host/eth0 XFRM_IN_NO_STATES']);
    expectConserved(world.engine);
  });

  it('sealed with another key is counted under XfrmInStateProtoError, and by the association', async () => {
    const world = await pair();
    world.server.xfrm.addAssociation({ source: CLIENT, destination: SERVER, spi: OUT, reqid: 5, key: OTHER });
    expect(arrive(world, [sealedPacket(datagram())])).toBe(0);
    expect(counted(world.server)).toEqual(['XfrmInStateProtoError 1']);
    expect(world.server.xfrm.association(SERVER, OUT)).toMatchObject({ integrityFailed: 1, packets: 0, bytes: 0 });
    expect(dropsOf(world.engine)).toEqual(['server/host/eth0 XFRM_IN_STATE_PROTO_ERROR']);
  });

  it('is refused for any bit that has changed behind the SPI', async () => {
    const world = await protectedPair();
    const whole = sealedPacket(datagram());
    let sent = 0;
    fc.assert(
      fc.property(fc.integer({ min: 24, max: whole.length - 1 }), fc.nat(7), (at, bit) => {
        const packet = whole.slice();
        packet[at] = (packet[at] ?? 0) ^ (1 << bit);
        expect(arrive(world, [packet])).toBe(0);
        sent += 1;
      }),
      { numRuns: 60 },
    );
    expect(counted(world.server)).toEqual([`XfrmInStateProtoError ${sent}`]);
    expectConserved(world.engine);
  });

  it('is refused at whatever length it was cut off, and nothing is read past its end', async () => {
    const whole = sealedPacket(datagram());
    for (let length = 0; length < whole.length - 20; length++) {
      const world = await protectedPair();
      const cut = ipPacket({ source: CLIENT, destination: SERVER, protocol: 50 }, whole.subarray(20, 20 + length));
      expect(arrive(world, [cut])).toBe(0);
      expect(counted(world.server)).toEqual([length < 8 ? 'XfrmInHdrError 1' : 'XfrmInStateProtoError 1']);
      expectConserved(world.engine);
    }
  });

  it.each([
    ['more padding than there is', Uint8Array.of(1, 2, 200, 17)],
    ['padding that reaches over all of it', Uint8Array.of(1, 2, 21, 17)],
    ['no next header (RFC 4303, a dummy packet)', Uint8Array.of(1, 2, 2, 59)],
  ])('with %s is refused after it was opened', async (_, trailer) => {
    const world = await protectedPair();
    expect(arrive(world, [sealedPacket(datagram(), { trailer })])).toBe(0);
    expect(counted(world.server)).toEqual(['XfrmInStateProtoError 1']);
    expect(world.server.xfrm.association(SERVER, OUT)).toMatchObject({ integrityFailed: 0, packets: 0 });
    expectConserved(world.engine);
  });

  it('may have any padding that fits: nobody looks at what it holds', async () => {
    const world = await protectedPair();
    expect(arrive(world, [sealedPacket(datagram(), { trailer: Uint8Array.of(9, 9, 9, 9, 9, 9, 6, 17) })])).toBe(1);
    expect(world.server.xfrm.association(SERVER, OUT)?.bytes).toBe(18);
  });

  it('carries whatever the next header says, also what the stack then refuses', async () => {
    const world = await protectedPair();
    expect(arrive(world, [sealedPacket(new Uint8Array(30), { trailer: Uint8Array.of(0, 250) })])).toBe(0);
    expect(dropsOf(world.engine)).toEqual(['server/host/eth0 IP_NOPROTO']);
    const answers = world.watch.sent(world.serverNic).map((frame) => [frame[23], frame[34], frame[35]]);
    expect(answers).toEqual([[1, 3, 2]]);
  });

  it('is answered by "protocol unreachable" where no association was ever made', async () => {
    const world = await pair();
    expect(arrive(world, [sealedPacket(datagram())])).toBe(0);
    expect(world.watch.sent(world.serverNic).map((frame) => [frame[23], frame[34], frame[35]])).toEqual([[1, 3, 2]]);
    expect(
      xfrmStat(world.server)
        .split('\n')
        .filter((line) => /\t[1-9]/.test(line)),
    ).toEqual([]);
  });

  it('ends when its association is taken out while it is being opened', async () => {
    const world = await protectedPair();
    const association = world.server.xfrm.association(SERVER, OUT);
    world.engine.receive(
      world.serverNic,
      ethernet('02:00:00:00:00:02', '02:00:00:00:00:01', IPV4, sealedPacket(datagram())),
    );
    world.engine.run(1500);
    expect(world.engine.account.inFlight).toBe(1);
    if (association) world.server.xfrm.removeAssociation(association);
    world.run(1);
    expect(counted(world.server)).toEqual(['XfrmInStateInvalid 1']);
    expectConserved(world.engine);
  });

  it('ends with its namespace, when that goes meanwhile', async () => {
    const world = await protectedPair();
    world.engine.receive(
      world.serverNic,
      ethernet('02:00:00:00:00:02', '02:00:00:00:00:01', IPV4, sealedPacket(datagram())),
    );
    world.engine.run(1500);
    world.engine.removeNamespace(world.server);
    world.run(5);
    expectConserved(world.engine);
    expect(world.engine.live.namespaces).toBe(1);
  });
});

describe('-m policy', () => {
  it('tells what came out of ESP from what came in clear, and what will go through it', async () => {
    const world = await protectedPair();
    const rule = (namespace: Namespace, hook: 'INPUT' | 'OUTPUT', dir: 'in' | 'out', pol: 'none' | 'ipsec') =>
      namespace.iptables.append('filter', hook, { protocol: 'udp', policy: { dir, pol }, target: 'RETURN' });
    const rules = [
      rule(world.server, 'INPUT', 'in', 'ipsec'),
      rule(world.client, 'OUTPUT', 'out', 'ipsec'),
      rule(world.client, 'OUTPUT', 'out', 'none'),
    ];
    const clear = world.server.iptables.insert('filter', 'INPUT', {
      protocol: 'udp',
      policy: { dir: 'in', pol: 'none' },
      target: 'DROP',
    });
    expect(sendDatagrams(world, [10])).toEqual([10]);
    expect(sendDatagrams(world, [10, 10], PORT + 1)).toEqual([]);
    expect([clear.packets, ...rules.map(({ packets }) => packets)]).toEqual([2, 1, 1, 2]);
  });
});

it('/proc/net/xfrm_stat names all counters of Linux 6.1 in its order', async () => {
  const { server } = await pair();
  expect(xfrmStat(server)).toBe(
    `XfrmInError XfrmInBufferError XfrmInHdrError XfrmInNoStates XfrmInStateProtoError XfrmInStateModeError
    XfrmInStateSeqError XfrmInStateExpired XfrmInStateMismatch XfrmInStateInvalid XfrmInTmplMismatch XfrmInNoPols
    XfrmInPolBlock XfrmInPolError XfrmOutError XfrmOutBundleGenError XfrmOutBundleCheckError XfrmOutNoStates
    XfrmOutStateProtoError XfrmOutStateModeError XfrmOutStateSeqError XfrmOutStateExpired XfrmOutPolBlock XfrmOutPolDead
    XfrmOutPolError XfrmFwdHdrError XfrmOutStateInvalid XfrmAcquireError`
      .split(/\s+/)
      .map((name) => `${name.padEnd(24)}\t0\n`)
      .join(''),
  );
});

describe('an association', () => {
  it('is refused where there is one with its destination and SPI, and with a key of another length', async () => {
    const { server } = await protectedPair();
    const again = { source: CLIENT, destination: SERVER, spi: OUT, reqid: 5, key: KEY };
    expect(() => server.xfrm.addAssociation(again)).toThrow(
      'server/host has an association to 10.0.0.2 with SPI 0x11111111',
    );
    expect(() => server.xfrm.addAssociation({ ...again, spi: 5, key: KEY.subarray(1) })).toThrow('not 19');
  });
});
