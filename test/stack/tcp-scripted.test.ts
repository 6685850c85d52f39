/** TCP against a peer that says just what the test says, segment by segment (RFC 9293, 5681, 5961, 2018, 6298). */

import { describe, expect, it } from 'vitest';
import { ethernet, hex, IPV4, icmpPacket, type Segment, tcpPacket, toHex, u32 } from '../engine/packets.js';
import { CLIENT, End, letters, PORT, pair, SERVER, type SeenSegment, segmentsAt } from '../engine/pair.js';
import { SECOND } from '../engine/state.js';
import { dropsOf, expectConserved } from '../engine/watch.js';

const MILLISECOND = SECOND / 1000;
const MSS = [2, 4, 0x05, 0xb4];
const SACK_PERMITTED = [1, 1, 4, 2];
const PEER = 1_000_000;

/** The client, connected to a peer whose numbers begin at PEER; both sides' numbers are told from their SYNs on. */
async function connected({ window = 65535, options = MSS }: { window?: number; options?: number[] } = {}) {
  const world = await pair();
  world.server.set('silent', 1);
  const connection = world.sockets.connect(world.client, { address: SERVER, port: PORT }, 0);
  if (!connection) throw new Error('no route');
  const end = new End(world.sockets, { closeOnEnd: false }).take(connection);
  const run = (time: number) => world.engine.run(time, world.sockets.handle);
  run(MILLISECOND);
  const [syn] = segmentsAt(world);
  if (!syn) throw new Error('no SYN');
  const local = connection.local.port;
  /** The peer says this at `time`. */
  const say = (segment: Segment & { at?: number; say?: number; ack?: number }, time = world.engine.now) => {
    const packet = tcpPacket(
      { source: SERVER, destination: CLIENT, sport: PORT, dport: local },
      {
        window,
        ...segment,
        sequence: PEER + (segment.at ?? 1),
        acknowledgment: segment.ack === undefined ? 0 : (syn.sequence + segment.ack) >>> 0,
      },
    );
    world.engine.receive(world.clientNic, ethernet('02:00:00:00:00:01', '02:00:00:00:00:02', IPV4, packet), time);
    run(time + MILLISECOND / 2);
  };
  let seen = 1;
  /** What the client has sent since the last look. */
  const sent = (): SeenSegment[] => {
    const all = segmentsAt(world).filter(({ from }) => from === 'client');
    const fresh = all.slice(seen);
    seen = all.length;
    return fresh;
  };
  const inWords = (segments = sent()) =>
    segments.map(({ flags, sequence, acknowledgment, payload }) => {
      const from = (sequence - syn.sequence) >>> 0;
      return `${flags} ${from}${payload.length ? `-${from + payload.length}` : ''} ack ${(acknowledgment - PEER) >>> 0}`;
    });
  say({ flags: 'SA', at: 0, ack: 1, options });
  expect(inWords()).toEqual(['A 1 ack 1']);
  return { ...world, end, say, sent, inWords, runTo: run, connection };
}

