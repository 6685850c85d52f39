/**
 * The headers of a frame, from the outside in, and where each begins: Ethernet II, 802.1Q, ARP, IPv4 (RFC 791), IPv6 with its
 * extension headers (RFC 8200), ICMP, UDP, TCP, ESP, and through VXLAN (RFC 7348) the inner frame. Only looks; whatever bytes
 * come in, it ends with what it could recognise.
 */

export type LayerName =
  | 'eth'
  | 'vlan'
  | 'arp'
  | 'ip'
  | 'ipv6'
  | 'ipv6-fragment'
  | 'ipv6-option'
  | 'icmp'
  | 'icmpv6'
  | 'udp'
  | 'tcp'
  | 'vxlan'
  | 'esp'
  /** Padding, pad length, next header and ICV, of ESP that has been opened. */
  | 'esp-trailer'
  /** What follows the last header that is known. */
  | 'data'
  /** Bytes after the end that an IP length field gives. */
  | 'trailer';

export interface Layer {
  name: LayerName;
  /** First byte of the header. */
  start: number;
  /** End of the header. */
  body: number;
  /** End of header and payload, as the header's own length field says, within the bytes there are. */
  end: number;
  /** How many VXLAN headers lie outside this one. */
  depth: number;
  /** Quoted in an ICMP error: cut short, and no packet that is on its way. */
  quoted: boolean;
}

/** An IP layer's fragment: neither flag nor offset set is no fragment. */
export interface Fragment {
  id: number;
  offset: number;
  more: boolean;
}

export interface DecodeOptions {
  /** UDP destination port of VXLAN, 4789 where nobody chose another (`docker swarm init --data-path-port`). */
  vxlanPort?: number;
  /** ESP in this frame has been opened: plaintext stands in the ciphertext's place (RFC 4106, an ICV of 8 bytes). */
  espOpened?: boolean;
}

export const VXLAN_PORT = 4789;
const VXLAN_FLAG_VNI = 0x08;
/** No real frame has so many headers; a made-up one may be tags from beginning to end. */
const MOST_LAYERS = 64;

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_VLAN = 0x8100;
export const ETHERTYPE_IPV6 = 0x86dd;

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_ESP = 50;
export const PROTOCOL_ICMPV6 = 58;
const ICV_LENGTH = 8;
const IPV6_FRAGMENT = 44;
/** Hop-by-hop, routing, destination options: they share a shape. */
const IPV6_OPTIONS = new Set([0, 43, 60]);

/** Big-endian number of two bytes; 0 past the end. */
export function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

/** Big-endian number of four bytes; 0 past the end. */
export function u32(bytes: Uint8Array, at: number): number {
  return ((u16(bytes, at) << 16) | u16(bytes, at + 2)) >>> 0;
}

/** The headers of a frame, from the outside in. */
export function layersOf(frame: Uint8Array, options: DecodeOptions = {}): Layer[] {
  const layers: Layer[] = [];
  new Walk(frame, layers, options.vxlanPort ?? VXLAN_PORT, options.espOpened === true).ethernet(0, frame.length);
  return layers;
}

class Walk {
  #depth = 0;
  #quoted = false;

  constructor(
    readonly frame: Uint8Array,
    readonly layers: Layer[],
    readonly vxlanPort: number,
    readonly espOpened: boolean,
  ) {}

  #add(name: LayerName, start: number, body: number, end: number): void {
    this.layers.push({ name, start, body, end, depth: this.#depth, quoted: this.#quoted });
  }

  #data(start: number, end: number): void {
    if (end > start) this.#add('data', start, start, end);
  }

  ethernet(start: number, end: number): void {
    if (end - start < 14) {
      this.#data(start, end);
      return;
    }
    this.#add('eth', start, start + 14, end);
    this.#ethertype(u16(this.frame, start + 12), start + 14, end);
  }

