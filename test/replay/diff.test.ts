/** Two captures compared frame by frame, by whoever has two. */

import { beforeAll, describe, expect, test } from 'vitest';
import type { Captured } from '../../src/capture/captured.js';
import { pcapHeader, pcapRecord } from '../../src/capture/pcap.js';
import { enhancedPacketBlock, pcapngHeader } from '../../src/capture/pcapng.js';
import { FIELD_NAMES } from '../../src/dissect/fields.js';
import { parseStackFile, Swarm } from '../../src/index.js';
import { type CaptureDiff, type DiffOptions, diffSides } from '../../src/replay/diff.js';
import { MaskError, Masks } from '../../src/replay/diff-mask.js';
import { type FrameLike, LinkTypeError, sideOf } from '../../src/replay/diff-sides.js';
import { diffLines } from '../../src/replay/diff-words.js';
import { changed, get16, put16, tapOf, withChecksums } from './recorded.js';

type CaptureLike = Uint8Array | readonly FrameLike[];
const diff = (a: CaptureLike, b: CaptureLike, options: DiffOptions = {}): CaptureDiff =>
  diffSides(sideOf(a), sideOf(b), options);
const counts = ({ compared, identical, masked, different }: CaptureDiff) => [compared, identical, masked, different];

/** node1's NIC on a real swarm: ARP, the client's TCP, VXLAN between nodes. */
const real = tapOf('S6-ingress', 'node1.host/eth0').frames.map(({ data }) => ({ data }));
const total = real.length;
/** client → node1, TCP; node1 → node2, VXLAN with the SYN inside. Frame numbers are places, from 1. */
const TCP = 3;
const VXLAN = 4;
const at = (number: number) => (real[number - 1] as { data: Uint8Array }).data;
const withFrame = (number: number, ...instead: Uint8Array[]) => [
  ...real.slice(0, number - 1),
  ...instead.map((data) => ({ data })),
  ...real.slice(number),
];
/** The capture with bytes of one frame written over. */
const edited = (number: number, change: (bytes: Uint8Array) => void) => withFrame(number, changed(at(number), change));
const INNER_IP = 64;

function pcap(frames: readonly FrameLike[]): Uint8Array {
  return Buffer.concat([pcapHeader(), ...frames.map(({ data, time = 0n }) => pcapRecord({ data, time }))]);
}
function pcapng(frames: readonly FrameLike[], name = 'eth0'): Uint8Array {
  return Buffer.concat([
    pcapngHeader([{ name }]),
    ...frames.map(({ data, time = 0n }) => enhancedPacketBlock({ interface: 0, data, time })),
  ]);
}

describe('equal captures', () => {
  test('are equal, whatever their format and their clocks', () => {
    const later = real.map(({ data }, index) => ({ data, time: 10n ** 18n + BigInt(index) }));
    const result = diff(pcap(real), pcapng(later));
    expect(counts(result)).toEqual([total, total, 0, 0]);
    expect(result).toMatchObject({ equal: true, differences: [], fields: {} });
    expect(result.interfaces).toBe('A does not name its interface: all frames of A with all of B');
  });

  test('are equal where flows cross, for order counts within a flow alone', () => {
    const isArp = ({ data }: FrameLike) => get16(data, 12) === 0x0806;
    const sorted = [...real.filter((frame) => !isArp(frame)), ...real.filter(isArp)];
    expect(counts(diff(real, sorted))).toEqual([total, total, 0, 0]);
  });

  test('of nothing are equal', () => {
    expect(counts(diff([], []))).toEqual([0, 0, 0, 0]);
    expect(diff(pcap([]), []).equal).toBe(true);
  });
});