describe('a sender', () => {
  it('sends ten segments and waits (RFC 6928), then two more for each that is acknowledged', async () => {
    const { engine, end, say, inWords, runTo } = await connected();
    end.write(letters(1460 * 30), SECOND);
    runTo(SECOND + MILLISECOND);
    expect(inWords()).toHaveLength(10);
    say({ flags: 'A', ack: 1 + 1460 });
    expect(inWords()).toEqual([`A ${1 + 14600}-${1 + 16060} ack 1`, `A ${1 + 16060}-${1 + 17520} ack 1`]);
    engine.exports.tcpAbort(end.connection?.socket ?? 0, 2 * SECOND);
    runTo(3 * SECOND);
    expectConserved(engine);
  });

  it('sends the first segment again at the third duplicate acknowledgment, at once and once (RFC 5681, 3.2)', async () => {
    const { engine, end, say, inWords, runTo } = await connected();
    end.write(letters(1460 * 8), SECOND);
    runTo(SECOND + MILLISECOND);
    expect(inWords()).toHaveLength(8);
    say({ flags: 'A', ack: 1 });
    say({ flags: 'A', ack: 1 });
    expect(inWords(), 'two may be disorder').toEqual([]);
    say({ flags: 'A', ack: 1 });
    expect(inWords()).toEqual(['A 1-1461 ack 1']);
    say({ flags: 'A', ack: 1 });
    expect(inWords()).toEqual([]);
    say({ flags: 'A', ack: 1 + 1460 * 8 });
    runTo(30 * SECOND);
    expect(inWords(), 'all is acknowledged: nothing more').toEqual([]);
    expectConserved(engine);
  });

  it('in recovery sends the next hole at a partial acknowledgment (RFC 6582)', async () => {
    const { end, say, inWords, runTo } = await connected();
    end.write(letters(1460 * 8), SECOND);
    runTo(SECOND + MILLISECOND);
    inWords();
    for (let i = 0; i < 3; i++) say({ flags: 'A', ack: 1 });
    expect(inWords()).toEqual(['A 1-1461 ack 1']);
    say({ flags: 'A', ack: 1 + 1460 * 3 });
    expect(inWords()).toEqual([`A ${1 + 1460 * 3}-${1 + 1460 * 4} ack 1`]);
  });

  it('whose peer falls silent sends the first again, each time after twice as long (RFC 6298, 5.5)', async () => {
    const { end, sent, runTo } = await connected();
    end.write(letters(3000), SECOND);
    runTo(20 * SECOND);
    const times = sent()
      .filter(({ payload }) => payload.length)
      .map(({ time, sequence }) => ({ time, sequence }));
    const first = times[0]?.sequence;
    const again = times.filter(({ sequence }) => sequence === first).map(({ time }) => time);
    const gaps = again.slice(1).map((time, i) => (time - (again[i] ?? 0)) / SECOND);
    expect(gaps.length).toBeGreaterThan(4);
    // The round trip was a millisecond: Linux waits 200 ms at least.
    expect(gaps[0]).toBeGreaterThanOrEqual(0.2);
    expect(gaps[0]).toBeLessThan(0.25);
    gaps.slice(1).forEach((gap, i) => {
      expect(gap / (gaps[i] ?? 1)).toBeCloseTo(2, 1);
    });
  });

  it('keeps to the window that it was told, and asks when it is closed', async () => {
    const { engine, end, say, inWords, runTo } = await connected({ window: 3000 });
    end.write(letters(10_000), SECOND);
    runTo(SECOND + MILLISECOND);
    const before = inWords();
    expect(before[0]).toMatch(/^A 1-/);
    const last = Math.max(...before.map((line) => Number(/-(\d+)/.exec(line)?.[1])));
    expect(last - 1).toBeLessThanOrEqual(3000);
    say({ flags: 'A', ack: last, window: 0 });
    expect(inWords()).toEqual([]);
    runTo(2 * SECOND);
    expect(inWords()[0], 'a probe says what was said already: one number before').toBe(`A ${last - 1} ack 1`);
    say({ flags: 'A', ack: last, window: 3000 });
    expect(inWords()[0]).toMatch(new RegExp(`^P?A ${last}-`));
    engine.exports.tcpAbort(end.connection?.socket ?? 0, 3 * SECOND);
    runTo(4 * SECOND);
    expectConserved(engine);
  });

  it('takes 536 bytes for a peer that tells no MSS (RFC 9293, 3.7.1)', async () => {
    const { end, sent, runTo } = await connected({ options: [] });
    end.write(letters(2000), SECOND);
    runTo(SECOND + MILLISECOND);
    expect(sent().map(({ payload }) => payload.length)).toEqual([536, 536, 536, 392]);
  });

  it('is not shaken by an acknowledgment of what it never sent (RFC 5961, 5.2): it says where it is', async () => {
    const { engine, end, say, inWords, runTo } = await connected();
    say({ flags: 'A', ack: 5000 });
    expect(inWords()).toEqual(['A 1 ack 1']);
    end.write(letters(10), SECOND);
    runTo(SECOND + MILLISECOND);
    expect(inWords()).toEqual(['PA 1-11 ack 1']);
    expect(dropsOf(engine)).toEqual(['client/host/eth0 TCP_INVALID_SEQUENCE']);
  });
});

