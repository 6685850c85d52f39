/** Frames out of nothing: noise of every length, ARP, ICMP errors that quote things, TCP segments of any flags. */

import type { Topology } from '../../src/topology/topology.js';
import {
  addressNumber,
  concat,
  ETHERNET,
  ethernet,
  get16,
  ICMP,
  ipv4,
  macBytes,
  put16,
  put32,
  seal,
  TCP,
  TYPE_ARP,
  TYPE_IPV4,
  UDP,
  udp,
} from '../headers.js';
import { optionBytes, type Vocabulary } from './mutate.js';
import type { Random } from './random.js';

/** Random bytes; sometimes with a MAC and a type that let them in. */
export function noise(random: Random, words: Vocabulary): Uint8Array {
  const length = random.chance(0.97)
    ? random.below(1601)
    : random.chance(0.7)
      ? random.below(9001)
      : random.below(65536);
  const frame = random.fill(new Uint8Array(length));
  if (length < ETHERNET || random.chance(0.3)) return frame;
  frame.set(random.pick(words.macs));
  frame.set(random.pick(words.macs), 6);
  put16(frame, 12, random.pick([TYPE_IPV4, TYPE_IPV4, TYPE_ARP, 0x86dd, 0x8100, 0x88a8]));
  if (length >= 34 && random.chance(0.7)) {
    frame[14] = random.chance(0.8) ? 0x45 : 0x40 | random.below(16);
    put16(frame, 16, random.chance(0.8) ? length - ETHERNET : random.below(length));
    put16(frame, 20, random.chance(0.8) ? 0 : random.below(65536));
    frame[23] = random.pick([ICMP, TCP, UDP, random.below(256)]);
    put32(frame, 26, random.pick(words.addresses));
    put32(frame, 30, random.pick(words.addresses));
    seal(frame, ETHERNET);
  }
  return frame;
}

export function arp(random: Random, words: Vocabulary): Uint8Array {
  const body = new Uint8Array(random.chance(0.9) ? 28 : random.below(60));
  const set = (bytes: Uint8Array, at: number) =>
    body.set(bytes.subarray(0, Math.max(0, body.length - at)), Math.min(at, body.length));
  set(Uint8Array.of(0, 1, 8, 0, 6, 4, 0, random.pick([1, 1, 2, 2, random.below(256)])), 0);
  const address = () => {
    const bytes = new Uint8Array(4);
    put32(bytes, 0, random.chance(0.9) ? random.pick(words.addresses) : random.bits());
    return bytes;
  };
  set(random.pick(words.macs), 8);
  set(address(), 14);
  set(random.pick(words.macs), 18);
  set(address(), 24);
  if (random.chance(0.05) && body.length) body[random.below(body.length)] = random.below(256);
  return ethernet(random.pick(words.macs), random.pick(words.macs), TYPE_ARP, body);
}

/** An error about a packet of a real frame, or about something like one. */
export function icmpError(random: Random, words: Vocabulary, real: Uint8Array): Uint8Array {
  const quoted = real.slice(ETHERNET, ETHERNET + random.pick([20, 27, 28, 36, 48, 60, 548, real.length]));
  // What came to the one was sent by the other: quote the packet as its sender would have sent it.
  if (random.chance(0.5) && quoted.length >= 24) {
    const header = ((quoted[0] ?? 0) & 15) * 4;
    const [a, b] = [quoted.slice(12, 16), quoted.slice(16, 20)];
    quoted.set(b, 12);
    quoted.set(a, 16);
    if (quoted.length >= header + 4) {
      const [c, d] = [quoted.slice(header, header + 2), quoted.slice(header + 2, header + 4)];
      quoted.set(d, header);
      quoted.set(c, header + 2);
    }
  }
  if (random.chance(0.2) && quoted.length) quoted[random.below(quoted.length)] = random.below(256);
  const message = concat(new Uint8Array(8), quoted);
  message[0] = random.pick([3, 3, 3, 4, 5, 11, 12]);
  message[1] = random.below(16);
  put16(message, 6, random.pick([0, 1, 68, 552, 576, 1000, 1450, 1500, 65535]));
  const source = random.chance(0.5) ? word32(quoted, 16) : random.pick(words.addresses);
  const destination = random.chance(0.7) ? word32(quoted, 12) : random.pick(words.addresses);
  return ethernet(
    random.pick(words.macs),
    random.pick(words.macs),
    TYPE_IPV4,
    ipv4({ source, destination, protocol: ICMP }, message),
  );
}