describe('a difference', () => {
  test('is told with the field and both values, and the checksum that follows from it', () => {
    const b = edited(TCP, (bytes) => {
      bytes[22] = 61;
      withChecksums(bytes);
    });
    const result = diff(real, b);
    expect(counts(result)).toEqual([total, total - 1, 0, 1]);
    const [one] = result.differences;
    expect(one).toMatchObject({
      kind: 'changed',
      a: TCP,
      b: TCP,
      fields: [
        { field: 'ip.ttl', a: '64', b: '61' },
        { field: 'ip.checksum', follows: true },
      ],
      words: ['ip.ttl: A 64, B 61', 'ip.checksum: right on both sides, and so different'],
    });
    expect(one?.flow).toMatch(/^tcp [\d.]+:\d+ > [\d.]+:\d+$/);
    expect(result.fields).toEqual({ 'ip.ttl': 1 });
  });

  test('in a checksum alone is one of its own', () => {
    const result = diff(
      real,
      edited(TCP, (bytes) => put16(bytes, 24, get16(bytes, 24) ^ 1)),
    );
    expect(result.differences[0]?.fields).toMatchObject([{ field: 'ip.checksum' }]);
    expect(result.differences[0]?.fields[0]).not.toHaveProperty('follows');
  });

  test('behind a wrong checksum has both told', () => {
    const result = diff(
      real,
      edited(TCP, (bytes) => bytes.fill(61, 22, 23)),
    );
    expect(result.differences[0]?.fields.map(({ field, follows }) => [field, follows])).toEqual([
      ['ip.ttl', undefined],
    ]);
  });

  test('inside VXLAN says so, outside of it does not', () => {
    const result = diff(
      real,
      edited(VXLAN, (bytes) => {
        bytes[INNER_IP + 8] = 9;
        bytes[48] = 1;
      }),
    );
    expect(result.differences[0]?.words).toEqual([
      expect.stringMatching(/^vxlan\.vni: A \d+, B \d+$/),
      expect.stringMatching(/^ip\.ttl \(inside vxlan\): A \d+, B 9$/),
    ]);
    expect(result.fields).toEqual({ 'outer:vxlan.vni': 1, 'inner:ip.ttl': 1 });
  });

  test('in length is told once', () => {
    const result = diff(real, withFrame(TCP, Uint8Array.of(...at(TCP), 0, 0)));
    expect(result.differences[0]?.words[0]).toBe(`frame.len: A ${at(TCP).length}, B ${at(TCP).length + 2}`);
    expect(result.differences[0]?.words.filter((words) => words.startsWith('frame.len'))).toHaveLength(1);
  });

  test('may be that one side lacks a frame', () => {
    const missing = diff(real, withFrame(TCP));
    expect(counts(missing)).toEqual([total, total - 1, 0, 1]);
    expect(missing.differences).toMatchObject([{ kind: 'missing', a: TCP, words: ['A has it, B has not'] }]);
    expect(missing.differences[0]).not.toHaveProperty('b');
    const extra = diff(withFrame(TCP), real);
    expect(extra.differences).toMatchObject([{ kind: 'extra', b: TCP, words: ['B has it, A has not'] }]);
  });

  test('may be that a frame stands at another place of its flow', () => {
    const flow = real
      .map(({ data }, index) => ({ number: index + 1, key: data.length > 40 ? `${data.subarray(26, 38)}` : '' }))
      .filter(({ key }) => key === `${at(TCP).subarray(26, 38)}`)
      .map(({ number }) => number);
    const [first = 0, second = 0] = flow.slice(1);
    const swapped = [...real];
    swapped[first - 1] = { data: at(second) };
    swapped[second - 1] = { data: at(first) };
    const result = diff(real, swapped);
    expect(counts(result)).toEqual([total, total - 1, 0, 1]);
    expect(result.differences).toMatchObject([
      { kind: 'out of order', words: ['it stands at another place among the frames of B'] },
    ]);
  });
});

