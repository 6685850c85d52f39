/**
 * How TCP moves a connection on (nf_conntrack_proto_tcp.c, Linux 6.1): states, timeouts, windows, and what is INVALID. A
 * segment goes through a router that tracks; what conntrack holds of it afterwards is read from its table.
 */

import { describe, expect, it } from 'vitest';
import { tcpPacket } from '../engine/packets.js';
import { connectionsIn, SECOND, type TrackedConnection } from '../engine/state.js';
import { expectConserved } from '../engine/watch.js';
import { ALICE, BOB, routerWorld } from '../engine/world.js';

const CLIENT = { source: ALICE, destination: BOB, sport: 4000, dport: 80 };
const SERVER = { source: BOB, destination: ALICE, sport: 80, dport: 4000 };

interface Options {
  length?: number;
  window?: number;
  options?: readonly number[];
  /** Seconds; the clock stands still without it. */
  at?: number;
}

interface After {
  /** Conntrack refused the segment; it went on without a connection. */
  invalid: boolean;
  /** `ESTABLISHED 432000` */
  state: string;
  assured: boolean;
  tracked: TrackedConnection | undefined;
}

const NOTHING: After = { invalid: false, state: 'none', assured: false, tracked: undefined };

async function between() {
  const world = await routerWorld();
  const { engine, router } = world;
  const refused = router.iptables.append('filter', 'FORWARD', { states: ['INVALID'], target: 'ACCEPT' });
  let clock = SECOND;
  const sends =
    (ends: typeof CLIENT, put: (packet: Uint8Array, time: number) => void) =>
    (flags: string, sequence: number, acknowledgment = 0, o: Options = {}): After => {
      clock = o.at === undefined ? clock + 2_000_000 : o.at * SECOND;
      const before = refused.packets;
      const packet = tcpPacket(ends, {
        flags,
        sequence,
        acknowledgment,
        window: o.window ?? 65535,
        options: o.options ?? [],
        payload: new Uint8Array(o.length ?? 0),
      });
      put(packet, clock);
      expectConserved(engine);
      const [tracked] = connectionsIn(router);
      const left = tracked ? Math.round((tracked.deadline - clock) / SECOND) : 0;
      return {
        invalid: refused.packets > before,
        state: tracked ? `${tracked.state} ${left}` : 'none',
        assured: tracked?.assured ?? false,
        tracked,
      };
    };
  const client = sends(CLIENT, world.fromAlice);
  const server = sends(SERVER, world.fromBob);
  const handshake = (o: Options = {}, answer: Options = o): After => {
    client('S', 100, 0, o);
    server('SA', 500, 101, answer);
    return client('A', 101, 501, o.window === undefined ? {} : { window: o.window });
  };
  return { ...world, client, server, handshake };
}

describe('a handshake', () => {
  it('goes by SYN_SENT and SYN_RECV to ESTABLISHED, which is assured and lasts five days', async () => {
    const { client, server } = await between();
    expect(client('S', 100)).toMatchObject({ state: 'SYN_SENT 120', assured: false });
    expect(server('SA', 500, 101)).toMatchObject({ state: 'SYN_RECV 60', assured: false });
    expect(client('A', 101, 501)).toMatchObject({ state: 'ESTABLISHED 432000', assured: true });
  });

  it('is not opened by a SYN-ACK, a FIN or a RST', async () => {
    const { client } = await between();
    for (const flags of ['SA', 'FA', 'R', 'RA'])
      expect(client(flags, 1, 1), flags).toEqual({ ...NOTHING, invalid: true });
  });

  it('is not made longer by a repeated SYN', async () => {
    const { client } = await between();
    client('S', 100, 0, { at: 1 });
    expect(client('S', 100, 0, { at: 3 })).toMatchObject({ invalid: false, state: 'SYN_SENT 118' });
  });

  it('that is answered by a RST leaves nothing', async () => {
    const { client, server } = await between();
    client('S', 100);
    expect(server('RA', 0, 101)).toMatchObject({ invalid: false, state: expect.stringMatching(/^none$|^CLOSE -/) });
    expect(client('S', 200, 0, { at: 2 })).toMatchObject({ state: 'SYN_SENT 120' });
  });

  it('of both ends at once comes to the same', async () => {
    const { client, server } = await between();
    client('S', 100);
    expect(server('S', 500).state).toBe('SYN_SENT2 120');
    expect(client('SA', 100, 501).state).toBe('SYN_RECV 60');
    expect(server('SA', 500, 101).invalid).toBe(false);
    expect(server('A', 501, 101).state).toBe('ESTABLISHED 432000');
  });
});

describe('flags that no TCP sends together', () => {
  it.each(['', 'F', 'SF', 'SFA', 'SR', 'SRA', 'RF', 'P', 'U', 'SAU', 'RU', 'FU'])('%s are INVALID', async (flags) => {
    const { client } = await between();
    expect(client(flags, 1, 1)).toEqual({ ...NOTHING, invalid: true });
  });

  it.each(['SP', 'SU'])('%s may stand', async (flags) => {
    const { client } = await between();
    expect(client(flags, 1, 1)).toMatchObject({ invalid: false, state: 'SYN_SENT 120' });
  });
});

