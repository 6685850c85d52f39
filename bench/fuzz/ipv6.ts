/**
 * IPv6 for the fuzzer: it is switched on in most namespaces of the world, and frames are made of every header that there is
 * for it: extension headers in any order and length, fragments that overlap, neighbour discovery, errors that quote things.
 */

import type { Device, Engine } from '../../src/engine/index.js';
import { groupsOf } from '../../src/topology/ipv6.js';
import { concat, ethernet, put16, put32, TCP, UDP } from '../headers.js';
import type { Random } from './random.js';

const TYPE_IPV6 = 0x86dd;
const ICMPV6 = 58;
const [HOP_BY_HOP, ROUTING, FRAGMENT, NONE, DESTINATION] = [0, 43, 44, 59, 60];

/** Most namespaces have IPv6, on a few common links; some forward. */
export function enableIpv6(engine: Engine, random: Random): void {
  for (const namespace of engine.namespaces.values()) {
    if (random.chance(0.2)) continue;
    namespace.ipv6.enable(namespace.device('lo'));
    const own = [...namespace.devices.values()].filter(({ kind, master }) => kind !== 'loopback' && !master);
    for (const device of own) {
      namespace.ipv6.addLinkLocal(device);
      const link = random.below(4);
      namespace.addAddress(device, `2001:db8:${link}::${device.id.toString(16)}/64`, { nodad: true });
    }
    namespace.ipv6.forwards = random.chance(0.5);
    const [way] = own;
    if (way) namespace.addRoute('::/0', way, `2001:db8:${random.below(4)}::${random.between(1, 60).toString(16)}`);
  }
}

export interface Vocabulary6 {
  addresses: Uint8Array[];
  macs: Uint8Array[];
  ports: number[];
}

export function addresses6Of(devices: readonly Device[]): string[] {
  return devices.flatMap(({ addresses6 }) => addresses6.map(({ address }) => address));
}

export function vocabulary6(devices: readonly Device[], macs: Uint8Array[], ports: number[]): Vocabulary6 {
  const own = addresses6Of(devices);
  const groups = ['ff02::1', 'ff02::2', 'ff01::1', 'ff05::2', 'ff02::16', 'ff02::1:ff00:1'];
  const others = ['::', '::1', 'fe80::1', '2001:db8::', '2001:db8:1::ffff', 'fd00::1', '::ffff:10.0.0.1'];
  const solicited = own.map((address) => {
    const groupsIn = groupsOf(address);
    return `ff02::1:ff${((groupsIn[6] ?? 0) & 255).toString(16).padStart(2, '0')}:${(groupsIn[7] ?? 0).toString(16)}`;
  });
  return { addresses: [...own, ...own, ...solicited, ...groups, ...others].map(bytesOf), macs, ports };
}

function bytesOf(address: string): Uint8Array {
  return Uint8Array.from(groupsOf(address).flatMap((group) => [group >>> 8, group & 255]));
}

/** One frame, or the fragments of one packet. */
export function ipv6Frames(random: Random, words: Vocabulary6): Uint8Array[] {
  const source = random.pick(words.addresses);
  const destination = random.pick(words.addresses);
  const [protocol, message] = upperLayer(random, words, source, destination);
  const [next, body] = behindHeaders(random, protocol, message);
  const hops = protocol === ICMPV6 && random.chance(0.6) ? 255 : random.pick([64, 64, 64, 1, 2, 255, 0]);
  const packet = (nextHeader: number, payload: Uint8Array): Uint8Array => {
    const header = new Uint8Array(40);
    put32(header, 0, 0x60000000 + random.below(0x1000000));
    put16(header, 4, random.chance(0.96) ? payload.length : random.below(65536));
    header[6] = nextHeader;
    header[7] = hops;
    header.set(source, 8);
    header.set(destination, 24);
    return concat(header, payload);
  };
  const packets = random.chance(0.25)
    ? fragmentsOf(random, next, body).map((piece) => packet(FRAGMENT, piece))
    : [packet(next, body)];
  const to = random.chance(0.4) ? concat(Uint8Array.of(0x33, 0x33), destination.subarray(12)) : random.pick(words.macs);
  const from = random.pick(words.macs);
  return packets.map((one) => {
    const frame = ethernet(to, from, TYPE_IPV6, one);
    return random.chance(0.85) ? frame : broken(frame, random);
  });
}

function broken(frame: Uint8Array, random: Random): Uint8Array {
  if (random.chance(0.4)) return frame.slice(0, random.below(frame.length + 1));
  for (let i = random.between(1, 4); i > 0; i--) frame[random.below(frame.length)] = random.below(256);
  return frame;
}

function sum16(bytes: Uint8Array, seed: number): number {
  let sum = seed;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 65536);
  return sum;
}

function sealed(
  message: Uint8Array,
  at: number,
  protocol: number,
  source: Uint8Array,
  destination: Uint8Array,
): Uint8Array {
  put16(message, at, 0);
  const seed = sum16(destination, sum16(source, protocol + message.length));
  put16(message, at, ~sum16(message, seed) & 0xffff || 0xffff);
  return message;
}

