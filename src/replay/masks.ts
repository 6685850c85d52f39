/**
 * What the kernel draws at random, and nothing else, may differ between a real frame and ours. Each such field has a named
 * mask; a masked field must still be one that the kernel could have drawn, and every checksum that covers it must be right
 * for its own frame.
 *
 *   vxlan-source-port  udp_flow_src_port(): a hash of the inner flow, scaled into the local port range (32768 to 60999, the
 *                      upper end itself excluded by the scaling); one flow keeps one port
 *   outer-ip-id        the IP id of a packet that carries VXLAN or ESP: its own counter in the kernel
 *   own-ip-id          the IP id of a packet that our own stack made, in a replay that lets it: ip_select_ident(), zero where
 *                      DF is set and no socket sent it; one packet keeps one id along its path
 *   own-flow-label     the flow label of an IPv6 packet that our own stack made: a keyed hash of its flow (net.ipv6.auto_flowlabels);
 *                      one flow keeps one label, and what has none in the kernel (neighbour discovery) has none here
 *   own-fragment-id    the identification of IPv6 fragments that our own stack made: ipv6_select_ident(); one packet keeps one
 *   nat-port           a port, or an ICMP identifier, that NAT drew because the sender's own was taken:
 *                      nf_nat_l4proto_unique_tuple() stays in the port's class (1-511, 600-1023, 1024-65535)
 *   esp-iv             the IV of an ESP packet that has been opened, and so was sealed with the right key: seqiv XORs the sequence
 *                      number with a constant of the association. Padding and all that is inside are compared; the ICV is
 *                      right for its own frame, or it would not have been opened
 *   partial-checksum   the real capture holds the bare sum of the pseudo header (CHECKSUM_PARTIAL on `lo`): ours must be right
 */

import { differingFields, type FieldDifference, sameBytes } from '../dissect/fields.js';
import { type Layer, u16, u32 } from '../dissect/layers.js';
import { hexNumber, ipv4, ipv6 } from '../dissect/notation.js';
import {
  carrierOf,
  ipHeaderChecksumIsRight,
  pseudoHeaderSum,
  sum16,
  transportChecksumAt,
  transportChecksumIsPartial,
  transportChecksumIsRight,
} from './checksums.js';
import { explainFields, type Sides } from './explain.js';
import { flowOf } from './flow.js';

export const MASK_NAMES = [
  'vxlan-source-port',
  'outer-ip-id',
  'own-ip-id',
  'own-flow-label',
  'own-fragment-id',
  'nat-port',
  'esp-iv',
  'partial-checksum',
] as const;
export type MaskName = (typeof MASK_NAMES)[number];

/** A frame with its headers found. */
export interface Decoded {
  bytes: Uint8Array;
  layers: readonly Layer[];
}

/** When a mask may be used. */
export interface MaskRules {
  /** The masks that are allowed at all; all of them without it. */
  allowed?: ReadonlySet<MaskName>;
  /** The local port range of the sender, both ends as in net.ipv4.ip_local_port_range. */
  localPorts?: readonly [low: number, high: number];
  /** Whether the packet with this IP header was made by a stack whose place our own stack took. */
  ownStack?: (frame: Decoded, ip: Layer) => boolean;
  /** Whether no endpoint chose this port (or ICMP identifier), so that NAT must have drawn it. */
  drawn?: (protocol: 'tcp' | 'udp' | 'icmp', port: number) => boolean;
  sides?: Sides;
}

/** `ip_local_port_range` as Linux has it by default. */
export const LOCAL_PORTS = [32768, 60999] as const;

export type Verdict =
  | { kind: 'identical' }
  /** The names, one for each masked field: a name may come twice. */
  | { kind: 'masked'; masks: MaskName[] }
  | { kind: 'different'; words: string[] };

/**
 * What our frames showed so far of the values that the kernel draws once and then keeps. Shared by all taps of a run: a frame
 * has the same source port wherever it is seen.
 */
export class DrawnValues {
  readonly #drawn = new Map<string, string>();

  /** Notes that each `what` has its value; or, when one had another before, notes nothing and returns that. */
  note(...drawn: (readonly [what: string, value: string | number])[]): string | undefined {
    for (const [what, value] of drawn) {
      const before = this.#drawn.get(what);
      if (before !== undefined && before !== String(value)) return before;
    }
    for (const [what, value] of drawn) this.#drawn.set(what, String(value));
    return undefined;
  }
}