describe('a connection that is picked up in the middle (tcp_loose)', () => {
  it('lasts 300 s, then is as any other', async () => {
    const { client, server } = await between();
    expect(client('A', 5000, 7000, { length: 100 })).toMatchObject({ invalid: false, state: 'ESTABLISHED 300' });
    expect(server('A', 7000, 5100, { length: 10 })).toMatchObject({ assured: false });
    expect(client('A', 5100, 7010)).toMatchObject({ state: 'ESTABLISHED 432000', assured: true });
  });
});

describe('an established connection lasts 300 s', () => {
  it('while data is not acknowledged', async () => {
    const { client, server, handshake } = await between();
    handshake();
    expect(client('PA', 101, 501, { length: 50 }).state).toBe('ESTABLISHED 300');
    expect(server('A', 501, 151).state).toBe('ESTABLISHED 432000');
  });

  it('while a window is shut', async () => {
    const { server, handshake } = await between();
    handshake();
    expect(server('A', 501, 101, { window: 0 }).state).toBe('ESTABLISHED 300');
  });

  it('once the same segment has come three times more', async () => {
    const { client, server, handshake } = await between();
    handshake();
    client('PA', 101, 501, { length: 50 });
    server('A', 501, 151);
    // tcp_max_retrans is 3.
    const repeated = [1, 2, 3].map(() => server('A', 501, 151).state);
    expect(repeated).toEqual(['ESTABLISHED 432000', 'ESTABLISHED 432000', 'ESTABLISHED 300']);
  });
});

describe('windows', () => {
  it('a sequence number far over the window is INVALID', async () => {
    const { client, handshake } = await between();
    handshake({ window: 1000 });
    expect(client('A', 101 + 70_000, 501, { length: 10 }).invalid).toBe(true);
  });

  it('one little over the window passes, and the state stays', async () => {
    const { client, handshake } = await between();
    handshake({ window: 1000 });
    const after = client('A', 101 + 1001, 501, { length: 10 });
    expect(after).toMatchObject({ invalid: false, state: expect.stringContaining('ESTABLISHED') });
    expect(after.tracked?.directions[0]?.end).toBe(1112);
  });

  it('an acknowledgment of what was never sent is INVALID', async () => {
    const { client, handshake } = await between();
    handshake();
    expect(client('A', 101, 900).invalid).toBe(true);
  });

  it('old data that comes once more passes', async () => {
    const { client, handshake } = await between();
    handshake();
    const after = client('A', 101 - 70_000, 501, { length: 10 });
    expect(after).toMatchObject({ invalid: false, state: expect.stringContaining('ESTABLISHED') });
  });

  it('are not scaled when one end does not say so', async () => {
    const { client, server } = await between();
    client('S', 100, 0, { options: [3, 3, 7, 1] });
    expect(server('SA', 500, 101).tracked?.directions.map(({ scale }) => scale)).toEqual([0, 0]);
  });

  it('are scaled by 14 at most when both do', async () => {
    const { client, server } = await between();
    client('S', 100, 0, { options: [3, 3, 7, 1] });
    expect(server('SA', 500, 101, { options: [1, 3, 3, 200] }).tracked?.directions.map(({ scale }) => scale)).toEqual([
      7, 14,
    ]);
    // 512 << 7 reaches one byte further than the unscaled 65535 of the SYN.
    expect(client('A', 101, 501, { window: 512 }).tracked?.directions[1]?.maxEnd).toBe(501 + 65536);
  });

  it('what SACK names counts as acknowledged, and may not run ahead', async () => {
    const { client, server, handshake } = await between();
    handshake({ options: [4, 2, 1, 1] });
    for (let i = 0; i < 3; i++) client('A', 101 + 100 * i, 501, { length: 100 });
    const sack = (left: number, right: number) => [
      1,
      1,
      5,
      10,
      0,
      0,
      left >> 8,
      left & 255,
      0,
      0,
      right >> 8,
      right & 255,
    ];
    expect(server('A', 501, 101, { options: sack(201, 301) }).invalid).toBe(false);
    expect(server('A', 501, 101, { options: sack(201, 4001) }).invalid).toBe(true);
  });

  it.each([[[3, 3, 7, 3]], [[2, 3, 3, 3]], [[8, 0, 1, 1]], [[5, 255, 1, 1]], [[3, 1, 1, 1]]])(
    'options that are cut short (%j) are read no further',
    async (options) => {
      const { client } = await between();
      expect(client('S', 100, 0, { options })).toMatchObject({ invalid: false, state: 'SYN_SENT 120' });
    },
  );
});

