/**
 * Which flow a frame belongs to. Times of two captures cross, so frames are compared flow by flow, in order within each: a
 * flow is all that must keep its order.
 *
 *   ARP        operation, sender, target
 *   TCP, UDP   addresses and ports, one way
 *   ICMP echo  type, addresses, identifier; an ICMP error: type, code, addresses and the flow that it is about
 *   fragments  protocol, addresses, IP id: later fragments have no ports, so the first one's are not looked at
 *   VXLAN      outer addresses, VNI, and the inner frame's flow; not the source port, which the kernel draws
 *   ESP        addresses and SPI; opened, and VXLAN inside, the VNI and the inner frame's flow too
 *
 * MAC addresses are no part of a flow: a wrong one is a difference, not another flow.
 */

import { type DecodeOptions, fragmentOf, type Layer, layersOf, u16, u32 } from '../dissect/layers.js';
import { hexNumber, ipv4, ipv6, mac } from '../dissect/notation.js';

export interface Flow {
  /** In words; the same words are the same flow. */
  key: string;
  /** The key without what the kernel may draw at random (ports, ids). */
  family: string;
}

const ICMP_NAMES: Record<number, string> = {
  0: 'echo-reply',
  3: 'unreachable',
  5: 'redirect',
  8: 'echo-request',
  11: 'time-exceeded',
};
const ICMPV6_NAMES: Record<number, string> = {
  128: 'echo-request',
  129: 'echo-reply',
  133: 'router-solicitation',
  134: 'router-advertisement',
  135: 'neighbour-solicitation',
  136: 'neighbour-advertisement',
};
const PROTOCOL_NAMES: Record<number, string> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 50: 'esp', 58: 'icmpv6' };

/** The flow of a frame whose layers are known. */
export function flowOf(bytes: Uint8Array, layers: readonly Layer[]): Flow {
  return new Naming(bytes, layers).from(0);
}

/** Frames by flow, each flow in the order of the list. */
export function groupByFlow<F extends { data: Uint8Array }>(
  frames: readonly F[],
  options: DecodeOptions = {},
): Map<string, F[]> {
  const flows = new Map<string, F[]>();
  for (const frame of frames) {
    const { key } = flowOf(frame.data, layersOf(frame.data, options));
    const flow = flows.get(key);
    if (flow === undefined) flows.set(key, [frame]);
    else flow.push(frame);
  }
  return flows;
}

function both(words: string): Flow {
  return { key: words, family: words };
}

function prefixed(prefix: string, flow: Flow): Flow {
  return { key: `${prefix}${flow.key}`, family: `${prefix}${flow.family}` };
}

class Naming {
  constructor(
    readonly bytes: Uint8Array,
    readonly layers: readonly Layer[],
  ) {}