describe('a mask', () => {
  const drawn = edited(VXLAN, (bytes) => {
    put16(bytes, 18, 0x1234);
    put16(bytes, 34, 45678);
    withChecksums(bytes);
  });

  test('passes over its field, and over the checksums that are right with it', () => {
    const result = diff(real, drawn, { mask: ['ip.id', 'udp.srcport'] });
    expect(counts(result)).toEqual([total, total - 1, 1, 0]);
    expect(result.masks).toEqual({ 'ip.id': 1, 'udp.srcport': 1 });
    expect(diff(real, drawn, { mask: ['ip.id'] }).fields).toEqual({ 'outer:udp.srcport': 1 });
  });

  test('does not pass over a checksum that is wrong', () => {
    const wrong = edited(VXLAN, (bytes) => put16(bytes, 18, 0x1234));
    const result = diff(real, wrong, { mask: ['ip.id'] });
    expect(counts(result)).toEqual([total, total - 1, 0, 1]);
  });

  test('may be of the header that carries VXLAN alone, or of those inside', () => {
    const inside = edited(VXLAN, (bytes) => {
      put16(bytes, INNER_IP + 4, 0x4321);
      const inner = withChecksums(new Uint8Array(bytes.subarray(INNER_IP - 14)));
      bytes.set(inner, INNER_IP - 14);
      withChecksums(bytes);
    });
    for (const [mask, b, equal] of [
      ['outer:ip.id', inside, false],
      ['inner:ip.id', inside, true],
      ['ip.id', inside, true],
      ['inner:ip.id', edited(TCP, (bytes) => withChecksums(changeId(bytes))), false],
      ['outer:ip.id', edited(TCP, (bytes) => withChecksums(changeId(bytes))), false],
      ['ip.id', edited(TCP, (bytes) => withChecksums(changeId(bytes))), true],
    ] as const) {
      expect(diff(real, b, { mask: [mask] }).equal, mask).toBe(equal);
    }
  });
  const changeId = (bytes: Uint8Array) => {
    put16(bytes, 18, get16(bytes, 18) ^ 0x5555);
    return bytes;
  };

  test('of an address passes over the checksum that has it in its pseudo header', () => {
    const moved = edited(TCP, (bytes) => {
      bytes[29] = 77;
      withChecksums(bytes);
    });
    expect(diff(real, moved, { mask: ['ip.src'] }).equal).toBe(true);
    expect(diff(real, moved).differences[0]?.fields.map(({ field, follows }) => [field, follows === true])).toEqual([
      ['ip.src', false],
      ['ip.checksum', true],
      ['tcp.checksum', true],
    ]);
  });

  test('takes the bits of its field alone', () => {
    const flags = edited(TCP, (bytes) => bytes.fill((bytes[20] ?? 0) ^ 0x20, 20, 21));
    expect(diff(real, flags, { mask: ['ip.flags', 'ip.checksum'] }).masks).toMatchObject({ 'ip.flags': 1 });
    expect(diff(real, flags, { mask: ['ip.frag_offset', 'ip.checksum'] }).fields).toEqual({ 'ip.flags': 1 });
    const reset = edited(TCP, (bytes) => bytes.fill((bytes[47] ?? 0) ^ 4, 47, 48));
    expect(diff(real, reset, { mask: ['tcp.hdr_len', 'tcp.checksum'] }).fields).toEqual({ 'tcp.flags': 1 });
    expect(diff(real, reset, { mask: ['tcp.flags', 'tcp.checksum'] }).equal).toBe(true);
  });

  test('of a checksum passes over it, right or wrong', () => {
    const wrong = edited(TCP, (bytes) => put16(bytes, 24, 0));
    expect(diff(real, wrong, { mask: ['ip.checksum'] }).equal).toBe(true);
  });

  test('of a port does not mix up parallel connections', () => {
    const flow = (port: number) =>
      [1, 2, 3].map((segment) =>
        withChecksums(
          changed(at(TCP), (bytes) => {
            put16(bytes, 34, port);
            put16(bytes, 40, segment * port);
          }),
        ),
      );
    const [a1, a2] = [flow(40001), flow(40002)];
    const other = (frames: Uint8Array[], port: number) =>
      frames.map((frame) => withChecksums(changed(frame, (bytes) => put16(bytes, 34, port))));
    const [b1, b2] = [other(a1, 50001), other(a2, 50002)];
    const [p, q, r] = a1 as [Uint8Array, Uint8Array, Uint8Array];
    const [s, t, u] = a2 as [Uint8Array, Uint8Array, Uint8Array];
    const side = (...frames: (Uint8Array | undefined)[]) => frames.map((data) => ({ data: data ?? new Uint8Array() }));
    const result = diff(side(p, s, q, t, r, u), side(b1[0], b2[0], b2[1], b2[2], b1[1], b1[2]), {
      mask: ['tcp.srcport'],
    });
    expect(counts(result)).toEqual([6, 0, 6, 0]);
  });

  test('takes every field that a frame can have, and no other', () => {
    for (const name of FIELD_NAMES) for (const word of [name, `outer:${name}`, `inner:${name}`]) new Masks([word]);
    expect(() => new Masks(['ip.idd'])).toThrow(MaskError);
    for (const word of ['', 'outer:', 'middle:ip.id', 'ip', 'outer:outer:ip.id']) {
      expect(() => new Masks([word])).toThrow(/there is no field/);
    }
  });
});

