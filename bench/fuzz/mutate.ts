/** A real frame with something wrong with it: one or several of the ways below, checksums put right most of the time. */

import {
  concat,
  ETHERNET,
  ethernet,
  get16,
  ICMP,
  ipAt,
  ipv4,
  put16,
  put32,
  sealAll,
  TCP,
  TYPE_IPV4,
  UDP,
  udp,
  VXLAN_PORT,
} from '../headers.js';
import type { Random } from './random.js';

/** Addresses, MACs and ports that mean something in the world. */
export interface Vocabulary {
  addresses: number[];
  macs: Uint8Array[];
  ports: number[];
  vnis: number[];
  /** Underlay addresses of the nodes. */
  vteps: number[];
}

const BYTES = [0, 1, 0x0f, 0x40, 0x45, 0x46, 0x4f, 0x7f, 0x80, 0xff];
const WORDS = [0, 1, 7, 8, 19, 20, 21, 28, 575, 576, 1450, 1500, 1501, 0x1fff, 0x2000, 0x4000, 0x7fff, 0xfff8, 0xffff];

type Way =
  | 'bits'
  | 'byte'
  | 'word'
  | 'truncate'
  | 'extend'
  | 'ip-field'
  | 'l4-field'
  | 'swap'
  | 'address'
  | 'mac'
  | 'port'
  | 'ip-options'
  | 'tcp-options'
  | 'nest'
  | 'tag'
  | 'splice';
const WAYS: Record<Way, number> = {
  bits: 6,
  byte: 6,
  word: 6,
  truncate: 4,
  extend: 3,
  'ip-field': 10,
  'l4-field': 10,
  swap: 4,
  address: 5,
  mac: 4,
  port: 4,
  'ip-options': 4,
  'tcp-options': 4,
  nest: 3,
  tag: 4,
  splice: 2,
};

/** Where the innermost Ethernet header begins that the mutation is about: in a tunnel, either. */
function start(frame: Uint8Array, random: Random): number {
  const ip = ipAt(frame);
  if (ip < 0) return 0;
  const body = ip + ((frame[ip] ?? 0) & 15) * 4;
  const tunnel = frame[ip + 9] === UDP && get16(frame, body + 2) === VXLAN_PORT && frame.length > body + 16 + ETHERNET;
  return tunnel && random.chance(0.7) ? body + 16 : 0;
}

export function mutate(real: Uint8Array, random: Random, words: Vocabulary, others: readonly Uint8Array[]): Uint8Array {
  let frame: Uint8Array = real.slice();
  const times = random.chance(0.6) ? 1 : random.between(1, 5);
  for (let i = 0; i < times; i++) frame = once(frame, random, words, others);
  return random.chance(0.75) ? sealAll(frame) : frame;
}