describe('an end', () => {
  async function closed() {
    const world = await between();
    const { client, server, handshake } = world;
    handshake();
    const states = [
      client('FA', 101, 501).state,
      server('A', 501, 102).state,
      server('FA', 501, 102).state,
      client('A', 102, 502).state,
    ];
    return { ...world, states };
  }

  it('goes by FIN_WAIT, CLOSE_WAIT and LAST_ACK to TIME_WAIT', async () => {
    const { states } = await closed();
    expect(states).toEqual(['FIN_WAIT 120', 'CLOSE_WAIT 60', 'LAST_ACK 30', 'TIME_WAIT 120']);
  });

  it('lets a new SYN open a new connection', async () => {
    const { client } = await closed();
    const after = client('S', 9000, 0, { at: 5 });
    expect(after).toMatchObject({ invalid: false, state: 'SYN_SENT 120', assured: false });
    expect(after.tracked?.seenReply).toBe(false);
  });

  it('lets a SYN of the other end do so, too, with the roles changed', async () => {
    const { server } = await closed();
    expect(server('S', 9000, 0, { at: 5 })).toMatchObject({
      state: 'SYN_SENT 120',
      tracked: { original: `${BOB}:80 > ${ALICE}:4000` },
    });
  });

  it('is not made by a FIN outside of the window, but two of them shorten five days to 300 s', async () => {
    const { client, server, handshake } = await between();
    handshake();
    expect(client('FA', 9_000_000, 501, { at: 2 })).toMatchObject({ invalid: true, state: 'ESTABLISHED 431999' });
    expect(server('FA', 9_000_000, 101, { at: 3 })).toMatchObject({ invalid: true, state: 'ESTABLISHED 300' });
  });
});

describe('a RST (RFC 5961)', () => {
  async function talking() {
    const world = await between();
    const { client, server, handshake } = world;
    handshake();
    client('PA', 101, 501, { length: 50 });
    server('A', 501, 151);
    client('A', 151, 501);
    return world;
  }

  it('that is behind is INVALID', async () => {
    const { server } = await talking();
    expect(server('R', 400)).toMatchObject({ invalid: true, state: expect.stringContaining('ESTABLISHED') });
  });

  it('that runs ahead keeps the state, and gives it ten seconds', async () => {
    const { server } = await talking();
    expect(server('R', 1000)).toMatchObject({ invalid: false, state: 'ESTABLISHED 10' });
  });

  it('with the exact number closes', async () => {
    const { server } = await talking();
    expect(server('R', 501)).toMatchObject({ invalid: false, state: 'CLOSE 10' });
  });

  it('right behind its sender’s last data closes', async () => {
    const { server, handshake } = await between();
    handshake();
    server('PA', 501, 101, { length: 20 });
    expect(server('R', 521)).toMatchObject({ invalid: false, state: 'CLOSE 10' });
  });
});

describe('a SYN to an established connection', () => {
  it('passes and changes nothing; the SYN-ACK that answers it brings conntrack in step', async () => {
    const { client, server, handshake } = await between();
    handshake();
    expect(client('S', 77_000, 0, { options: [3, 3, 4, 1] })).toMatchObject({
      invalid: false,
      state: expect.stringContaining('ESTABLISHED'),
    });
    const answered = server('SA', 99_000, 77_001, { options: [3, 3, 5, 1] });
    expect(answered.state).toBe('SYN_RECV 60');
    expect(answered.tracked?.directions.map(({ scale }) => scale)).toEqual([4, 5]);
    expect(client('A', 77_001, 99_001).state).toContain('ESTABLISHED');
  });

  it('that a RST answers is the end', async () => {
    const { client, server, handshake } = await between();
    handshake();
    client('S', 77_000);
    expect(server('RA', 0, 77_001)).toMatchObject({ invalid: false, state: 'CLOSE 10' });
  });
});

describe('a challenge ACK', () => {
  it('in LAST_ACK is not the last ACK', async () => {
    const { client, server, handshake } = await between();
    handshake();
    client('FA', 101, 501);
    server('FA', 501, 102);
    expect(client('S', 300).state).toMatch(/^LAST_ACK/);
    expect(server('A', 502, 102).state).toMatch(/^LAST_ACK/);
    expect(client('A', 102, 502).state).toBe('TIME_WAIT 120');
  });

  it('to a SYN, then the client’s RST: the old half of a connection is cleared away', async () => {
    const { client, server } = await between();
    client('S', 100);
    expect(server('A', 8000, 3000)).toMatchObject({ invalid: false, state: expect.stringMatching(/^SYN_SENT/) });
    expect(client('R', 3000)).toMatchObject({ invalid: false, state: 'CLOSE 10' });
  });
});

describe('a segment with a wrong checksum', () => {
  it('is INVALID where it comes in, and opens nothing', async () => {
    const { router, fromAlice } = await between();
    const packet = tcpPacket(CLIENT, { flags: 'S', sequence: 1 });
    packet[37] = (packet[37] ?? 0) ^ 1;
    fromAlice(packet);
    expect(connectionsIn(router)).toEqual([]);
  });

  it('or cut short is, too', async () => {
    const { router, fromAlice } = await between();
    const whole = tcpPacket(CLIENT, { flags: 'S', sequence: 1 });
    const cut = whole.slice(0, 36);
    cut[3] = 36;
    // 4 bytes less in the total length: 4 more in the checksum of the header.
    cut[11] = (cut[11] ?? 0) + 4;
    fromAlice(cut);
    expect(connectionsIn(router)).toEqual([]);
  });
});