function upperLayer(
  random: Random,
  words: Vocabulary6,
  source: Uint8Array,
  destination: Uint8Array,
): [number, Uint8Array] {
  const kind = random.weighted({ nd: 8, echo: 4, udp: 5, tcp: 6, error: 5, other: 2, nothing: 1 });
  const finish = (message: Uint8Array, at: number, protocol: number): [number, Uint8Array] => [
    protocol,
    random.chance(0.93) ? sealed(message, at, protocol, source, destination) : message,
  ];
  switch (kind) {
    case 'nd': {
      const type = random.pick([133, 134, 135, 135, 135, 136, 136, 137, 143, 130]);
      const target = random.chance(0.8) ? random.pick(words.addresses) : random.fill(new Uint8Array(16));
      const flags = random.pick([0, 0x20, 0x40, 0x60, 0x80, 0xe0, random.below(256)]);
      const message = concat(
        Uint8Array.of(type, random.chance(0.95) ? 0 : 1, 0, 0, flags, 0, 0, 0),
        target,
        ...options(random, words),
      );
      return finish(message, 2, ICMPV6);
    }
    case 'echo': {
      const message = random.fill(new Uint8Array(8 + random.pick([0, 1, 56, 1232, 1400, 1452, 3000])));
      message.set(Uint8Array.of(random.pick([128, 128, 129]), 0));
      return finish(message, 2, ICMPV6);
    }
    case 'error': {
      const inner = random.fill(new Uint8Array(random.pick([0, 8, 39, 40, 44, 48, 60, 100, 1232])));
      if (inner.length >= 40) {
        inner[0] = 0x60;
        inner[6] = random.pick([TCP, UDP, ICMPV6, FRAGMENT, HOP_BY_HOP]);
        inner.set(random.chance(0.7) ? destination : source, 8);
        inner.set(random.pick(words.addresses), 24);
      }
      const head = Uint8Array.of(random.pick([1, 2, 2, 3, 4, 100]), random.below(8), 0, 0, 0, 0, 0, 0);
      put32(head, 4, random.pick([0, 68, 1279, 1280, 1300, 1500, 0xffffffff]));
      return finish(concat(head, inner), 2, ICMPV6);
    }
    case 'udp': {
      const message = random.fill(new Uint8Array(8 + random.pick([0, 1, 100, 1452])));
      put16(message, 0, random.pick(words.ports));
      put16(message, 2, random.pick(words.ports));
      put16(message, 4, random.chance(0.95) ? message.length : random.below(65536));
      return finish(message, 6, UDP);
    }
    case 'tcp': {
      const message = new Uint8Array(20 + random.pick([0, 0, 10, 1400]));
      put16(message, 0, random.chance(0.5) ? random.pick(words.ports) : 40_000 + random.below(8));
      put16(message, 2, random.pick(words.ports));
      put32(message, 4, random.chance(0.7) ? random.below(4) : random.bits());
      put32(message, 8, random.chance(0.7) ? random.below(4) : random.bits());
      message[12] = random.chance(0.95) ? 0x50 : random.below(256);
      message[13] = random.pick([2, 2, 16, 17, 18, 4, 20, 24, random.below(256)]);
      put16(message, 14, 65535);
      return finish(message, 16, TCP);
    }
    case 'nothing':
      return [NONE, new Uint8Array()];
    default:
      return [random.below(256), random.fill(new Uint8Array(random.below(64)))];
  }
}

/** Options of neighbour discovery, most of them right. */
function options(random: Random, words: Vocabulary6): Uint8Array[] {
  return Array.from({ length: random.pick([0, 1, 1, 1, 2]) }, () => {
    const length = random.chance(0.9) ? 1 : random.below(4);
    const option = random.fill(new Uint8Array(random.chance(0.95) ? 8 * Math.max(1, length) : random.below(20)));
    option.set(Uint8Array.of(random.pick([1, 2, 14, 3, 5]), length).subarray(0, option.length));
    if (option.length >= 8) option.set(random.pick(words.macs), 2);
    return option;
  });
}

/** Up to six extension headers before the upper layer, in any order, with lengths that may be wrong. */
function behindHeaders(random: Random, protocol: number, message: Uint8Array): [number, Uint8Array] {
  let next = protocol;
  let body = message;
  const count = random.chance(0.7) ? 0 : random.between(1, 6);
  for (let i = 0; i < count; i++) {
    const kind = random.pick([HOP_BY_HOP, HOP_BY_HOP, ROUTING, DESTINATION, DESTINATION, FRAGMENT]);
    const header = random.fill(new Uint8Array(8 * random.pick([1, 1, 1, 2, 4])));
    header[0] = next;
    if (kind === FRAGMENT) put16(header, 2, random.chance(0.5) ? 0 : random.below(65536));
    else {
      header[1] = random.chance(0.93) ? header.length / 8 - 1 : random.below(256);
      if (kind === ROUTING) header[3] = random.chance(0.7) ? 0 : random.below(256);
      else if (random.chance(0.7)) {
        // PadN over the whole.
        header.fill(0, 2);
        header[2] = 1;
        header[3] = header.length - 4;
        if (header.length > 9) header.set(Uint8Array.of(0x1e, header.length - 4), 2);
      }
    }
    body = concat(header, body);
    next = kind;
  }
  return [next, body];
}

/** Pieces of what follows the header, most of them in order and whole; some overlap, come twice, or not at all. */
function fragmentsOf(random: Random, next: number, body: Uint8Array): Uint8Array[] {
  const id = random.below(4);
  const size = 8 * random.between(1, Math.max(1, Math.ceil(body.length / 16)));
  const pieces: Uint8Array[] = [];
  for (let offset = 0; offset < body.length || offset === 0; offset += size) {
    const moved = random.chance(0.05) ? Math.max(0, offset - 8) : offset;
    const end = Math.min(body.length, offset + size);
    const header = Uint8Array.of(next, 0, 0, 0, 0, 0, 0, id);
    put16(header, 2, (moved & 0xfff8) | (end < body.length ? 1 : 0));
    if (random.chance(0.03)) put16(header, 2, random.below(65536));
    const piece = concat(header, body.subarray(moved, end));
    if (!random.chance(0.03)) pieces.push(piece);
    if (random.chance(0.05)) pieces.push(piece);
  }
  if (random.chance(0.3)) pieces.reverse();
  return pieces;
}
