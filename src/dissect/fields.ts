/**
 * The fields of a frame by the names that Wireshark's display filters have for them (`tshark -G fields`), in the order of the
 * bytes. Together they cover every byte, so two frames that differ, differ in a field. `tcp.seq` and `tcp.ack` are the
 * numbers on the wire, not Wireshark's relative ones.
 */

import { DNS_NAMES, DNS_PORT, dnsFields } from './dns.js';
import { ICMPV6_NAMES, icmpv6Body, icmpv6Rest } from './icmpv6.js';
import { type Layer, u16, u32 } from './layers.js';
import { hex, hexNumber, ipv4, ipv6, mac } from './notation.js';
import {
  type Found,
  hex8,
  hex16,
  hex32,
  number8,
  number16,
  number24,
  number32,
  raw,
  type Shape,
  taken,
} from './shape.js';

/** Its value is as a person reads it, and as exact as the bytes; undefined for payloads, whose bytes are compared themselves. */
export interface Field extends Found {
  layer: Layer;
}

const highBits = (shift: number) => (bytes: Uint8Array, at: number) => String((bytes[at] ?? 0) >> shift);

const ETH: readonly Shape[] = [
  ['eth.dst', 0, 6, mac],
  ['eth.src', 6, 6, mac],
  ['eth.type', 12, 2, hex16],
];

const VLAN: readonly Shape[] = [
  ['vlan.priority', 0, 1, highBits(5)],
  ['vlan.dei', 0, 1, (bytes, at) => String(((bytes[at] ?? 0) >> 4) & 1)],
  ['vlan.id', 0, 2, (bytes, at) => String(u16(bytes, at) & 0x0fff)],
  ['vlan.etype', 2, 2, hex16],
];

const ARP: readonly Shape[] = [
  ['arp.hw.type', 0, 2, number16],
  ['arp.proto.type', 2, 2, hex16],
  ['arp.hw.size', 4, 1, number8],
  ['arp.proto.size', 5, 1, number8],
  ['arp.opcode', 6, 2, number16],
  ['arp.src.hw_mac', 8, 6, mac],
  ['arp.src.proto_ipv4', 14, 4, ipv4],
  ['arp.dst.hw_mac', 18, 6, mac],
  ['arp.dst.proto_ipv4', 24, 4, ipv4],
];

const IP: readonly Shape[] = [
  ['ip.version', 0, 1, highBits(4)],
  ['ip.hdr_len', 0, 1, (bytes, at) => String(((bytes[at] ?? 0) & 0x0f) * 4)],
  ['ip.dsfield', 1, 1, hex8],
  ['ip.len', 2, 2, number16],
  ['ip.id', 4, 2, hex16],
  ['ip.flags', 6, 1, (bytes, at) => hexNumber((bytes[at] ?? 0) >> 5, 1)],
  ['ip.frag_offset', 6, 2, (bytes, at) => String((u16(bytes, at) & 0x1fff) * 8)],
  ['ip.ttl', 8, 1, number8],
  ['ip.proto', 9, 1, number8],
  ['ip.checksum', 10, 2, hex16],
  ['ip.src', 12, 4, ipv4],
  ['ip.dst', 16, 4, ipv4],
];

const IPV6: readonly Shape[] = [
  ['ipv6.version', 0, 1, highBits(4)],
  ['ipv6.tclass', 0, 2, (bytes, at) => hexNumber((u16(bytes, at) >> 4) & 0xff, 2)],
  ['ipv6.flow', 0, 4, (bytes, at) => hexNumber(u32(bytes, at) & 0xfffff, 5)],
  ['ipv6.plen', 4, 2, number16],
  ['ipv6.nxt', 6, 1, number8],
  ['ipv6.hlim', 7, 1, number8],
  ['ipv6.src', 8, 16, ipv6],
  ['ipv6.dst', 24, 16, ipv6],
];

