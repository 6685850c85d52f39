/** Comparison of encrypted frames: opened, and looked into. What differs inside, or was not sealed right, turns up. */

import { describe, expect, it } from 'vitest';
import { cipherFor } from '../../src/crypto/gcm.js';
import { compareTap } from '../../src/replay/compare.js';
import { openerOf } from '../../src/replay/esp.js';
import { play } from '../../src/replay/replay.js';
import { compareState } from '../../src/replay/state.js';
import type { Realized } from '../../src/swarm/realize.js';
import { concat, hex } from '../engine/packets.js';
import { ESP_FRAMES } from '../engine/recorded-esp.js';
import { comparedState, inWords, replayed } from '../views/replayed.js';
import { filesOf, recorded, sameAs, tapOf } from './recorded.js';

const SCENARIO = 'S9-encrypted-overlay';
const TAP = 'node1.host/eth0';
const openEsp = openerOf(recorded(SCENARIO).inputs);

/** Our side: the real frames sealed anew, each with another IV, and changed before or after by who likes to. */
function resealed(
  options: {
    constant?: (sequence: number) => number;
    inside?: (plain: Uint8Array, number: number) => void;
    outside?: (frame: Uint8Array, number: number) => void;
  } = {},
) {
  const real = tapOf(SCENARIO, TAP);
  const { constant = () => 0x55, inside = () => {}, outside = () => {} } = options;
  const frames = sameAs(real).frames.map((seen, number) => {
    const frame = seen.data;
    const spi = new DataView(frame.buffer, frame.byteOffset).getUint32(34);
    const key = ESP_FRAMES.find((one) => one.spi === spi)?.key ?? new Uint8Array(20);
    const opened = openEsp(frame);
    if (!opened) throw new Error(`frame ${number} does not open`);
    const sequence = opened[41] ?? 0;
    opened.set([1, 2, 3, 4, 5, 6, 7, sequence ^ constant(sequence)], 42);
    const plain = opened.subarray(50, -8);
    inside(plain, number);
    const nonce = concat(key.subarray(16), opened.subarray(42, 50));
    cipherFor(key.subarray(0, 16)).seal(nonce, opened.subarray(34, 42), plain, opened.subarray(-8));
    outside(opened, number);
    return { ...seen, data: opened };
  });
  return compareTap(real, { tap: real.tap, frames }, { openEsp });
}
const words = (result: ReturnType<typeof resealed>) => result.differences.flatMap((one) => one.words).join('\n');

describe('encrypted frames', () => {
  it('that differ by their IVs alone are masked, each once', () => {
    const result = resealed();
    expect([result.compared, result.masked, result.different]).toEqual([44, 44, 0]);
    expect(result.masks).toEqual({ 'esp-iv': 44 });
  });

  it('that are the same are identical', () => {
    const real = tapOf(SCENARIO, TAP);
    expect(compareTap(real, sameAs(real), { openEsp })).toMatchObject({ identical: 44, masked: 0, different: 0 });
  });

  it.each([
    ['a byte of the inner payload', 100, /tcp.payload|data.data/],
    ['the inner TTL', 8 + 8 + 14 + 8, /ip.ttl \(inside vxlan\)/],
    ['the VNI', 8 + 4, /vxlan.vni|missing|extra/],
  ])('are different when %s is, and the words say where', (_, at, expected) => {
    const result = resealed({
      inside: (plain, number) => {
        if (number === 4) plain[at] = (plain[at] ?? 0) ^ 1;
      },
    });
    expect(result.different).toBeGreaterThan(0);
    expect(words(result)).toMatch(expected);
  });

  it('are different when padding is', () => {
    const result = resealed({
      inside: (plain) => {
        if ((plain.at(-2) ?? 0) > 0) plain[plain.length - 3] = 9;
      },
    });
    expect(result.different).toBeGreaterThan(0);
    expect(words(result)).toContain('esp.pad');
  });

  it('are different when the IV does not follow the sequence number', () => {
    const result = resealed({ constant: (sequence) => (sequence === 5 ? 0x66 : 0x55) });
    expect(result.different).toBeGreaterThan(0);
    expect(words(result)).toContain('do not differ by their sequence numbers alone');
  });

  it.each([
    ['the ICV', -1],
    ['the ciphertext', 60],
  ])('are different when a byte of %s is wrong: ours does not open', (_, at) => {
    const result = resealed({
      outside: (frame, number) => {
        const index = at < 0 ? frame.length + at : at;
        if (number === 3) frame[index] = (frame[index] ?? 0) ^ 1;
      },
    });
    expect([result.masked, result.different > 0]).toEqual([43, true]);
  });

  it('are compared as they are without a key', () => {
    const real = tapOf(SCENARIO, TAP);
    const closed = openerOf({ ...recorded(SCENARIO).inputs, encryption: undefined });
    expect(compareTap(real, sameAs(real), { openEsp: closed })).toMatchObject({ identical: 44 });
    expect(closed(real.frames[0]?.data ?? new Uint8Array())).toBeUndefined();
  });

  it('of another length than any ESP are not opened', () => {
    const frame = ESP_FRAMES[0]?.frame ?? new Uint8Array();
    for (let length = 0; length < 60; length++) expect(openEsp(frame.subarray(0, length))).toBeUndefined();
    expect(openEsp(hex('ff'))).toBeUndefined();
  });
});

