/**
 * What is said beside a conversation, by the host at one of its ends: who has its address (ARP, neighbour discovery), whether the other
 * end is there (echo), and that packets of the other end's do not get through (ICMP errors, which quote one).
 */

import type { Random } from '../../bench/fuzz/random.js';
import {
  concat,
  ETHERNET,
  ethernet,
  get16,
  ICMP,
  ipv4,
  put16,
  put32,
  sealAll,
  TCP,
  TYPE_ARP,
  TYPE_IPV4,
  UDP,
} from '../../bench/headers.js';
import { IPV6, ipv6, TYPE_IPV6 } from '../../bench/headers6.js';
import type { Place } from './conversations.js';
import { isOverIpv6, type Place6 } from './conversations6.js';

const ICMPV6 = 58;
const GROUP = Uint8Array.of(255, 255, 255, 255, 255, 255);
const ALL_NODES = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

export function aside(place: Place | Place6, protocol: 'tcp' | 'udp', random: Random): Uint8Array {
  if (isOverIpv6(place)) return aside6(place, protocol, random);
  const kind = random.weighted({ claim: 4, error: 4, echo: 2 });
  if (kind === 'claim') return claim(place, random);
  const message = kind === 'echo' ? echo(random) : error(place, protocol, random);
  const { source, destination } = place;
  return sealAll(ethernet(place.to, place.from, TYPE_IPV4, ipv4({ source, destination, protocol: ICMP }, message)));
}

/** An answer that nobody waits for, to one or to all; a question; the same of another MAC. */
function claim(place: Place, random: Random): Uint8Array {
  const mac = random.chance(0.8) ? place.from : Uint8Array.of(2, 0, 0, 0, 0xbb, random.below(4));
  const whom = random.chance(0.7) ? place.to : GROUP;
  const body = new Uint8Array(28);
  body.set([0, 1, 8, 0, 6, 4, 0, random.pick([1, 2, 2])]);
  body.set(mac, 8);
  put32(body, 14, place.source);
  body.set(random.pick([whom, GROUP, new Uint8Array(6)]), 18);
  put32(body, 24, random.chance(0.3) ? place.source : place.destination);
  return ethernet(whom, mac, TYPE_ARP, body);
}

function echo(random: Random): Uint8Array {
  const message = new Uint8Array(8 + random.pick([0, 56, 1400]));
  message.set([random.pick([8, 8, 0]), 0, 0, 0, 0, 7, 0, random.below(8)]);
  return message;
}

/** A packet of the other end's, as it arrived here. */
function quoted(place: Place, protocol: 'tcp' | 'udp', random: Random): Uint8Array {
  const upper = new Uint8Array(random.pick([8, 8, 20]));
  put16(upper, 0, place.dport);
  put16(upper, 2, place.sport);
  if (protocol === 'udp') put16(upper, 4, upper.length);
  else put32(upper, 4, random.bits());
  return ipv4(
    { source: place.destination, destination: place.source, protocol: protocol === 'tcp' ? TCP : UDP, ttl: 60 },
    upper,
  );
}

function error(place: Place, protocol: 'tcp' | 'udp', random: Random): Uint8Array {
  const [type, code] = random.pick([
    [3, 1],
    [3, 3],
    [3, 4],
    [3, 4],
    [11, 0],
    [12, 0],
    [4, 0],
    [5, 1],
  ] as const);
  const head = Uint8Array.of(type, code, 0, 0, 0, 0, 0, 0);
  if (type === 3 && code === 4) put16(head, 6, random.pick([0, 68, 576, 1280, 1400]));
  return concat(head, quoted(place, protocol, random));
}

// ---- over IPv6

function aside6(place: Place6, protocol: 'tcp' | 'udp', random: Random): Uint8Array {
  const kind = random.weighted({ claim: 4, error: 4, echo: 2 });
  if (kind === 'claim') return claim6(place, random);
  const message = kind === 'echo' ? echo6(random) : error6(place, protocol, random);
  return framed(place.to, place.from, place.source, place.destination, 64, message);
}

/** A neighbour's advertisement: solicited or not, of its own MAC or another's, to one or to all. */
function claim6(place: Place6, random: Random): Uint8Array {
  const mac = random.chance(0.8) ? place.from : Uint8Array.of(2, 0, 0, 0, 0xbb, random.below(4));
  const all = random.chance(0.3);
  const head = Uint8Array.of(136, 0, 0, 0, random.pick([0x20, 0x60, 0x60, 0x40, 0]), 0, 0, 0);
  const message = concat(head, place.source, Uint8Array.of(2, 1), mac);
  const to = all ? Uint8Array.of(0x33, 0x33, 0, 0, 0, 1) : place.to;
  return framed(to, mac, place.source, all ? ALL_NODES : place.destination, 255, message);
}

function echo6(random: Random): Uint8Array {
  const message = new Uint8Array(8 + random.pick([0, 56, 1200]));
  message.set([random.pick([128, 128, 129]), 0, 0, 0, 0, 7, 0, random.below(8)]);
  return message;
}

function error6(place: Place6, protocol: 'tcp' | 'udp', random: Random): Uint8Array {
  const [type, code] = random.pick([
    [1, 0],
    [1, 4],
    [2, 0],
    [2, 0],
    [3, 0],
    [4, 1],
  ] as const);
  const upper = new Uint8Array(20);
  put16(upper, 0, place.dport);
  put16(upper, 2, place.sport);
  if (protocol === 'udp') put16(upper, 4, upper.length);
  const head = Uint8Array.of(type, code, 0, 0, 0, 0, 0, 0);
  if (type === 2) put32(head, 4, random.pick([0, 1280, 1400, 1450]));
  const ends = { source: place.destination, destination: place.source };
  return concat(head, ipv6({ ...ends, protocol: protocol === 'tcp' ? TCP : UDP, hops: 60 }, upper));
}

/** With the checksum that ICMPv6 has (RFC 4443, 2.3). */
function framed(
  to: Uint8Array,
  from: Uint8Array,
  source: Uint8Array,
  destination: Uint8Array,
  hops: number,
  message: Uint8Array,
): Uint8Array {
  const packet = ipv6({ source, destination, protocol: ICMPV6, hops }, message);
  let sum = ICMPV6 + message.length;
  for (let at = 8; at < packet.length; at += 2)
    sum += get16(concat(packet, Uint8Array.of(0)), at) & (at + 1 < packet.length ? 0xffff : 0xff00);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  put16(packet, IPV6 + 2, ~sum & 0xffff);
  const frame = ethernet(to, from, TYPE_IPV6, packet);
  return frame.subarray(0, ETHERNET + packet.length);
}