function once(frame: Uint8Array, random: Random, words: Vocabulary, others: readonly Uint8Array[]): Uint8Array {
  const at = start(frame, random);
  const ip = at + ETHERNET;
  const body = ip + Math.max(20, ((frame[ip] ?? 0) & 15) * 4);
  const anywhere = random.below(Math.max(1, frame.length));
  const put8 = (where: number, value: number) => {
    if (where < frame.length) frame[where] = value;
  };
  const word = () => (random.chance(0.5) ? random.pick(WORDS) : random.below(65536));
  switch (random.weighted(WAYS)) {
    case 'bits':
      for (let i = random.between(1, 8); i > 0; i--) {
        const where = random.below(Math.max(1, frame.length));
        put8(where, (frame[where] ?? 0) ^ (1 << random.below(8)));
      }
      break;
    case 'byte':
      put8(anywhere, random.chance(0.5) ? random.pick(BYTES) : random.below(256));
      break;
    case 'word':
      if (anywhere + 1 < frame.length) put16(frame, anywhere, word());
      break;
    case 'truncate':
      return frame.slice(0, random.below(frame.length + 1));
    case 'extend':
      return concat(frame, random.fill(new Uint8Array(random.pick([1, 2, 7, 46, 200, 1000, random.below(1600)]))));
    case 'ip-field': {
      if (frame.length < ip + 20) break;
      const field = random.pick(['version', 'tos', 'length', 'id', 'fragment', 'ttl', 'protocol'] as const);
      if (field === 'version') put8(ip, random.chance(0.7) ? 0x40 | random.below(16) : random.below(256));
      else if (field === 'tos') put8(ip + 1, random.below(256));
      else if (field === 'length')
        put16(frame, ip + 2, random.chance(0.5) ? get16(frame, ip + 2) + random.between(-9, 9) : word());
      else if (field === 'id') put16(frame, ip + 4, random.below(8));
      else if (field === 'fragment')
        put16(frame, ip + 6, (random.below(8) << 13) | (random.chance(0.5) ? random.below(12) : random.below(8192)));
      else if (field === 'ttl') put8(ip + 8, random.pick([0, 1, 2, 3, 255]));
      else put8(ip + 9, random.chance(0.7) ? random.pick([ICMP, TCP, UDP, 0, 4, 132]) : random.below(256));
      break;
    }
    case 'l4-field': {
      if (frame.length < body + 8) break;
      const protocol = frame[ip + 9];
      if (protocol === UDP) put16(frame, body + random.pick([0, 2, 4, 4, 6]), word());
      else if (protocol === ICMP) {
        put8(body, random.pick([0, 3, 3, 4, 5, 8, 11, 12, 13, 17, random.below(256)]));
        put8(body + 1, random.below(16));
      } else if (frame.length >= body + 20) {
        const field = random.pick(['sequence', 'acknowledgment', 'offset', 'flags', 'window', 'urgent'] as const);
        if (field === 'sequence' || field === 'acknowledgment') {
          const where = body + (field === 'sequence' ? 4 : 8);
          const far = random.pick([1, -1, 1460, 65535, 0x40000000, 0x80000000, random.bits()]);
          put32(frame, where, (get16(frame, where) * 65536 + get16(frame, where + 2) + far) >>> 0);
        } else if (field === 'offset') put8(body + 12, random.below(256));
        else if (field === 'flags') put8(body + 13, random.below(256));
        else put16(frame, body + (field === 'window' ? 14 : 18), word());
      }
      break;
    }
    case 'swap': {
      const [a, b, size] = random.pick([
        [ip + 12, ip + 16, 4],
        [at, at + 6, 6],
        [body, body + 2, 2],
        [anywhere, random.below(Math.max(1, frame.length)), random.between(1, 20)],
      ] as const);
      const kept = frame.slice(a, a + size);
      for (let i = 0; i < size; i++) {
        put8(a + i, frame[b + i] ?? 0);
        put8(b + i, kept[i] ?? 0);
      }
      break;
    }
    case 'address':
      if (frame.length >= ip + 20) put32(frame, ip + random.pick([12, 16]), random.pick(words.addresses));
      break;
    case 'mac':
      if (frame.length >= at + 12) frame.set(random.pick(words.macs), at + random.pick([0, 6]));
      break;
    case 'port':
      if (frame.length >= body + 4) put16(frame, body + random.pick([0, 2]), random.pick(words.ports));
      break;
    case 'ip-options': {
      if (frame.length < ip + 20 || (frame[ip] ?? 0) !== 0x45) break;
      const options = optionBytes(random, random.between(1, 10) * 4);
      const wider = concat(frame.subarray(0, ip + 20), options, frame.subarray(ip + 20));
      wider[ip] = 0x45 + options.length / 4;
      put16(wider, ip + 2, get16(wider, ip + 2) + options.length);
      return wider;
    }
    case 'tcp-options': {
      if (frame.length < body + 20 || frame[ip + 9] !== TCP) break;
      const options = optionBytes(random, random.between(0, 10) * 4);
      const data = body + ((frame[body + 12] ?? 0) >>> 4) * 4;
      const wider = concat(frame.subarray(0, body + 20), options, frame.subarray(Math.min(data, frame.length)));
      wider[body + 12] = ((20 + options.length) / 4) << 4;
      put16(wider, ip + 2, wider.length - ip);
      return wider;
    }
    case 'nest': {
      let inner = frame;
      for (let depth = random.between(1, random.pick([1, 2, 12])); depth > 0; depth--)
        inner = tunnel(inner, random, words);
      return inner;
    }
    case 'tag': {
      let tagged = frame;
      for (let depth = random.pick([1, 1, 1, 2, 2, 8]); depth > 0; depth--) tagged = tag(tagged, random);
      return tagged;
    }
    case 'splice': {
      const other = random.pick(others);
      return concat(frame.subarray(0, anywhere), other.subarray(random.below(Math.max(1, other.length))));
    }
  }
  return frame;
}