  from(index: number): Flow {
    const layer = this.layers[index];
    if (layer === undefined) return both('nothing');
    const { bytes } = this;
    switch (layer.name) {
      case 'eth':
        return this.#inEthernet(layer, index);
      case 'vlan':
        return prefixed(`vlan ${u16(bytes, layer.start) & 0x0fff} `, this.from(index + 1));
      case 'arp': {
        const sender = ipv4(bytes, layer.start + 14);
        const target = ipv4(bytes, layer.start + 24);
        const operation = u16(bytes, layer.start + 6);
        if (operation === 1) return both(`arp who-has ${target} tell ${sender}`);
        return both(`arp ${operation === 2 ? 'reply' : `operation ${operation}`} ${sender} to ${target}`);
      }
      case 'ip':
        return this.#inIp(layer, index, {
          source: ipv4(bytes, layer.start + 12),
          destination: ipv4(bytes, layer.start + 16),
          protocol: bytes[layer.start + 9] ?? 0,
        });
      case 'ipv6':
        return this.#inIp(layer, index, {
          source: ipv6(bytes, layer.start + 8),
          destination: ipv6(bytes, layer.start + 24),
          protocol: bytes[layer.start + 6] ?? 0,
        });
      case 'vxlan':
        return prefixed(`vxlan ${u32(bytes, layer.start + 4) >>> 8} of `, this.from(index + 1));
      default:
        return both('a short frame');
    }
  }

  #inEthernet(layer: Layer, index: number): Flow {
    const next = this.layers[index + 1];
    if (next !== undefined && next.name !== 'data') return this.from(index + 1);
    const type = hexNumber(u16(this.bytes, layer.start + 12), 4);
    return both(`ethertype ${type} ${mac(this.bytes, layer.start + 6)} > ${mac(this.bytes, layer.start)}`);
  }

  #inIp(layer: Layer, index: number, ip: { source: string; destination: string; protocol: number }): Flow {
    const { bytes } = this;
    const addresses = `${ip.source} > ${ip.destination}`;
    let at = index + 1;
    let { protocol } = ip;
    let fragment = fragmentOf(bytes, layer);
    while (this.layers[at]?.name === 'ipv6-option' || this.layers[at]?.name === 'ipv6-fragment') {
      const extension = this.layers[at] as Layer;
      protocol = bytes[extension.start] ?? 0;
      fragment ??= fragmentOf(bytes, extension);
      at += 1;
    }
    const name = PROTOCOL_NAMES[protocol] ?? `protocol ${protocol}`;
    if (fragment !== undefined) {
      const family = `${name} fragments ${addresses}`;
      return { key: `${family} id ${fragment.id}`, family };
    }
    const header = this.layers[at];
    switch (header?.name) {
      case 'tcp':
      case 'udp': {
        if (this.layers[at + 1]?.name === 'vxlan') return prefixed(`${addresses} `, this.from(at + 1));
        const ports = [u16(bytes, header.start), u16(bytes, header.start + 2)];
        return {
          key: `${name} ${ip.source}:${ports[0]} > ${ip.destination}:${ports[1]}`,
          family: `${name} ${addresses}`,
        };
      }
      case 'icmp':
        return this.#inIcmp(header, at, addresses, ICMP_NAMES, 'icmp', [0, 8]);
      case 'icmpv6':
        return this.#inIcmp(header, at, addresses, ICMPV6_NAMES, 'icmpv6', [128, 129]);
      case 'esp':
        return this.#inEsp(header, at, addresses);
      default:
        return both(`${name} ${addresses}`);
    }
  }

  /** What has been opened is told apart by what is inside. */
  #inEsp(header: Layer, index: number, addresses: string): Flow {
    const esp = `esp ${addresses} spi ${hexNumber(u32(this.bytes, header.start), 8)}`;
    const tunnelled = this.layers[index + 1]?.name === 'udp' && this.layers[index + 2]?.name === 'vxlan';
    return tunnelled ? prefixed(`${esp} of `, this.from(index + 2)) : both(esp);
  }

  #inIcmp(
    header: Layer,
    index: number,
    addresses: string,
    names: Record<number, string>,
    protocol: string,
    echoes: readonly number[],
  ): Flow {
    const { bytes } = this;
    const type = bytes[header.start] ?? 0;
    const code = bytes[header.start + 1] ?? 0;
    const family = `${protocol} ${names[type] ?? `type ${type}`}${code === 0 ? '' : ` code ${code}`} ${addresses}`;
    if (echoes.includes(type)) return { key: `${family} id ${u16(bytes, header.start + 4)}`, family };
    if (this.layers[index + 1]?.quoted === true) return prefixed(`${family} about `, this.from(index + 1));
    // Neighbour solicitations and advertisements (RFC 4861) carry the address that they are about.
    if (protocol === 'icmpv6' && (type === 135 || type === 136) && header.end - header.start >= 24) {
      return both(`${family} for ${ipv6(bytes, header.start + 8)}`);
    }
    return both(family);
  }
}
