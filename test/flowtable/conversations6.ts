/** The frames of conversations over IPv6: as they should be, and with something unusual about them. */

import type { Random } from '../../bench/fuzz/random.js';
import { concat, ETHERNET, ethernet, get16, get32, put16, TCP, UDP } from '../../bench/headers.js';
import { IPV6, ipv6, seal6, TYPE_IPV6 } from '../../bench/headers6.js';
import type { Device } from '../../src/engine/index.js';
import { CLASSES, type Place } from './conversations.js';

const BODY = ETHERNET + IPV6;
const [FRAGMENT, DESTINATION_OPTIONS] = [44, 60];

export interface Place6 extends Omit<Place, 'source' | 'destination'> {
  source: Uint8Array;
  destination: Uint8Array;
}

export const isOverIpv6 = (place: Place | Place6): place is Place6 => typeof place.source !== 'number';

export function framed6(place: Place6, protocol: 'tcp' | 'udp', payload: Uint8Array, random: Random): Uint8Array {
  const { source, destination } = place;
  const number = protocol === 'tcp' ? TCP : UDP;
  // A flow's label stays, as a rule.
  const label = random.chance(0.9) ? place.sport & 0xffff : random.pick([0, 0, 1, 0xfffff]);
  const packet = ipv6({ source, destination, protocol: number, label }, payload);
  const frame = ethernet(place.to, place.from, TYPE_IPV6, packet);
  if (random.chance(0.2)) put16(frame, ETHERNET, 0x6000 | (random.pick(CLASSES) << 4) | (label >>> 16));
  return random.chance(0.94) ? frame : bent6(frame, random);
}

/** The frame with an extension header of `kind` behind the IPv6 header. */
function extended(frame: Uint8Array, kind: number, header: readonly number[]): Uint8Array {
  const longer = concat(frame.subarray(0, BODY), Uint8Array.from(header), frame.subarray(BODY));
  longer[BODY] = frame[ETHERNET + 6] ?? 0;
  longer[ETHERNET + 6] = kind;
  put16(longer, ETHERNET + 4, longer.length - BODY);
  return longer;
}

export function bent6(frame: Uint8Array, random: Random): Uint8Array {
  switch (random.below(11)) {
    case 0:
      frame[ETHERNET + 7] = random.pick([0, 1, 2, 3, 4, 255]);
      return frame;
    case 1:
      put16(frame, ETHERNET, 0x6000 | random.below(0x1000));
      return frame;
    case 2:
      return extended(frame, FRAGMENT, [0, 0, 0, random.pick([0, 1]), 0, 0, 0, 1]);
    case 3:
      return extended(frame, DESTINATION_OPTIONS, [0, 0, 1, 4, 0, 0, 0, 0]);
    case 4:
      return concat(frame, new Uint8Array(random.pick([1, 6, 18])));
    case 5:
      if (frame[ETHERNET + 6] === UDP) put16(frame, BODY + 6, 0);
      return frame;
    case 6:
      frame.set(random.pick([frame.slice(6, 12), new Uint8Array(6).fill(255)]));
      return frame;
    case 7:
      return frame.slice(0, random.between(14, frame.length));
    case 8:
      put16(frame, ETHERNET + 4, random.pick([0, 8, frame.length - BODY - 1]));
      return random.chance(0.5) ? frame : seal6(frame, ETHERNET);
    default: {
      const at = random.below(frame.length);
      frame[at] = (frame[at] ?? 0) ^ (1 << random.below(8));
      return frame;
    }
  }
}

/** As `numberOf`, of an IPv6 packet. */
export function numberOf6(packet: Uint8Array): number | undefined {
  const protocol = packet[6];
  if (protocol === UDP && packet.length >= IPV6 + 12) return get32(packet, IPV6 + 8);
  const sequence = get32(packet, IPV6 + 4);
  return protocol === TCP && sequence < 0x8000_0000 ? sequence >>> 16 : undefined;
}

/** As `placeBack`, of a frame over IPv6. */
export function placeBack6(frame: Uint8Array, into: Device): Place6 {
  return {
    into,
    to: frame.slice(6, 12),
    from: frame.slice(0, 6),
    source: frame.slice(ETHERNET + 24, ETHERNET + 40),
    sport: get16(frame, BODY + 2),
    destination: frame.slice(ETHERNET + 8, ETHERNET + 24),
    dport: get16(frame, BODY),
  };
}