const IPV6_FRAGMENT: readonly Shape[] = [
  ['ipv6.fraghdr.nxt', 0, 1, number8],
  ['ipv6.fraghdr.reserved_octet', 1, 1, hex8],
  ['ipv6.fraghdr.offset', 2, 2, (bytes, at) => String(u16(bytes, at) & 0xfff8)],
  ['ipv6.fraghdr.reserved_bits', 3, 1, (bytes, at) => String(((bytes[at] ?? 0) >> 1) & 3)],
  ['ipv6.fraghdr.more', 3, 1, (bytes, at) => String((bytes[at] ?? 0) & 1)],
  ['ipv6.fraghdr.ident', 4, 4, hex32],
];

const UDP: readonly Shape[] = [
  ['udp.srcport', 0, 2, number16],
  ['udp.dstport', 2, 2, number16],
  ['udp.length', 4, 2, number16],
  ['udp.checksum', 6, 2, hex16],
];

const TCP: readonly Shape[] = [
  ['tcp.srcport', 0, 2, number16],
  ['tcp.dstport', 2, 2, number16],
  ['tcp.seq', 4, 4, number32],
  ['tcp.ack', 8, 4, number32],
  ['tcp.hdr_len', 12, 1, (bytes, at) => String(((bytes[at] ?? 0) >> 4) * 4)],
  ['tcp.flags', 12, 2, (bytes, at) => hexNumber(u16(bytes, at) & 0x0fff, 3)],
  ['tcp.window_size_value', 14, 2, number16],
  ['tcp.checksum', 16, 2, hex16],
  ['tcp.urgent_pointer', 18, 2, number16],
];

const TCP_OPTION: readonly Shape[] = [
  ['tcp.option_kind', 0, 1, number8],
  ['tcp.option_len', 1, 1, number8],
];

/** By option kind: the fields after the option's kind and length bytes. */
const TCP_OPTIONS: Record<number, readonly Shape[]> = {
  2: [['tcp.options.mss_val', 2, 2, number16]],
  3: [['tcp.options.wscale.shift', 2, 1, number8]],
  8: [
    ['tcp.options.timestamp.tsval', 2, 4, number32],
    ['tcp.options.timestamp.tsecr', 6, 4, number32],
  ],
};

const VXLAN: readonly Shape[] = [
  ['vxlan.flags', 0, 2, hex16],
  ['vxlan.gbp', 2, 2, number16],
  ['vxlan.vni', 4, 3, number24],
  ['vxlan.reserved8', 7, 1, number8],
];

const ICMP: readonly Shape[] = [
  ['icmp.type', 0, 1, number8],
  ['icmp.code', 1, 1, number8],
  ['icmp.checksum', 2, 2, hex16],
];
const ICMP_ECHO: readonly Shape[] = [
  ['icmp.ident', 4, 2, number16],
  ['icmp.seq', 6, 2, number16],
];
const ICMP_FRAGMENTATION_NEEDED: readonly Shape[] = [
  ['icmp.unused', 4, 2, hex16],
  ['icmp.mtu', 6, 2, number16],
];
const ICMP_OTHER: readonly Shape[] = [['icmp.unused', 4, 4, hex32]];

const ICMPV6: readonly Shape[] = [
  ['icmpv6.type', 0, 1, number8],
  ['icmpv6.code', 1, 1, number8],
  ['icmpv6.checksum', 2, 2, hex16],
];

const ESP: readonly Shape[] = [
  ['esp.spi', 0, 4, hex32],
  ['esp.sequence', 4, 4, number32],
];
const ESP_TRAILER: readonly Shape[] = [
  ['esp.pad_len', 0, 1, number8],
  ['esp.protocol', 1, 1, hex8],
];
const ESP_IV_LENGTH = 8;

/** Fields of no fixed size: payloads, options, trailers. */
const VARIABLE = [
  'eth.trailer',
  'ip.options',
  'ipv6.opt',
  'tcp.options',
  'udp.payload',
  'tcp.payload',
  'esp.iv',
  'esp.pad',
  'esp.icv',
  'esp.encrypted_data',
  'data.data',
] as const;
type Variable = (typeof VARIABLE)[number];