describe('frames that a snap length cut', () => {
  const header = (bytes: number, frames: readonly { data: Uint8Array }[]) => {
    const records = frames.map(({ data }) => {
      const record = Buffer.from(pcapRecord({ time: 0n, data: data.subarray(0, bytes) }));
      record.writeUInt32LE(data.length, 12);
      return record;
    });
    return Buffer.concat([pcapHeader(), ...records]);
  };

  test('are compared as far as both sides have them, and that is said', () => {
    const result = diff(header(96, real), real);
    expect(counts(result)).toEqual([total, total, 0, 0]);
    expect(result.notes).toEqual([
      'frames were cut by a snap length when they were captured: 96 bytes of each are compared',
    ]);
    expect(diff(header(96, real), header(60, real)).equal).toBe(true);
  });

  test('differ in what there is, and in their length on the wire', () => {
    const ttl = edited(TCP, (bytes) => {
      bytes[22] = 61;
      withChecksums(bytes);
    });
    expect(diff(header(60, real), ttl).fields).toEqual({ 'ip.ttl': 1 });
    const long = real.findIndex(({ data }) => data.length > 100) + 1;
    const shorter = withFrame(long, at(long).subarray(0, at(long).length - 1));
    expect(diff(header(60, real), header(60, shorter)).differences[0]?.words).toEqual([
      `frame.len: A ${at(long).length}, B ${at(long).length - 1}`,
    ]);
  });

  test('have masks, though their checksums cannot be summed', () => {
    const ports = withFrame(TCP, withChecksums(changed(at(TCP), (bytes) => put16(bytes, 34, 50505))));
    expect(counts(diff(header(60, real), header(60, ports), { mask: ['tcp.srcport'] }))).toEqual([
      total,
      total - 1,
      1,
      0,
    ]);
  });
});

describe('files', () => {
  test('that end too early are read up to the cut', () => {
    const bytes = pcap(real);
    const result = diff(bytes, bytes.subarray(0, bytes.length - 10));
    expect(counts(result)).toEqual([total, total - 1, 0, 1]);
    expect(result.notes).toEqual([expect.stringMatching(/^B: cut short at byte \d+: frame \d+ has/)]);
    expect(result.differences).toMatchObject([{ kind: 'missing', a: total }]);
  });

  test('of something that is not Ethernet are refused', () => {
    const cooked = Buffer.from(pcap(real));
    cooked.writeUInt32LE(113, 20);
    expect(() => sideOf(cooked)).toThrow(LinkTypeError);
    expect(() => sideOf(cooked)).toThrow('Linux cooked, as tcpdump -i any writes it');
  });

  test('are compared interface by interface where both name them', () => {
    const two = Buffer.concat([pcapng(real, 'one'), pcapng(real, 'two')]);
    expect(counts(diff(two, two))).toEqual([2 * total, 2 * total, 0, 0]);
    const other = Buffer.concat([pcapng(real, 'two'), pcapng(real, 'three')]);
    const result = diff(two, other);
    expect(result.interfaces).toBe('1 matched by name; only A has one; only B has three');
    expect(counts(result)).toEqual([3 * total, total, 0, 2 * total]);
    expect(result.differences[0]).toMatchObject({ interface: 'one', kind: 'missing', a: 1 });
    expect(result.differences.at(-1)).toMatchObject({ interface: 'three', kind: 'extra', b: 2 * total });
  });

  test('with one interface each are compared whatever they call it', () => {
    const result = diff(pcapng(real, 'eth0'), pcapng(real, 'node1/host/eth0'));
    expect(result.equal).toBe(true);
    expect(result.interfaces).toBe('eth0 of A with node1/host/eth0 of B: there is one on either side');
  });
});

