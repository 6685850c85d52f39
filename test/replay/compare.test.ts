import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareTap, type RealTap, type TapFrame } from '../../src/replay/compare.js';
import { DrawnValues } from '../../src/replay/masks.js';
import { comparisonOptions, injectedIn, MODES } from '../../src/replay/scenario.js';
import { changed, get16, put16, recorded, SCENARIOS, sameAs, tapOf, withChecksums } from './recorded.js';

const eth0 = tapOf('S6-ingress', 'node1.host/eth0');
const at = (tap: RealTap, number: number) => tap.frames[number - 1] as TapFrame;
/** The tap with one frame replaced, or left out, or another put before it. */
const replaced = (tap: RealTap, number: number, ...instead: TapFrame[]) => ({
  ...sameAs(tap),
  frames: [...tap.frames.slice(0, number - 1), ...instead, ...tap.frames.slice(number)],
});
const withBytes = (tap: RealTap, number: number, change: (bytes: Uint8Array) => void) =>
  replaced(tap, number, { ...at(tap, number), data: changed(at(tap, number).data, change) });

/** VXLAN as another kernel would have drawn it: another port for each flow, other ids, checksums right. */
function drawnAgain(frame: TapFrame): TapFrame {
  if (get16(frame.data, 36) !== 4789 || frame.data[23] !== 17) return frame;
  const data = changed(frame.data, (bytes) => {
    put16(bytes, 18, (get16(bytes, 18) * 7 + 1) & 0xffff);
    // One flow, one port: a function of the inner addresses and ports.
    const flow = bytes.subarray(76, 88).reduce((sum, byte) => (sum * 31 + byte) % 28_231, 0);
    put16(bytes, 34, 32_768 + (get16(bytes, 62) === 0x0806 ? 1 : flow));
    withChecksums(bytes);
  });
  return { ...frame, data };
}

describe('a real tap', () => {
  test.each(SCENARIOS)('of %s is identical with itself, in both modes, every one of them', (name) => {
    const scenario = recorded(name);
    const stimuli = scenario.stimulusFrames();
    const taps = scenario.realTaps();
    let total = 0;
    for (const mode of MODES) {
      const injected = injectedIn(mode, stimuli);
      const optionsOf = comparisonOptions(scenario.inputs, mode, injected, stimuli);
      for (const tap of taps) {
        const result = compareTap(tap, sameAs(tap), optionsOf(tap));
        expect(result).toMatchObject({ masked: 0, different: 0, differences: [], compared: result.identical });
        expect(result.compared + result.injected).toBe(tap.frames.length);
        total += result.compared;
      }
    }
    expect(total).toBeGreaterThan(700);
  });

  test('is identical whatever the times, and however the flows cross', () => {
    const ours = sameAs(eth0);
    const arp = ours.frames.filter(({ data }) => get16(data, 12) === 0x0806);
    const rest = ours.frames.filter(({ data }) => get16(data, 12) !== 0x0806);
    const result = compareTap(eth0, { ...ours, frames: [...rest, ...arp].map((frame) => ({ ...frame, time: 0n })) });
    expect(result).toMatchObject({ compared: 187, identical: 187 });
  });

  test('that saw nothing is compared too', () => {
    const silent = tapOf('S6-ingress', 'node1.host/lo');
    expect(silent.frames).toEqual([]);
    expect(compareTap(silent, { tap: silent.tap, frames: [] })).toMatchObject({ compared: 0, different: 0 });
    const result = compareTap(silent, { tap: silent.tap, frames: [at(eth0, 3)] });
    expect(result).toMatchObject({ compared: 1, different: 1 });
    expect(result.differences[0]).toMatchObject({ kind: 'extra', ours: 1 });
  });

  test('against a tap of ours that saw nothing is all different', () => {
    expect(compareTap(eth0, { tap: eth0.tap, frames: [] })).toMatchObject({
      compared: 187,
      identical: 0,
      different: 187,
    });
  });
});

