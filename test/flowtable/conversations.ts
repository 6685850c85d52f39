/**
 * Conversations between two places of a swarm, made by hand at both ends: segments and datagrams that are as they should be
 * and some that are not, with the headers of the end that they come in at.
 */

import { ACK, FIN, SYN } from '../../bench/frames.js';
import type { Random } from '../../bench/fuzz/random.js';
import {
  concat,
  ethernet,
  get16,
  get32,
  ipv4,
  put16,
  put32,
  sealAll,
  TCP,
  TYPE_IPV4,
  UDP,
  udp,
} from '../../bench/headers.js';
import { TYPE_IPV6 } from '../../bench/headers6.js';
import type { Device } from '../../src/engine/index.js';
import { framed6, isOverIpv6, numberOf6, type Place6, placeBack6 } from './conversations6.js';

const RST = 4;

/** Where one end's frames come in, and what stands in their headers. */
export interface Place {
  into: Device;
  to: Uint8Array;
  from: Uint8Array;
  source: number;
  sport: number;
  destination: number;
  dport: number;
}
export type Side = 'near' | 'far';

/** The far end's sequence numbers have the highest bit. */
const FAR = 0x8000_0000;
/** How far one end's numbers go: what is above tells whose they are. */
const ROOM = 60_000;

export class Conversation {
  /** Known when the first frame has got there. */
  far: Place | Place6 | undefined;
  /** How far TCP has got. */
  stage: 'new' | 'asked' | 'answered' | 'up' | 'over' = 'new';
  readonly #next: Record<Side, number>;
  readonly #last: Record<Side, { sequence: number; length: number }>;
  /** Who has sent a FIN first. */
  #closed: Side | undefined;
  readonly #options: { syn: boolean; timestamps: boolean };

  constructor(
    readonly number: number,
    readonly protocol: 'tcp' | 'udp',
    readonly near: Place | Place6,
    random: Random,
  ) {
    const [near1, far1] = [number * 65536, (FAR | (number * 65536)) >>> 0];
    this.#next = { near: near1, far: far1 };
    this.#last = { near: { sequence: near1, length: 0 }, far: { sequence: far1, length: 0 } };
    this.#options = { syn: random.chance(0.5), timestamps: random.chance(0.2) };
  }

  place(side: Side): Place | Place6 | undefined {
    return side === 'near' ? this.near : this.far;
  }

  /** Does the handshake wait for that end? */
  isDue(side: Side): boolean {
    if (this.protocol === 'udp') return false;
    return side === 'far' ? this.stage === 'asked' : this.stage === 'answered';
  }

  /** The next frame of that end. */
  say(side: Side, random: Random): Uint8Array {
    const place = this.place(side);
    if (!place) throw new RangeError('nobody knows that end yet');
    return framed(
      place,
      this.protocol,
      this.protocol === 'udp' ? this.#datagram(place, random) : this.#segment(place, side, random),
      random,
    );
  }

  #datagram(place: Place | Place6, random: Random): Uint8Array {
    const data = new Uint8Array(random.pick([4, 4, 18, 300, 300, 1400, 1472])).fill(0x78);
    put32(data, 0, this.number);
    return udp(place.sport, place.dport, data);
  }

  #segment(place: Place | Place6, side: Side, random: Random): Uint8Array {
    const other: Side = side === 'near' ? 'far' : 'near';
    const next = this.#next;
    let sequence = next[side];
    let acknowledgment = next[other];
    let flags = ACK;
    let length = 0;
    let options: number[] = this.#options.timestamps ? [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2] : [];
    switch (this.#kind(side, random)) {
      case 'syn':
        flags = side === 'near' ? SYN : SYN | ACK;
        options = this.#options.syn ? [2, 4, 5, 0xb4, 4, 2, 3, 3, 7, 1, 1, 1] : [];
        if (flags === SYN) acknowledgment = 0;
        sequence = this.#last[side].length ? next[side] + random.pick([0, 100]) : this.#last[side].sequence;
        if (side === 'near' && this.stage === 'new') [this.stage, next.near] = ['asked', sequence + 1];
        else if (side === 'far' && this.stage === 'asked') [this.stage, next.far] = ['answered', sequence + 1];
        break;
      case 'data':
        length = sequence % 65536 < ROOM ? random.pick([0, 0, 1, 100, 536, 1300]) : 0;
        this.#last[side] = { sequence, length };
        next[side] += length;
        if (side === 'near' && this.stage === 'answered') this.stage = 'up';
        break;
      case 'again':
        ({ sequence, length } = this.#last[side]);
        break;
      case 'gap':
        [sequence, length] = [sequence + 1000, 100];
        break;
      case 'old':
        sequence -= random.pick([1, 30_000, 70_000]);
        break;
      case 'beyond':
        if (random.chance(0.5)) sequence += 400_000;
        else acknowledgment += random.pick([1, 70_000]);
        break;
      case 'lagging':
        acknowledgment -= random.pick([1, 50_000, 70_000]);
        break;
      case 'selective':
        options = [1, 1, 5, 10, ...words(acknowledgment + random.pick([0, 10])), ...words(acknowledgment + 100)];
        break;
      case 'fin':
        flags = FIN | ACK;
        next[side] += 1;
        if (this.#closed === other) this.stage = 'over';
        this.#closed ??= side;
        break;
      case 'reset':
        flags = random.pick([RST, RST | ACK]);
        sequence += random.pick([0, 0, 10]);
        if (random.chance(0.8)) this.stage = 'over';
        break;
      case 'odd':
        flags = random.pick([0, SYN | FIN, SYN | ACK, SYN | RST, 0x18, 0x30, 0xd0, random.below(256)]);
        break;
    }
    const bytes = concat(new Uint8Array(20), Uint8Array.from(options), new Uint8Array(length).fill(0x79));
    put16(bytes, 0, place.sport);
    put16(bytes, 2, place.dport);
    put32(bytes, 4, sequence >>> 0);
    put32(bytes, 8, acknowledgment >>> 0);
    bytes[12] = (5 + options.length / 4) << 4;
    bytes[13] = flags;
    put16(bytes, 14, random.chance(0.95) ? 65535 : random.pick([0, 1, 1000]));
    return bytes;
  }

  #kind(side: Side, random: Random) {
    const { stage } = this;
    if (random.chance(0.96)) {
      if (stage === 'new' || stage === 'asked') return 'syn';
      if (stage === 'answered') return side === 'near' ? 'data' : 'syn';
    }
    return random.weighted({
      data: 140,
      again: 6,
      gap: 2,
      old: 2,
      beyond: 2,
      lagging: 2,
      selective: 2,
      fin: 4,
      reset: 1,
      syn: 1,
      odd: 1,
    });
  }
}