const SHAPES = [
  ...[ETH, VLAN, ARP, IP, IPV6, IPV6_FRAGMENT, UDP, TCP, TCP_OPTION, ...Object.values(TCP_OPTIONS), VXLAN],
  ...[ICMP, ICMP_ECHO, ICMP_FRAGMENTATION_NEEDED, ICMP_OTHER, ICMPV6, ESP, ESP_TRAILER],
];

/** Every name that a field of a frame can have. */
export const FIELD_NAMES: readonly string[] = [
  ...new Set([...SHAPES.flat().map(([name]) => name), ...VARIABLE, ...ICMPV6_NAMES, ...DNS_NAMES]),
];

function speaksDns(frame: Uint8Array, udp: Layer): boolean {
  return u16(frame, udp.start) === DNS_PORT || u16(frame, udp.start + 2) === DNS_PORT;
}

/** All fields of a frame whose layers are known. */
export function fieldsOf(frame: Uint8Array, layers: readonly Layer[]): Field[] {
  return layers.flatMap((layer, index) => [...new Header(frame, layer, layers[index - 1]).fields()]);
}

class Header {
  constructor(
    readonly frame: Uint8Array,
    readonly layer: Layer,
    readonly outside: Layer | undefined,
  ) {}

  *#take(shapes: readonly Shape[], start = this.layer.start): Generator<Field> {
    yield* this.#of(taken(shapes, this.frame, start));
  }

  *#bytes(name: Variable, start: number, end: number): Generator<Field> {
    yield* this.#of(raw(name, start, end));
  }

  *#of(found: Iterable<Found>): Generator<Field> {
    for (const field of found) yield { ...field, layer: this.layer };
  }

  *fields(): Generator<Field> {
    const { frame, layer } = this;
    switch (layer.name) {
      case 'eth':
        yield* this.#take(ETH);
        break;
      case 'vlan':
        yield* this.#take(VLAN);
        break;
      case 'arp':
        yield* this.#take(ARP);
        break;
      case 'ip':
        yield* this.#take(IP);
        yield* this.#bytes('ip.options', layer.start + 20, layer.body);
        break;
      case 'ipv6':
        yield* this.#take(IPV6);
        break;
      case 'ipv6-fragment':
        yield* this.#take(IPV6_FRAGMENT);
        break;
      case 'ipv6-option':
        yield* this.#bytes('ipv6.opt', layer.start, layer.body);
        break;
      case 'udp':
        yield* this.#take(UDP);
        break;
      case 'tcp':
        yield* this.#take(TCP);
        yield* this.#tcpOptions();
        break;
      case 'vxlan':
        yield* this.#take(VXLAN);
        break;
      case 'icmp': {
        const [type, code] = [frame[layer.start], frame[layer.start + 1]];
        yield* this.#take(ICMP);
        if (type === 0 || type === 8) yield* this.#take(ICMP_ECHO);
        else yield* this.#take(type === 3 && code === 4 ? ICMP_FRAGMENTATION_NEEDED : ICMP_OTHER);
        break;
      }
      case 'icmpv6':
        yield* this.#take(ICMPV6);
        yield* this.#of(icmpv6Rest(frame, layer.start));
        break;
      case 'esp':
        yield* this.#take(ESP);
        if (layer.body > layer.start + 8) yield* this.#bytes('esp.iv', layer.start + 8, layer.body);
        break;
      case 'esp-trailer':
        yield* this.#bytes('esp.pad', layer.start, layer.end - 10);
        yield* this.#take(ESP_TRAILER, layer.end - 10);
        yield* this.#bytes('esp.icv', layer.end - 8, layer.end);
        break;
      case 'trailer':
        yield* this.#bytes('eth.trailer', layer.start, layer.end);
        break;
      case 'data':
        yield* this.#payload();
        break;
      default:
        layer.name satisfies never;
    }
  }

  *#payload(): Generator<Field> {
    const { frame, layer, outside } = this;
    const { start, end } = layer;
    const carrier = outside?.body === start ? outside : undefined;
    if (carrier?.name === 'esp' && start - carrier.start === 8) {
      const ivEnd = Math.min(start + ESP_IV_LENGTH, end);
      yield* this.#bytes('esp.iv', start, ivEnd);
      yield* this.#bytes('esp.encrypted_data', ivEnd, end);
    } else if (carrier?.name === 'icmpv6' && !layer.quoted)
      yield* this.#of(icmpv6Body(frame, frame[carrier.start] ?? 0, start, end));
    else if (carrier?.name === 'udp' && !layer.quoted && speaksDns(frame, carrier))
      yield* this.#of(dnsFields(frame, start, end));
    else {
      const name = outside?.name;
      yield* this.#bytes(name === 'udp' || name === 'tcp' ? `${name}.payload` : 'data.data', start, end);
    }
  }

  *#tcpOptions(): Generator<Field> {
    const { frame, layer } = this;
    let at = layer.start + 20;
    while (at < layer.body) {
      const kind = frame[at] ?? 0;
      const length = kind <= 1 ? 1 : (frame[at + 1] ?? 0);
      if ((kind > 1 && length < 2) || at + length > layer.body) {
        yield* this.#bytes('tcp.options', at, layer.body);
        return;
      }
      const known = TCP_OPTIONS[kind];
      const size = known === undefined ? 0 : Math.max(...known.map(([, offset, bytes]) => offset + bytes));
      if (known !== undefined && size === length) yield* this.#take([...TCP_OPTION, ...known], at);
      else yield* this.#bytes('tcp.options', at, at + length);
      at += length;
    }
  }
}