/** Compares a real frame with ours. */
export function judge(real: Decoded, ours: Decoded, rules: MaskRules, drawn: DrawnValues): Verdict {
  const unstable = noteVxlanPorts(ours, drawn);
  if (sameBytes(real.bytes, ours.bytes)) return { kind: 'identical' };
  const differences = differingFields(real, ours);
  const masked: MaskName[] = [];
  /** Fields under a mask, legal or not: a checksum over them differs for their sake. */
  const random: FieldDifference[] = [];
  const wrong: string[] = [];
  const checksums: FieldDifference[] = [];
  const unmasked: FieldDifference[] = [];
  for (const difference of differences) {
    const mask = maskOf(difference, real, rules);
    if (mask !== undefined && (rules.allowed?.has(mask) ?? true)) {
      const why = illegal(mask, difference, real, ours, rules, drawn, unstable);
      random.push(difference);
      if (why === undefined) masked.push(mask);
      else wrong.push(why);
    } else if (difference.name === 'esp.icv' && masked.length + random.length > 0) continue;
    else if (difference.name.endsWith('.checksum') && mask === undefined) checksums.push(difference);
    else unmasked.push(difference);
  }
  const covering = coveringChecksums(real, random);
  for (const difference of checksums) {
    const covers = covering.some((index) => difference.real?.layer === real.layers[index]);
    if (!covers) unmasked.push(difference);
  }
  if (real.bytes.length === ours.bytes.length && real.layers.length === ours.layers.length) {
    for (const index of covering) wrong.push(...checksumComplaints(index, real, ours));
  } else if (unmasked.length === 0) unmasked.push(...differences);
  if (unmasked.length + wrong.length > 0 || masked.length === 0) {
    return { kind: 'different', words: [...explainFields(unmasked, real, ours, rules.sides), ...wrong] };
  }
  return { kind: 'masked', masks: masked };
}

/** Which mask a differing field falls under, whether its value is legal or not. */
function maskOf(difference: FieldDifference, real: Decoded, rules: MaskRules): MaskName | undefined {
  const { real: field, ours } = difference;
  if (field === undefined || ours === undefined) return undefined;
  const index = real.layers.indexOf(field.layer);
  const next = real.layers[index + 1]?.name;
  switch (difference.name) {
    case 'udp.srcport':
      if (next === 'vxlan') return 'vxlan-source-port';
      return drawnPort('udp', field.start, real, rules);
    case 'udp.dstport':
      return drawnPort('udp', field.start, real, rules);
    case 'tcp.srcport':
    case 'tcp.dstport':
      return drawnPort('tcp', field.start, real, rules);
    case 'icmp.ident':
      return drawnPort('icmp', field.start, real, rules);
    case 'ip.id': {
      const tunnel = next === 'esp' || (next === 'udp' && real.layers[index + 2]?.name === 'vxlan');
      if (tunnel) return 'outer-ip-id';
      return rules.ownStack?.(real, field.layer) === true ? 'own-ip-id' : undefined;
    }
    case 'ipv6.flow':
      return rules.ownStack?.(real, field.layer) === true ? 'own-flow-label' : undefined;
    case 'ipv6.fraghdr.ident': {
      const ip = real.layers.slice(0, index).findLast(({ name }) => name === 'ipv6');
      return ip && rules.ownStack?.(real, ip) === true ? 'own-fragment-id' : undefined;
    }
    case 'esp.iv':
      return isOpened(real) ? 'esp-iv' : undefined;
    case 'tcp.checksum':
    case 'udp.checksum': {
      const carrier = carrierOf(real.bytes, real.layers, index);
      if (carrier === undefined || carrier.fragment || field.layer.quoted) return undefined;
      return transportChecksumIsPartial(real.bytes, carrier.ip, field.layer) ? 'partial-checksum' : undefined;
    }
    default:
      return undefined;
  }
}

function isOpened({ layers }: Decoded): boolean {
  return layers.some(({ name }) => name === 'esp-trailer');
}

function drawnPort(
  protocol: 'tcp' | 'udp' | 'icmp',
  at: number,
  real: Decoded,
  rules: MaskRules,
): MaskName | undefined {
  return rules.drawn?.(protocol, u16(real.bytes, at)) === true ? 'nat-port' : undefined;
}

