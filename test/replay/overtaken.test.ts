/** A reply that is injected before its question has arrived: an error of the replay, told as one. */

import { describe, expect, test } from 'vitest';
import { conform } from '../../src/replay/conformance.js';
import { describeOvertaking, overtakings } from '../../src/replay/overtaken.js';
import type { Stimulus } from '../../src/replay/scenario.js';
import { filesOf, tapOf, withEarlySynAck } from './recorded.js';

const MILLISECOND = 1_000_000;

describe('a reply that would overtake the frame it answers', () => {
  test.each(['path', 'stack'] as const)('is an error of the replay, which says which (%s)', async (mode) => {
    const early = withEarlySynAck(filesOf('S7-ingress-one'), 24 * MILLISECOND);
    const { compared } = await conform('S7-ingress-one', early, [mode]);
    expect(compared[0]?.error).toMatch(
      /^a reply overtakes what it answers: node2\.task-my-web\.1\/eth0: frame 4, .* overtake frame 1,/,
    );
  });

  test('is none when it is only a little earlier than it was, and still later than its question', async () => {
    const { compared } = await conform('S7-ingress-one', withEarlySynAck(filesOf('S7-ingress-one'), 1000), ['path']);
    expect(compared[0]?.error).toBeUndefined();
    expect(compared.flatMap(({ taps }) => taps).reduce((sum, { different }) => sum + different, 0)).toBe(0);
  });

  test('is found by when our tap saw the question, whatever it answers', () => {
    const tap = tapOf('S1-default-bridge', 'node1.ct-alpine2/eth0');
    const kinds = { 2: 'arp-reply', 4: 'icmp-echo-reply' };
    const sights = new Map(tap.frames.map((_, index) => [index + 1, index + 1]));
    const injected = Object.entries(kinds).map(
      ([frame, kind]) => ({ pcap: tap.pcap, frame: Number(frame), kind, time: 5000 }) as Stimulus,
    );
    const seenAt = (time: bigint) => tap.frames.map(({ data }) => ({ data, time: 1_000_000n + time }));
    const found = (time: bigint) => overtakings(injected, 1_000_000n, [{ real: tap, ours: seenAt(time), sights }]);
    expect(found(5000n)).toEqual([]);
    expect(found(5010n).map(describeOvertaking)).toEqual([
      'node1.ct-alpine2/eth0: frame 2, injected 0.005 ms after the first one, would overtake frame 1, which it answers and which arrived there 0.010 µs later',
      'node1.ct-alpine2/eth0: frame 4, injected 0.005 ms after the first one, would overtake frame 3, which it answers and which arrived there 0.010 µs later',
    ]);
  });
});