/** Whose conversation the first packet of its near end belongs to, by what it says in itself. */
export function numberOf(packet: Uint8Array): number | undefined {
  if ((packet[0] ?? 0) >>> 4 === 6) return numberOf6(packet);
  const protocol = packet[9];
  if (protocol === UDP && packet.length >= 32) return get32(packet, 28);
  const sequence = get32(packet, 24);
  return protocol === TCP && sequence < FAR ? sequence >>> 16 : undefined;
}

const words = (value: number): number[] => [24, 16, 8, 0].map((by) => (value >>> by) & 255);

/** In its headers; now and then something is wrong with them. */
function framed(place: Place | Place6, protocol: 'tcp' | 'udp', payload: Uint8Array, random: Random): Uint8Array {
  if (isOverIpv6(place)) return framed6(place, protocol, payload, random);
  const { source, destination } = place;
  const number = protocol === 'tcp' ? TCP : UDP;
  const packet = ipv4({ source, destination, protocol: number, fragment: 0x4000 }, payload);
  const frame = ethernet(place.to, place.from, TYPE_IPV4, packet);
  if (random.chance(0.2)) {
    frame[15] = random.pick(CLASSES);
    sealAll(frame);
  }
  return random.chance(0.94) ? frame : bent(frame, random);
}

/** Traffic classes: marks of congestion, with and without a DSCP. */
export const CLASSES = [1, 2, 2, 3, 0xb8, 0xb9, 0xba, 0xbb];

/** Options of IPv4 (RFC 791, RFC 2113). */
const NOTHING = [1, 1, 1, 0];
const ROUTER_ALERT = [148, 4, 0, 0];

function optioned(frame: Uint8Array, options: readonly number[]): Uint8Array {
  if (frame.length < 34 || frame[14] !== 0x45) return frame;
  const longer = concat(frame.subarray(0, 34), Uint8Array.from(options), frame.subarray(34));
  longer[14] = 0x46;
  put16(longer, 16, get16(frame, 16) + options.length);
  return sealAll(longer);
}

/** A frame with something unusual about it, or wrong. */
export function bent(frame: Uint8Array, random: Random): Uint8Array {
  switch (random.below(11)) {
    case 0:
      frame[22] = random.pick([1, 2, 3, 4, 255]);
      return sealAll(frame);
    case 1:
      frame[15] = random.pick([1, 2, 3, 0xb8]);
      return sealAll(frame);
    case 2:
      put16(frame, 20, random.pick([0, 0x2000, 0x2003, 3]));
      return sealAll(frame);
    case 3:
      return concat(frame, new Uint8Array(random.pick([1, 6, 18])));
    case 4:
      if (frame[23] === UDP) put16(frame, 40, 0);
      return frame;
    case 5:
      frame.set(random.pick([frame.slice(6, 12), new Uint8Array(6).fill(255)]));
      return frame;
    case 6:
      return frame.slice(0, random.between(14, frame.length));
    case 7:
      return optioned(frame, random.pick([NOTHING, ROUTER_ALERT]));
    case 8:
      return concat(frame.subarray(0, 12), Uint8Array.of(0x81, 0, 0, random.pick([0, 10])), frame.subarray(12));
    default: {
      const at = random.below(frame.length);
      frame[at] = (frame[at] ?? 0) ^ (1 << random.below(8));
      return frame;
    }
  }
}

/** What a frame says of the way back: the other end's place, where its frames come in at `into`. */
export function placeBack(frame: Uint8Array, into: Device): Place | Place6 {
  if (get16(frame, 12) === TYPE_IPV6) return placeBack6(frame, into);
  return {
    into,
    to: frame.slice(6, 12),
    from: frame.slice(0, 6),
    source: get32(frame, 30),
    sport: get16(frame, 36),
    destination: get32(frame, 26),
    dport: get16(frame, 34),
  };
}