/** Why the value in our frame is none that the kernel could have drawn; undefined when it is legal. */
function illegal(
  mask: MaskName,
  difference: FieldDifference,
  real: Decoded,
  ours: Decoded,
  rules: MaskRules,
  drawn: DrawnValues,
  unstable: string | undefined,
): string | undefined {
  const { real: field, ours: ourField } = difference;
  if (field === undefined || ourField === undefined) return undefined;
  const realValue = u16(real.bytes, field.start);
  const ourValue = u16(ours.bytes, ourField.start);
  switch (mask) {
    case 'vxlan-source-port': {
      const [low, high] = rules.localPorts ?? LOCAL_PORTS;
      if (ourValue < low || ourValue >= high)
        return `udp.srcport of VXLAN: ${ourValue} is outside ${low} to ${high - 1}`;
      return unstable;
    }
    case 'own-ip-id': {
      const unfragmentable = (u16(real.bytes, field.layer.start + 6) & 0x4000) !== 0;
      if (realValue === 0 && unfragmentable) {
        return `ip.id: real 0x0000 with DF, which the kernel does not draw, ours ${hexNumber(ourValue, 4)}`;
      }
      const packet = `${field.layer.quoted ? 'quoted ' : ''}packet ${addressesOf(real.bytes, field.layer)} with id ${hexNumber(realValue, 4)}`;
      const before = drawn.note([packet, hexNumber(ourValue, 4)]);
      return before === undefined
        ? undefined
        : `ip.id: one packet has two ids, ${before} and ${hexNumber(ourValue, 4)}`;
    }
    case 'own-flow-label': {
      const label = u32(ours.bytes, ourField.layer.start) & 0xfffff;
      if ((u32(real.bytes, field.layer.start) & 0xfffff) === 0 || label === 0)
        return `ipv6.flow: real ${field.value}, ours ${ourField.value}: one of them is none`;
      const flow = `${addressesOf(real.bytes, field.layer)} with label ${field.value}`;
      const before = drawn.note([flow, hexNumber(label, 5)]);
      return before === undefined
        ? undefined
        : `ipv6.flow: one flow has two labels, ${before} and ${hexNumber(label, 5)}`;
    }
    case 'own-fragment-id': {
      const id = hexNumber(u32(ours.bytes, ourField.start), 8);
      const before = drawn.note([`fragments with id ${field.value}`, id]);
      return before === undefined ? undefined : `ipv6.fraghdr.ident: one packet has two ids, ${before} and ${id}`;
    }
    case 'esp-iv': {
      const esp = ourField.layer;
      const high = u32(ours.bytes, ourField.start);
      const low = (u32(ours.bytes, ourField.start + 4) ^ u32(ours.bytes, esp.start + 4)) >>> 0;
      const constant = `${hexNumber(high, 8)}${hexNumber(low, 8).slice(2)}`;
      const spi = hexNumber(u32(ours.bytes, esp.start), 8);
      const before = drawn.note([`IVs of SPI ${spi}, less the sequence number`, constant]);
      return before === undefined
        ? undefined
        : `esp.iv: the IVs of SPI ${spi} do not differ by their sequence numbers alone, ${before} and ${constant}`;
    }
    case 'nat-port': {
      const protocol = field.layer.name;
      if (protocol !== 'icmp' && portClass(realValue) !== portClass(ourValue)) {
        return `${difference.name}: NAT does not draw ${ourValue} for a port like ${realValue}`;
      }
      const before = drawn.note(
        [`${protocol} port for real ${realValue}`, ourValue],
        [`real ${protocol} port for ours ${ourValue}`, realValue],
      );
      return before === undefined ? undefined : `${difference.name}: ${ourValue} for one connection, ${before} before`;
    }
    case 'partial-checksum': {
      const index = ours.layers.indexOf(ourField.layer);
      const carrier = carrierOf(ours.bytes, ours.layers, index);
      const right = carrier !== undefined && transportChecksumIsRight(ours.bytes, carrier.ip, ourField.layer);
      return right ? undefined : `${difference.name}: ${hexNumber(ourValue, 4)} is wrong for our frame`;
    }
    default:
      return undefined;
  }
}

/** nf_nat_l4proto_unique_tuple(): privileged ports stay privileged. */
function portClass(port: number): string {
  if (port < 512) return '1-511';
  return port < 1024 ? '512-1023' : '1024-65535';
}