/** Where two frames differ: in a field of both, or one has a field that the other has not. */
export interface FieldDifference {
  name: string;
  real: Field | undefined;
  ours: Field | undefined;
}

/**
 * The fields in which two frames differ, in the order of the real frame. A name that comes more than once (inside VXLAN,
 * quoted in an ICMP error) is matched occurrence by occurrence.
 */
export function differingFields(
  real: { bytes: Uint8Array; layers: readonly Layer[] },
  ours: { bytes: Uint8Array; layers: readonly Layer[] },
): FieldDifference[] {
  const differences: FieldDifference[] = [];
  const theirs = occurrences(fieldsOf(ours.bytes, ours.layers));
  for (const [key, field] of occurrences(fieldsOf(real.bytes, real.layers))) {
    const other = theirs.get(key);
    theirs.delete(key);
    const same =
      other !== undefined &&
      (field.value === undefined || other.value === undefined
        ? sameBytes(real.bytes.subarray(field.start, field.end), ours.bytes.subarray(other.start, other.end))
        : field.value === other.value);
    if (!same) differences.push({ name: field.name, real: field, ours: other });
  }
  for (const field of theirs.values()) differences.push({ name: field.name, real: undefined, ours: field });
  return differences;
}

function occurrences(fields: readonly Field[]): Map<string, Field> {
  const counts = new Map<string, number>();
  const keyed = new Map<string, Field>();
  for (const field of fields) {
    const place = `${field.name} ${field.layer.depth} ${field.layer.quoted}`;
    const number = counts.get(place) ?? 0;
    counts.set(place, number + 1);
    keyed.set(`${place} ${number}`, field);
  }
  return keyed;
}

export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  for (let at = 0; at < one.length; at += 1) if (one[at] !== other[at]) return false;
  return true;
}

/** The bytes of a payload field, shortened for people. */
export function showBytes(bytes: Uint8Array): string {
  const most = 16;
  return `${bytes.length} bytes ${hex(bytes.subarray(0, most))}${bytes.length > most ? '…' : ''}`;
}