describe('what differs', () => {
  test('one byte: one frame, with the field in words', () => {
    const result = compareTap(
      eth0,
      withBytes(eth0, 3, (bytes) => {
        bytes[22] = 61;
      }),
    );
    expect(result).toMatchObject({ compared: 187, identical: 186, different: 1 });
    expect(result.differences).toEqual([
      {
        tap: 'node1.host/eth0',
        flow: 'tcp 192.168.99.1:41001 > 192.168.99.110:8080',
        direction: 'received',
        kind: 'changed',
        real: 3,
        ours: 3,
        words: ['ip.ttl: real 64, ours 61'],
      },
    ]);
  });

  test('any byte of any frame of any tap', () => {
    const taps = SCENARIOS.flatMap((name) => recorded(name).realTaps()).filter(({ frames }) => frames.length > 0);
    fc.assert(
      fc.property(
        fc.constantFrom(...taps),
        fc.nat(),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (tap, place, where, bits) => {
          const number = (place % tap.frames.length) + 1;
          const ours = withBytes(tap, number, (bytes) => {
            const index = where % bytes.length;
            bytes[index] = (bytes[index] ?? 0) ^ bits;
          });
          const result = compareTap(tap, ours);
          expect(result.different).toBeGreaterThanOrEqual(1);
          expect(result.different).toBeLessThanOrEqual(2);
          expect(result.compared).toBe(result.identical + result.masked + result.different);
          expect(result.differences.every(({ words }) => words.length > 0)).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('a wrong address: told as such, although it makes another flow', () => {
    const result = compareTap(
      eth0,
      withBytes(eth0, 3, (bytes) => {
        bytes[33] = 99;
        withChecksums(bytes);
      }),
    );
    expect(result).toMatchObject({ compared: 187, different: 1 });
    expect(result.differences[0]?.words).toContain('ip.dst: real 192.168.99.110, ours 192.168.99.99');
  });

  test('a wrong VNI, through VXLAN', () => {
    const result = compareTap(
      eth0,
      withBytes(eth0, 4, (bytes) => {
        bytes[48] = 1;
        withChecksums(bytes);
      }),
    );
    expect(result.different).toBe(1);
    expect(result.differences[0]?.words).toContain('vxlan.vni: real 4096, ours 4097');
  });

  test('a frame that only the real tap saw', () => {
    for (const number of [1, 3, 100, 187]) {
      const result = compareTap(eth0, replaced(eth0, number));
      expect(result).toMatchObject({ compared: 187, identical: 186, different: 1 });
      expect(result.differences[0]).toMatchObject({ kind: 'missing', real: number });
      expect(result.differences[0]?.words.join()).toMatch(/the real tap saw it, ours did not/);
    }
  });

  test('a frame that only our tap saw, be it one that was there already', () => {
    const result = compareTap(eth0, replaced(eth0, 3, at(eth0, 3), at(eth0, 3)));
    expect(result).toMatchObject({ compared: 188, identical: 187, different: 1 });
    expect(result.differences[0]).toMatchObject({ kind: 'extra', words: ['our tap saw it, the real one did not'] });
  });

  test('two frames of a flow that changed places', () => {
    const flow = 'tcp 192.168.99.1:41001 > 192.168.99.110:8080';
    const numbers = eth0.frames.flatMap(({ data }, index) =>
      get16(data, 34) === 41001 && data[23] === 6 && get16(data, 36) === 8080 ? [index + 1] : [],
    );
    const [first = 0, second = 0] = numbers.slice(1);
    const frames = [...eth0.frames];
    [frames[first - 1], frames[second - 1]] = [at(eth0, second), at(eth0, first)];
    const result = compareTap(eth0, { tap: eth0.tap, frames });
    expect(result).toMatchObject({ compared: 187, identical: 186, different: 1 });
    expect(result.differences[0]).toMatchObject({ flow, kind: 'out of order' });
  });

  test('a frame that went the other way', () => {
    const result = compareTap(eth0, replaced(eth0, 3, { ...at(eth0, 3), direction: 'transmitted' }));
    expect(result).toMatchObject({ identical: 186, different: 2 });
  });

  test('but not where directions are unknown', () => {
    const frames = eth0.frames.map(({ time, data }) => ({ time, data }));
    expect(compareTap(eth0, { tap: eth0.tap, frames })).toMatchObject({ identical: 187, different: 0 });
  });

  test('all frames of a flow, the missing one told apart from the changed ones', () => {
    const frames = eth0.frames.flatMap((frame, index) => {
      if (get16(frame.data, 36) !== 8080 || get16(frame.data, 34) !== 41001 || frame.data[23] !== 6) return [frame];
      if (index === 8) return [];
      return [
        {
          ...frame,
          data: changed(frame.data, (bytes) => {
            bytes[22] = 9;
          }),
        },
      ];
    });
    const result = compareTap(eth0, { tap: eth0.tap, frames });
    expect(
      result.differences
        .filter(({ kind }) => kind === 'changed')
        .every(({ words }) => words.join() === 'ip.ttl: real 64, ours 9'),
    ).toBe(true);
    expect(result.compared).toBe(187);
  });

  test('a capture that has lost a frame since inputs.json was written, even if ours lacks it too', () => {
    const cut = { ...eth0, frames: eth0.frames.slice(0, -1) };
    const result = compareTap(cut, sameAs(cut));
    expect(result).toMatchObject({ identical: 186, different: 1 });
    expect(result.differences[0]?.words).toEqual(['the real capture has 186 frames, inputs.json says 187']);
  });
});

describe('what is masked', () => {
  test('VXLAN drawn by another kernel, by count', () => {
    const ours = { tap: eth0.tap, frames: eth0.frames.map(drawnAgain) };
    const vxlan = eth0.frames.filter(({ data }) => get16(data, 36) === 4789 && data[23] === 17).length;
    const result = compareTap(eth0, ours);
    expect(result.differences).toEqual([]);
    expect(result).toMatchObject({ compared: 187, masked: vxlan, identical: 187 - vxlan, different: 0 });
    expect(result.masks['outer-ip-id']).toBe(vxlan);
    expect(result.masks['vxlan-source-port']).toBeGreaterThan(vxlan - 10);
    expect(Object.keys(result.masks).sort()).toEqual(['outer-ip-id', 'vxlan-source-port']);
  });

  test('one source port of a flow, the same at both ends of the wire', () => {
    const far = tapOf('S6-ingress', 'node2.host/eth0');
    const drawnValues = new DrawnValues();
    const options = { drawnValues };
    expect(compareTap(eth0, { tap: eth0.tap, frames: eth0.frames.map(drawnAgain) }, options).different).toBe(0);
    expect(compareTap(far, { tap: far.tap, frames: far.frames.map(drawnAgain) }, options).different).toBe(0);
    // Unchanged at the far end: as if the wire had changed it.
    const result = compareTap(
      eth0,
      {
        tap: eth0.tap,
        frames: eth0.frames.map((frame) => {
          const other = drawnAgain(frame);
          return other === frame
            ? frame
            : { ...other, data: withChecksums(changed(other.data, (bytes) => put16(bytes, 34, 60_000))) };
        }),
      },
      options,
    );
    expect(result.different).toBeGreaterThan(100);
    expect(result.differences[0]?.words.join()).toMatch(/one flow has two/);
  });

  test('the id of a fragmented packet of our own stack, the same in each of its fragments', () => {
    // Two fragments of each of three echo replies, by hand: 24 bytes with MF, then 8 more at offset 24.
    const replies = (firstId: number, lastId = firstId + 2): TapFrame[] =>
      [0, 1, 2].flatMap((reply) =>
        [0, 24].map((offset) => {
          const data = new Uint8Array(14 + 20 + (offset === 0 ? 24 : 8)).fill(reply + 1);
          data.set([8, 0, 0x45, 0], 12);
          put16(data, 16, data.length - 14);
          put16(data, 18, reply === 2 && offset > 0 ? lastId : firstId + reply);
          put16(data, 20, offset === 0 ? 0x2000 : offset / 8);
          data.set([64, 1, 0, 0, 10, 0, 0, 2, 10, 0, 0, 3], 22);
          let sum = 0;
          for (let word = 14; word < 34; word += 2) sum += get16(data, word);
          put16(data, 24, ~((sum & 0xffff) + (sum >>> 16)) & 0xffff);
          return { time: 0n, data, direction: 'transmitted' };
        }),
      );
    const tap = 'node1.task/eth0';
    const options = { ownStack: () => true };
    const result = compareTap({ tap, frames: replies(100) }, { tap, frames: replies(7000) }, options);
    expect(result.differences).toEqual([]);
    expect(result).toMatchObject({ compared: 6, masked: 6, masks: { 'own-ip-id': 6 } });
    expect(compareTap({ tap, frames: replies(100) }, { tap, frames: replies(7000) }).different).toBe(6);
    const torn = compareTap({ tap, frames: replies(100) }, { tap, frames: replies(7000, 7777) }, options);
    expect(torn.different).toBeGreaterThan(0);
  });

  test('a port that NAT drew, in every frame of the connection', () => {
    const ours = {
      tap: eth0.tap,
      frames: eth0.frames.map((frame) => {
        const side = [34, 36].find((offset) => frame.data[23] === 6 && get16(frame.data, offset) === 41001);
        if (side === undefined) return frame;
        return { ...frame, data: withChecksums(changed(frame.data, (bytes) => put16(bytes, side, 5555))) };
      }),
    };
    const drawn = (_: string, port: number) => port === 41001;
    const result = compareTap(eth0, ours, { drawn });
    expect(result.differences).toEqual([]);
    expect(result.masks['nat-port']).toBe(result.masked);
    expect(result.masked).toBeGreaterThan(8);
    const strict = compareTap(eth0, ours);
    expect(strict.different).toBe(result.masked);
    expect(strict.differences[0]?.words.join()).toMatch(/tcp\.srcport: real 41001, ours 5555/);
  });
});

describe('what is not counted', () => {
  test('frames that were injected at this tap', () => {
    const result = compareTap(eth0, sameAs(eth0), { injected: new Set([2, 3]) });
    expect(result).toMatchObject({ compared: 185, identical: 185, injected: 2 });
  });

  test('nor their sight in ours, be its checksum complete where the capture holds a partial one', () => {
    const completed = withBytes(eth0, 3, (bytes) => put16(bytes, 50, get16(bytes, 50) ^ 0x5555));
    const result = compareTap(eth0, completed, { injected: new Set([3]) });
    expect(result).toMatchObject({ compared: 186, identical: 186, injected: 1 });
  });

  test('nor their sight in ours, were it another copy of it in the other direction', () => {
    const twice = replaced(eth0, 2, { ...at(eth0, 2), direction: 'received' }, at(eth0, 2));
    const result = compareTap(eth0, twice, { injected: new Set([2]) });
    expect(result).toMatchObject({ compared: 187, identical: 186, different: 1, injected: 1 });
    expect(result.differences[0]).toMatchObject({ kind: 'extra', direction: 'received' });
  });

  test('the second copy of a frame on lo, on either side', () => {
    const syn = at(eth0, 3).data;
    const ack = at(eth0, 9).data;
    const frame = (data: Uint8Array, direction?: 'received' | 'transmitted'): TapFrame => ({
      time: 0n,
      data,
      ...(direction === undefined ? {} : { direction }),
    });
    const twice = [syn, ack].flatMap((data) => [frame(data, 'transmitted'), frame(data, 'received')]);
    const once = [frame(syn, 'transmitted'), frame(ack, 'transmitted')];
    const tap = 'node1.host/lo';
    for (const real of [twice, once]) {
      for (const ours of [twice, once]) {
        expect(compareTap({ tap, frames: real }, { tap, frames: ours })).toMatchObject({ compared: 2, identical: 2 });
      }
    }
    // A frame that was sent twice is no copy.
    const again = [...once, frame(ack, 'transmitted')];
    expect(compareTap({ tap, frames: again }, { tap, frames: again })).toMatchObject({ compared: 3 });
    expect(compareTap({ tap, frames: twice }, { tap, frames: again })).toMatchObject({ identical: 2, different: 1 });
    // Elsewhere a second copy is a second frame.
    const other = 'node1.host/eth0';
    expect(compareTap({ tap: other, frames: twice }, { tap: other, frames: twice })).toMatchObject({ compared: 4 });
  });

  test('an overwritten frame, if ours has one that carries the same', () => {
    const number = 9;
    const overwrittenHeaders = changed(at(eth0, number).data, (bytes) => {
      bytes.set([1, 2, 3, 4, 5, 6], 0);
      bytes[22] = 3;
      bytes[29] = 77;
    });
    const real = {
      ...eth0,
      frames: eth0.frames.map((frame, index) =>
        index === number - 1 ? { ...frame, data: overwrittenHeaders } : frame,
      ),
      overwritten: new Set([number]),
    };
    expect(compareTap(real, sameAs(eth0))).toMatchObject({
      compared: 186,
      identical: 186,
      overwritten: 1,
      different: 0,
    });
    const without = compareTap(real, replaced(eth0, number));
    expect(without).toMatchObject({ identical: 186, overwritten: 0, different: 1 });
    const otherPayload = withBytes(eth0, number, (bytes) => {
      bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
    });
    expect(compareTap(real, otherPayload).different).toBeGreaterThan(0);
  });
});