function addressesOf(bytes: Uint8Array, ip: Layer): string {
  if (ip.name === 'ipv6') return `${ipv6(bytes, ip.start + 8)} > ${ipv6(bytes, ip.start + 24)}`;
  return `${bytes[ip.start + 9]} ${ipv4(bytes, ip.start + 12)} > ${ipv4(bytes, ip.start + 16)}`;
}

/** One flow, one source port: notes that of each VXLAN header in our frame, and says when it changed. */
function noteVxlanPorts(ours: Decoded, drawn: DrawnValues): string | undefined {
  let complaint: string | undefined;
  ours.layers.forEach((layer, index) => {
    if (layer.name !== 'udp' || ours.layers[index + 1]?.name !== 'vxlan') return;
    const port = u16(ours.bytes, layer.start);
    const { key } = flowOf(ours.bytes, ours.layers);
    const before = drawn.note([`source port of ${key}`, port]);
    if (before !== undefined) complaint = `udp.srcport of VXLAN: one flow has two, ${before} and ${port}`;
  });
  return complaint;
}

/** The layers whose checksum covers one of the fields: the IPv4 header that it is in, and every segment around it. */
function coveringChecksums(frame: Decoded, random: readonly FieldDifference[]): number[] {
  const covering: number[] = [];
  frame.layers.forEach((layer, index) => {
    const end = layer.name === 'ip' ? layer.body : transportChecksumAt(layer) === undefined ? layer.start : layer.end;
    const covers = random.some(({ real: field }) => {
      if (field === undefined || field.start < layer.start || field.end > end) return false;
      return field.layer !== layer || !field.name.endsWith('.checksum');
    });
    if (covers) covering.push(index);
  });
  return covering;
}

/** Where a checksum that covers a masked field is not right for its own frame. The two frames have the same layers. */
function checksumComplaints(index: number, real: Decoded, ours: Decoded): string[] {
  const [realLayer, ourLayer] = [real.layers[index], ours.layers[index]];
  if (realLayer === undefined || ourLayer === undefined || realLayer.name !== ourLayer.name) return [];
  if (realLayer.name === 'ip') {
    const sides = {
      real: ipHeaderChecksumIsRight(real.bytes, realLayer),
      ours: ipHeaderChecksumIsRight(ours.bytes, ourLayer),
    };
    return complaints('ip.checksum', realLayer.start + 10, sides, real, ours);
  }
  const at = transportChecksumAt(realLayer);
  const carriers = [carrierOf(real.bytes, real.layers, index), carrierOf(ours.bytes, ours.layers, index)];
  const [realCarrier, ourCarrier] = carriers;
  if (at === undefined || realCarrier === undefined || ourCarrier === undefined) return [];
  const name = `${realLayer.name}.checksum`;
  // VXLAN over UDP without checksums: zero in both is none in both.
  if (realLayer.name === 'udp' && u16(real.bytes, at) === 0 && u16(ours.bytes, at) === 0) return [];
  if (realCarrier.fragment || realLayer.quoted) {
    // The sum runs over bytes that are not here; but what is here must have changed it alike in both frames.
    const sums = [real, ours].map((frame, side) => {
      const layer = side === 0 ? realLayer : ourLayer;
      const ip = side === 0 ? realCarrier.ip : ourCarrier.ip;
      return sum16(frame.bytes, layer.start, layer.end, pseudoHeaderSum(frame.bytes, ip, layer)) % 0xffff;
    });
    return complaints(name, at, { real: true, ours: sums[0] === sums[1] }, real, ours);
  }
  const sides = {
    real:
      transportChecksumIsRight(real.bytes, realCarrier.ip, realLayer) ||
      transportChecksumIsPartial(real.bytes, realCarrier.ip, realLayer),
    ours: transportChecksumIsRight(ours.bytes, ourCarrier.ip, ourLayer),
  };
  return complaints(name, at, sides, real, ours);
}

function complaints(
  name: string,
  at: number,
  right: { real: boolean; ours: boolean },
  real: Decoded,
  ours: Decoded,
): string[] {
  const words: string[] = [];
  if (!right.real) words.push(`${name}: ${hexNumber(u16(real.bytes, at), 4)} is wrong for the real frame`);
  if (!right.ours) words.push(`${name}: ${hexNumber(u16(ours.bytes, at), 4)} is wrong for our frame`);
  return words;
}