  #ethertype(type: number, start: number, end: number): void {
    if (type === ETHERTYPE_IPV4) this.#ipv4(start, end);
    else if (type === ETHERTYPE_IPV6) this.#ipv6(start, end);
    else if (type === ETHERTYPE_ARP && end - start >= 28 && u32(this.frame, start + 2) === 0x08000604) {
      this.#add('arp', start, start + 28, start + 28);
      if (end > start + 28) this.#add('trailer', start + 28, start + 28, end);
    } else if (type === ETHERTYPE_VLAN && end - start >= 4 && this.layers.length < MOST_LAYERS) {
      this.#add('vlan', start, start + 4, end);
      this.#ethertype(u16(this.frame, start + 2), start + 4, end);
    } else this.#data(start, end);
  }

  #ipv4(start: number, end: number): void {
    const headerLength = ((this.frame[start] ?? 0) & 0x0f) * 4;
    const totalLength = u16(this.frame, start + 2);
    const wrong = (this.frame[start] ?? 0) >> 4 !== 4 || headerLength < 20 || totalLength < headerLength;
    if (end - start < 20 || wrong || start + headerLength > end) {
      this.#data(start, end);
      return;
    }
    const packetEnd = Math.min(start + totalLength, end);
    this.#add('ip', start, start + headerLength, packetEnd);
    const protocol = this.frame[start + 9] ?? 0;
    if ((u16(this.frame, start + 6) & 0x1fff) !== 0) this.#data(start + headerLength, packetEnd);
    else this.#transport(protocol, start + headerLength, packetEnd);
    if (packetEnd < end && !this.#quoted) this.#add('trailer', packetEnd, packetEnd, end);
  }

  #ipv6(start: number, end: number): void {
    if (end - start < 40 || (this.frame[start] ?? 0) >> 4 !== 6) {
      this.#data(start, end);
      return;
    }
    const packetEnd = Math.min(start + 40 + u16(this.frame, start + 4), end);
    this.#add('ipv6', start, start + 40, packetEnd);
    let next = this.frame[start + 6] ?? 0;
    let at = start + 40;
    let laterFragment = false;
    while (packetEnd - at >= 8 && !laterFragment) {
      if (IPV6_OPTIONS.has(next)) {
        const length = ((this.frame[at + 1] ?? 0) + 1) * 8;
        if (at + length > packetEnd) break;
        this.#add('ipv6-option', at, at + length, packetEnd);
        next = this.frame[at] ?? 0;
        at += length;
      } else if (next === IPV6_FRAGMENT) {
        this.#add('ipv6-fragment', at, at + 8, packetEnd);
        laterFragment = u16(this.frame, at + 2) >> 3 !== 0;
        next = this.frame[at] ?? 0;
        at += 8;
      } else break;
    }
    if (laterFragment) this.#data(at, packetEnd);
    else this.#transport(next, at, packetEnd);
    if (packetEnd < end && !this.#quoted) this.#add('trailer', packetEnd, packetEnd, end);
  }

  #transport(protocol: number, start: number, end: number): void {
    const room = end - start;
    if (protocol === PROTOCOL_UDP && room >= 8) this.#udp(start, end);
    else if (protocol === PROTOCOL_TCP && room >= 20) this.#tcp(start, end);
    else if (protocol === PROTOCOL_ICMP && room >= 8) this.#icmp('icmp', start, end);
    else if (protocol === PROTOCOL_ICMPV6 && room >= 8) this.#icmp('icmpv6', start, end);
    else if (protocol === PROTOCOL_ESP && this.espOpened && room >= 26) this.#openedEsp(start, end);
    else if (protocol === PROTOCOL_ESP && room >= 8) {
      this.#add('esp', start, start + 8, end);
      this.#data(start + 8, end);
    } else this.#data(start, end);
  }

  #openedEsp(start: number, end: number): void {
    const trailer = end - ICV_LENGTH - 2;
    const inside = Math.max(start + 16, trailer - (this.frame[trailer] ?? 0));
    this.#add('esp', start, start + 16, end);
    this.#transport(this.frame[trailer + 1] ?? 0, start + 16, inside);
    this.#add('esp-trailer', inside, end, end);
  }

  #udp(start: number, end: number): void {
    this.#add('udp', start, start + 8, end);
    const tunnel = u16(this.frame, start + 2) === this.vxlanPort && end - start >= 16 && !this.#quoted;
    const valid = ((this.frame[start + 8] ?? 0) & VXLAN_FLAG_VNI) !== 0 && this.layers.length < MOST_LAYERS;
    if (tunnel && valid) {
      this.#add('vxlan', start + 8, start + 16, end);
      this.#depth += 1;
      this.ethernet(start + 16, end);
      this.#depth -= 1;
    } else this.#data(start + 8, end);
  }

  #tcp(start: number, end: number): void {
    const headerLength = ((this.frame[start + 12] ?? 0) >> 4) * 4;
    const body = headerLength >= 20 && start + headerLength <= end ? start + headerLength : start + 20;
    this.#add('tcp', start, body, end);
    this.#data(body, end);
  }

  #icmp(name: 'icmp' | 'icmpv6', start: number, end: number): void {
    this.#add(name, start, start + 8, end);
    const type = this.frame[start] ?? 0;
    // Destination unreachable, time exceeded, parameter problem, redirect quote the packet that they are about.
    const quotes = name === 'icmp' ? [3, 4, 5, 11, 12].includes(type) : type < 128;
    if (!quotes || this.#quoted) {
      this.#data(start + 8, end);
      return;
    }
    this.#quoted = true;
    if (name === 'icmp') this.#ipv4(start + 8, end);
    else this.#ipv6(start + 8, end);
    this.#quoted = false;
  }
}

/** Of an IPv4 layer, or of the fragment header of an IPv6 packet: the fragment it is, undefined when the packet is whole. */
export function fragmentOf(frame: Uint8Array, layer: Layer): Fragment | undefined {
  if (layer.name === 'ip') {
    const word = u16(frame, layer.start + 6);
    const offset = (word & 0x1fff) * 8;
    const more = (word & 0x2000) !== 0;
    return more || offset > 0 ? { id: u16(frame, layer.start + 4), offset, more } : undefined;
  }
  if (layer.name === 'ipv6-fragment') {
    const word = u16(frame, layer.start + 2);
    return { id: u32(frame, layer.start + 4), offset: word & 0xfff8, more: (word & 1) !== 0 };
  }
  return undefined;
}