describe('the state of an encrypted overlay', () => {
  const host = ({ namespaces }: Realized) => {
    const found = namespaces.get('node1/host');
    if (!found) throw new Error('no node1/host');
    return found;
  };

  it.each<[string, (realized: Realized) => void, RegExp]>([
    [
      'an association that is missing',
      (realized) => {
        const { xfrm } = host(realized);
        const oldest = xfrm.associations[1];
        if (oldest) xfrm.removeAssociation(oldest);
      },
      /node1.host ip xfrm state: line \d+.*spi 0x1f991ced/,
    ],
    [
      'a policy to another port',
      (realized) => {
        const { xfrm } = host(realized);
        const [policy] = xfrm.policies;
        if (policy) xfrm.removePolicy(policy.source, policy.destination);
        if (policy) xfrm.setPolicy({ ...policy, port: 4790 });
      },
      /node1.host ip xfrm policy: .*dport 4789/,
    ],
    [
      'a rule that matches another VNI',
      (realized) => {
        const chain = host(realized).iptables.chain('mangle', 'OUTPUT');
        chain.rules[0]?.remove();
        host(realized).iptables.append('mangle', 'OUTPUT', {
          protocol: 'udp',
          dport: 4789,
          u32: '0>>22&0x3C@12&0xFFFFFF00=1049856',
          target: 'MARK',
          value: 0xd0c4e3,
        });
      },
      /node1.host iptables mangle OUTPUT: rule 1.*0x100400/,
    ],
  ])('turns up: %s', async (_, prepare, expected) => {
    const differences = inWords(comparedState(await replayed(SCENARIO, 'path', prepare)));
    expect(
      differences.some((one) => expected.test(one)),
      differences.join('\n'),
    ).toBe(true);
  });
});

describe('associations that are from before the scenario', () => {
  const read = (name: string) => {
    const bytes = filesOf(SCENARIO)(name);
    if (bytes === undefined || !/host\.txt$/.test(name)) return bytes;
    // 100 packets earlier, and another order: as after a rotation.
    const text = new TextDecoder().decode(bytes);
    const start = text.indexOf('### ip xfrm state\n') + '### ip xfrm state\n'.length;
    const end = text.indexOf('### ip xfrm policy');
    const all = text.slice(start, end).split(/^(?=src )/m);
    const later = [...all.slice(2), ...all.slice(0, 2)]
      .join('')
      .replace('oseq 0x16', 'oseq 0x7a')
      .replace(/(\d+)\(bytes\), 22\(packets\)/g, '99999(bytes), 122(packets)');
    return new TextEncoder().encode(text.slice(0, start) + later + text.slice(end));
  };
  const inputs = () => {
    const known = recorded(SCENARIO).inputs;
    const all = Object.entries(known.encryption?.associations ?? {});
    const associations = Object.fromEntries(
      all.map(([node, list]) => [node, list.map((one) => (one.firstSequence ? { ...one, firstSequence: 101 } : one))]),
    );
    return { ...known, encryption: known.encryption && { ...known.encryption, associations } };
  };

  it('go on counting where they were; their order and what they have counted is not compared', async () => {
    const played = await play(inputs(), recorded(SCENARIO).stimulusFrames(), 'path');
    const real = recorded(SCENARIO).realTaps();
    const { different, leftOut } = compareState({ inputs: inputs(), read, played, real });
    expect(different.filter(({ what }) => what.startsWith('ip xfrm'))).toEqual([]);
    expect(leftOut.join('\n')).toContain('the place, bytes and packets of 8 entries');
    const sequences = (played.taps.get(TAP) ?? []).map(({ data }) =>
      new DataView(data.buffer, data.byteOffset).getUint32(38),
    );
    expect(Math.min(...sequences)).toBe(101);
  });
});