/** The frame in a tunnel from one node to another. */
export function tunnel(inner: Uint8Array, random: Random, words: Vocabulary): Uint8Array {
  const header = new Uint8Array(8);
  header[0] = random.chance(0.9) ? 8 : random.below(256);
  put32(header, 4, (random.chance(0.9) ? random.pick(words.vnis) : random.below(1 << 24)) * 256);
  const outer = ipv4(
    { source: random.pick(words.vteps), destination: random.pick(words.vteps), protocol: UDP },
    udp(random.between(32768, 60999), VXLAN_PORT, concat(header, inner)).slice(0, 65515),
  );
  return ethernet(random.pick(words.macs), random.pick(words.macs), TYPE_IPV4, outer);
}

/** The frame with an 802.1Q or 802.1ad tag. */
export function tag(frame: Uint8Array, random: Random): Uint8Array {
  const tci = random.pick([50, 50, 50, 7, 0, 1, 4094, 4095, 0xe000, 0xf032, random.below(65536)]);
  const type = random.pick([0x8100, 0x8100, 0x8100, 0x88a8, 0x9100]);
  return concat(frame.subarray(0, 12), Uint8Array.of(type >>> 8, type & 255, tci >>> 8, tci & 255), frame.subarray(12));
}

/** Options of IP or TCP, good and bad: kind, length and what follows. */
export function optionBytes(random: Random, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let at = 0;
  while (at < size) {
    const kind = random.pick([0, 1, 1, 2, 3, 4, 5, 7, 8, 68, 131, 137, 148, random.below(256)]);
    bytes[at++] = kind;
    if (kind === 1 || at >= size) continue;
    const known: Record<number, number> = { 2: 4, 3: 3, 4: 2, 5: 10, 8: 10 };
    const length = random.chance(0.7) ? (known[kind] ?? random.between(2, 11)) : random.below(256);
    bytes[at++] = length;
    for (let i = 2; i < length && at < size; i++) bytes[at++] = random.below(256);
  }
  return bytes;
}

/** An IPv4 frame cut into pieces that may overlap, repeat, come in any order or not at all. */
export function pieces(frame: Uint8Array, random: Random): Uint8Array[] {
  const ip = ipAt(frame);
  const header = ((frame[ip] ?? 0) & 15) * 4;
  if (ip < 0 || header < 20 || frame.length < ip + header + 16) return [frame];
  const payload = frame.subarray(ip + header);
  const size = random.pick([8, 8, 16, 64, 256, 512, 1024]);
  const found: Uint8Array[] = [];
  for (let offset = 0; offset < payload.length && found.length < 150; offset += size) {
    if (random.chance(0.03)) continue;
    const from = random.chance(0.05) ? Math.max(0, offset - 8) : offset;
    const to = Math.min(payload.length, offset + size + (random.chance(0.05) ? 8 : 0));
    const piece = concat(frame.subarray(0, ip + header), payload.subarray(from, to));
    put16(piece, ip + 2, piece.length - ip);
    put16(piece, ip + 6, (to < payload.length || random.chance(0.02) ? 0x2000 : 0) | (from >>> 3));
    found.push(sealAll(piece));
    if (random.chance(0.03)) found.push(piece);
  }
  if (random.chance(0.3)) found.sort(() => random.bits() - 2 ** 31);
  return found;
}