describe('a receiver', () => {
  it('acknowledges what came in order, and hands it on', async () => {
    const { engine, end, say, inWords } = await connected();
    say({ flags: 'PA', at: 1, ack: 1, payload: letters(100) });
    expect(inWords()).toEqual(['A 1 ack 101']);
    expect(end.data).toEqual(letters(100));
    expectConserved(engine);
  });

  it('keeps what came too early, says so with SACK (RFC 2018), and takes it when the gap is closed', async () => {
    const { engine, end, say, sent, inWords } = await connected({ options: [...MSS, ...SACK_PERMITTED] });
    say({ flags: 'A', at: 101, ack: 1, payload: letters(100, 100) });
    const [duplicate, ...more] = sent();
    expect(more).toEqual([]);
    expect((duplicate?.acknowledgment ?? 0) - PEER, 'a duplicate acknowledgment').toBe(1);
    const block = duplicate?.options.subarray(-12) ?? hex('');
    expect(toHex(block.subarray(0, 4))).toBe('01 01 05 0a');
    expect([u32(block, 4) - PEER, u32(block, 8) - PEER]).toEqual([101, 201]);
    expect(end.data).toEqual(hex(''));
    say({ flags: 'A', at: 1, ack: 1, payload: letters(100) });
    expect(inWords()).toEqual(['A 1 ack 201']);
    expect(end.data.length).toBe(200);
    expect(end.data.subarray(0, 100)).toEqual(letters(100));
    expect(end.data.subarray(100)).toEqual(letters(100, 100));
    expectConserved(engine);
  });

  it('tells the newest of several blocks first', async () => {
    const { say, sent } = await connected({ options: [...MSS, ...SACK_PERMITTED] });
    say({ flags: 'A', at: 301, ack: 1, payload: letters(50) });
    say({ flags: 'A', at: 101, ack: 1, payload: letters(50) });
    const block = sent().at(-1)?.options.subarray(-20) ?? hex('');
    expect(toHex(block.subarray(0, 4))).toBe('01 01 05 12');
    expect([4, 8, 12, 16].map((at) => u32(block, at) - PEER)).toEqual([101, 151, 301, 351]);
  });

  it('takes from segments that overlap each byte once', async () => {
    const { engine, end, say } = await connected();
    const data = letters(300);
    const part = (from: number, to: number) =>
      say({ flags: 'A', at: 1 + from, ack: 1, payload: data.subarray(from, to) });
    part(100, 200);
    part(150, 300);
    part(0, 50);
    part(20, 120);
    expect(end.data).toEqual(data);
    expectConserved(engine);
  });

  it('acknowledges once more what it has already (its acknowledgment was lost)', async () => {
    const { engine, end, say, inWords } = await connected();
    say({ flags: 'PA', at: 1, ack: 1, payload: letters(100) });
    inWords();
    say({ flags: 'PA', at: 1, ack: 1, payload: letters(100) });
    expect(inWords()).toEqual(['A 1 ack 101']);
    expect(end.data).toEqual(letters(100));
    expectConserved(engine);
  });

  it('takes nothing from beyond its window', async () => {
    const { engine, end, say, inWords } = await connected();
    say({ flags: 'A', at: 70_000, ack: 1, payload: letters(100) });
    expect(inWords()).toEqual(['A 1 ack 1']);
    expect(end.data).toEqual(hex(''));
    expect(dropsOf(engine)).toEqual(['client/host/eth0 TCP_INVALID_SEQUENCE']);
    expectConserved(engine);
  });

  it('waits with a FIN until all before it has come', async () => {
    const { engine, end, say } = await connected();
    say({ flags: 'FA', at: 101, ack: 1 });
    expect(end.events).toEqual(['connected']);
    say({ flags: 'A', at: 1, ack: 1, payload: letters(100) });
    expect(end.data).toEqual(letters(100));
    expect(end.events).toEqual(['connected', 'end']);
    expectConserved(engine);
  });
});

describe('an attacker', () => {
  it('does not reset a connection by a RST within the window: the peer is asked (RFC 5961, 3.2)', async () => {
    const { engine, end, say, inWords } = await connected();
    say({ flags: 'R', at: 2 });
    expect(inWords(), 'a challenge').toEqual(['A 1 ack 1']);
    expect(end.failure).toBeUndefined();
    say({ flags: 'R', at: 1 });
    expect(end.failure).toBe('reset');
    expect(inWords()).toEqual([]);
    expectConserved(engine);
  });

  it('does not do so by a RST outside the window, and is not answered', async () => {
    const { engine, end, say, inWords } = await connected();
    say({ flags: 'R', at: 100_000 });
    expect(inWords()).toEqual([]);
    expect(end.failure).toBeUndefined();
    expectConserved(engine);
  });

  it('does not do so by a SYN: the peer is asked (RFC 5961, 4.2)', async () => {
    const { engine, end, say, inWords } = await connected();
    say({ flags: 'S', at: 1 });
    expect(inWords()).toEqual(['A 1 ack 1']);
    expect(end.failure).toBeUndefined();
    expectConserved(engine);
  });
});