function word32(bytes: Uint8Array, at: number): number {
  return (get16(bytes, at) * 65536 + get16(bytes, at + 2)) >>> 0;
}

/** A segment of any flags. */
function segment(random: Random, source: number, destination: number): Uint8Array {
  const options = random.chance(0.4) ? optionBytes(random, random.between(1, 10) * 4) : new Uint8Array();
  const data = new Uint8Array(random.pick([0, 0, 0, 1, 10, 1400]));
  const bytes = concat(new Uint8Array(20), options, data);
  put16(bytes, 0, source);
  put16(bytes, 2, destination);
  put32(bytes, 4, random.chance(0.7) ? random.below(4) : random.bits());
  put32(bytes, 8, random.chance(0.7) ? random.below(4) : random.bits());
  bytes[12] = ((20 + options.length) / 4) << 4;
  bytes[13] = random.chance(0.5) ? random.pick([2, 2, 16, 17, 18, 4, 20, 24]) : random.below(256);
  put16(bytes, 14, random.chance(0.8) ? 65535 : random.below(65536));
  return bytes;
}

/** To a port where somebody listens or not. */
export function tcpSoup(random: Random, words: Vocabulary): Uint8Array {
  const source = random.chance(0.5) ? random.pick(words.ports) : random.between(40000, 40009);
  const destination = random.chance(0.9) ? random.pick(words.ports) : random.below(65536);
  const packet = ipv4(
    { source: random.pick(words.addresses), destination: random.pick(words.addresses), protocol: TCP },
    segment(random, source, destination),
  );
  return ethernet(random.pick(words.macs), random.pick(words.macs), TYPE_IPV4, packet);
}

/** From outside to a published port of a node: one of few flows, so that connections live through more than their first packet. */
export function toPublished(
  random: Random,
  words: Vocabulary,
  topology: Topology,
): { frame: Uint8Array; node: string } {
  const node = random.pick(topology.nodes);
  const ports = topology.services.flatMap((service) => service.ports);
  const port = random.pick(ports);
  const host = random.pick(topology.hosts);
  const near = addressNumber(host.nic.addresses[0] ?? '');
  const source = random.chance(0.6)
    ? near
    : random.chance(0.5)
      ? (near & 0xffffff00) + random.below(256)
      : random.pick(words.addresses);
  const sport = 50_000 + random.below(40);
  const protocol = port.protocol === 'tcp' ? TCP : UDP;
  const body =
    protocol === UDP
      ? udp(sport, port.published, new Uint8Array(random.below(40)))
      : segment(random, sport, port.published);
  const packet = ipv4(
    {
      source: source >>> 0,
      destination: addressNumber(node.nic.addresses[0] ?? ''),
      protocol,
      ttl: random.pick([64, 64, 64, 1, 2, 3, 4]),
    },
    body,
  );
  return { frame: ethernet(macBytes(node.nic.mac), macBytes(host.nic.mac), TYPE_IPV4, packet), node: node.name };
}

export function datagram(random: Random, words: Vocabulary): Uint8Array {
  const payload = random.fill(new Uint8Array(random.pick([0, 1, 8, 100, 1400, 1472, 5000])));
  const packet = ipv4(
    { source: random.pick(words.addresses), destination: random.pick(words.addresses), protocol: UDP },
    udp(random.pick(words.ports), random.pick(words.ports), payload),
  );
  return ethernet(random.pick(words.macs), random.pick(words.macs), TYPE_IPV4, packet);
}