test('whatever bytes there are, the counts add up and every difference has words', () => {
  let seed = 7;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >>> 8) % below;
  };
  for (let round = 0; round < 25; round += 1) {
    const noise = (frames: readonly FrameLike[]) =>
      frames.slice(0, 40).flatMap(({ data }) => {
        const bytes = changed(data.subarray(0, data.length - random(3)), (copy) => {
          for (let times = random(4); times > 0; times -= 1) copy[random(copy.length)] = random(256);
        });
        return random(20) === 0 ? [] : [{ data: bytes }];
      });
    const [a, b] = [noise(real), noise(real)];
    for (const mask of [[], ['ip.id', 'tcp.srcport'], [...FIELD_NAMES]]) {
      const result = diff(a, b, { mask });
      const { missing = 0, extra = 0 } = Object.fromEntries(
        ['missing', 'extra'].map((kind) => [kind, result.differences.filter((one) => one.kind === kind).length]),
      );
      expect(result.compared).toBe(result.identical + result.masked + result.different);
      expect(result.differences).toHaveLength(result.different);
      expect(result.compared - extra).toBe(a.length);
      expect(result.compared - missing).toBe(b.length);
      for (const { words } of result.differences) expect(words.length).toBeGreaterThan(0);
    }
  }
});

describe('two runs of one stack', () => {
  const STACK = `
services: { web: { image: nginx, ports: ["8080:80"] }, echo: { image: echo, ports: ["5353:53/udp"] } }
x-swarmwire:
  traffic:
    - http: { from: client, to: "node1:8080", requests: 2 }
    - http: { from: client, to: "node3:8080" }
    - udp: { from: client, to: "node2:5353" }
    - ping: { from: client, to: node3 }
`;
  const play = async (seed: number): Promise<Captured[]> => {
    const swarm = await Swarm.create(parseStackFile(STACK, { file: 'stack.yml' }).spec, { seed });
    swarm.tapEverything();
    for (const flow of swarm.play()) expect(flow.ok).toBe(true);
    return swarm.frames();
  };
  // The ends of a node's veths have names that are drawn.
  const ofKnownName = (frames: Captured[]) => frames.filter(({ tap }) => !/\/host\/veth/.test(tap));
  let one: Captured[] = [];
  let another: Captured[] = [];
  beforeAll(async () => {
    one = await play(1);
    another = ofKnownName(await play(2));
  });

  test('with the same seed is the same, frame by frame', async () => {
    expect(counts(diff(one, await play(1)))).toEqual([one.length, one.length, 0, 0]);
  });

  test('with another seed differs in what is drawn at random, and in nothing else', () => {
    const frames = ofKnownName(one);
    const result = diff(frames, another);
    const fields = new Set(Object.keys(result.fields).map((name) => name.replace(/^(outer|inner):/, '')));
    const drawn = [
      'arp.dst.hw_mac',
      'arp.src.hw_mac',
      'eth.dst',
      'eth.src',
      'ip.id',
      'tcp.ack',
      'tcp.dstport',
      'tcp.options.timestamp.tsecr',
      'tcp.options.timestamp.tsval',
      'tcp.seq',
      'tcp.srcport',
      'udp.dstport',
      'udp.srcport',
    ];
    expect([...fields].sort()).toEqual(drawn);
    const masked = diff(frames, another, { mask: drawn });
    expect(masked.differences).toEqual([]);
    expect(counts(masked)).toEqual([frames.length, result.identical, frames.length - result.identical, 0]);
  });

  test('is told in lines, the last of which is a contract', () => {
    const lines = diffLines(diff(ofKnownName(one), another), { limit: 2, more: 'ask for more' });
    expect(lines[0]).toMatch(/^interfaces: \d+ matched by name$/);
    expect(lines.filter((line) => line.includes(': changed'))).toHaveLength(2);
    expect(lines).toContainEqual(expect.stringMatching(/^and \d+ more differences; ask for more$/));
    expect(lines.at(-2)).toMatch(/^differing fields: .*outer:udp\.srcport \d+/);
    expect(lines.at(-1)).toMatch(/^frames: \d+ compared, \d+ identical, 0 masked, \d+ different$/);
  });
});