describe('an ICMP error', () => {
  const unreachable = (code: number, rest: number, segment: Uint8Array) =>
    ethernet(
      '02:00:00:00:00:01',
      '02:00:00:00:00:02',
      IPV4,
      icmpPacket({ source: SERVER, destination: CLIENT }, { type: 3, code, rest, payload: segment.subarray(0, 28) }),
    );

  async function calling() {
    const world = await pair();
    world.server.set('silent', 1);
    const connection = world.sockets.connect(world.client, { address: SERVER, port: PORT }, 0);
    if (!connection) throw new Error('no route');
    const end = new End(world.sockets).take(connection);
    world.run(0.01);
    const [syn] = segmentsAt(world);
    const hear = (frame: Uint8Array) => {
      world.engine.receive(world.clientNic, frame);
      world.engine.run(world.engine.now + MILLISECOND, world.sockets.handle);
    };
    return { ...world, end, syn: syn?.packet.slice() ?? hex(''), hear };
  }

  it('about a SYN ends the attempt: port unreachable is "refused", host unreachable "unreachable"', async () => {
    for (const [code, reason] of [
      [3, 'refused'],
      [1, 'unreachable'],
      [0, 'unreachable'],
    ] as const) {
      const { engine, end, syn, hear } = await calling();
      hear(unreachable(code, 0, syn));
      expect(end.failure).toBe(reason);
      expectConserved(engine);
    }
  });

  it('about a sequence number that is not out there is nobody’s (tcp_v4_err: OutOfWindowIcmps; RFC 5927, 4.1)', async () => {
    const { engine, end, syn, hear } = await calling();
    syn.set([(syn[24] ?? 0) ^ 0x55], 24);
    hear(unreachable(1, 0, syn));
    expect(end.failure).toBeUndefined();
    expectConserved(engine);
  });

  it('passes over a connection that stands (RFC 1122, 4.2.3.9)', async () => {
    const { engine, end, sent, runTo, clientNic, sockets } = await connected();
    end.write(letters(10), SECOND);
    runTo(SECOND + MILLISECOND);
    const [segment] = sent();
    engine.receive(clientNic, unreachable(1, 0, segment?.packet ?? hex('')));
    engine.run(engine.now + MILLISECOND, sockets.handle);
    expect(end.failure).toBeUndefined();
    expectConserved(engine);
  });

  it('of the kind "fragmentation needed" makes segments smaller, and what was lost goes again at once (RFC 1191, 6.4)', async () => {
    const { engine, end, sent, runTo, clientNic, sockets } = await connected();
    end.write(letters(2920), SECOND);
    runTo(SECOND + MILLISECOND);
    const before = sent();
    expect(before.map(({ payload }) => payload.length)).toEqual([1460, 1460]);
    engine.receive(clientNic, unreachable(4, 1300, before[0]?.packet ?? hex('')));
    engine.run(engine.now + MILLISECOND, sockets.handle);
    const again = sent();
    expect(again[0]?.sequence).toBe(before[0]?.sequence);
    expect(again.every(({ packet }) => packet.length <= 1300)).toBe(true);
  });
});

it('both that call at once are connected (RFC 9293, figure 7)', async () => {
  const world = await pair();
  world.server.set('silent', 1);
  const connection = world.sockets.connect(world.client, { address: SERVER, port: PORT }, 0);
  if (!connection) throw new Error('no route');
  const end = new End(world.sockets).take(connection);
  world.run(0.01);
  const [syn] = segmentsAt(world);
  const ends = { source: SERVER, destination: CLIENT, sport: PORT, dport: connection.local.port };
  const put = (segment: Segment) => {
    const frame = ethernet('02:00:00:00:00:01', '02:00:00:00:00:02', IPV4, tcpPacket(ends, segment));
    world.engine.receive(world.clientNic, frame);
    world.engine.run(world.engine.now + MILLISECOND, world.sockets.handle);
  };
  put({ flags: 'S', sequence: PEER, options: MSS });
  expect(segmentsAt(world).map(({ from, flags }) => `${from} ${flags}`)).toEqual(['client S', 'server S', 'client SA']);
  put({ flags: 'SA', sequence: PEER, acknowledgment: ((syn?.sequence ?? 0) + 1) >>> 0, options: MSS });
  expect(end.events).toEqual(['connected']);
  expectConserved(world.engine);
});
