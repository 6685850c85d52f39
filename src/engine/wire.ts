/**
 * Addresses as people write them, and as the engine holds them: IPv4 addresses and ports in network byte order as a
 * little-endian load reads them, MACs as the low 48 bits of a u64, given in two halves.
 */

/** '10.0.0.1' → u32. Throws a RangeError for what is no IPv4 address. */
export function ipv4(text: string): number {
  const parts = text.split('.');
  let value = 0;
  if (parts.length !== 4) throw new RangeError(`"${text}" is no IPv4 address`);
  for (let i = 3; i >= 0; i--) {
    const part = parts[i] ?? '';
    const byte = Number(part);
    if (!/^\d{1,3}$/.test(part) || byte > 255) throw new RangeError(`"${text}" is no IPv4 address`);
    value = value * 256 + byte;
  }
  return value >>> 0;
}

export function ipv4Text(value: number): string {
  return `${value & 255}.${(value >>> 8) & 255}.${(value >>> 16) & 255}.${value >>> 24}`;
}

/** '10.0.1.0/24' → address and prefix length; without a length it is 32. */
export function cidr(text: string): { address: number; length: number } {
  const [address = '', length = '32'] = text.split('/');
  const bits = Number(length);
  if (!/^\d{1,2}$/.test(length) || bits > 32) throw new RangeError(`"${text}" is no IPv4 prefix`);
  return { address: ipv4(address), length: bits };
}

/** A mask of `length` bits, network byte order as loaded. */
export function mask(length: number): number {
  const host = length === 0 ? 0 : (0xffffffff << (32 - length)) >>> 0;
  return swap32(host);
}

export function swap32(value: number): number {
  return (((value & 255) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
}

/** A port between host order and as loaded: the same swap either way. */
export function port(value: number): number {
  return ((value & 255) << 8) | (value >>> 8);
}

export interface MacHalves {
  low: number;
  high: number;
}

/** '02:42:0a:00:00:02' → its six bytes. */
export function macBytes(text: string): number[] {
  const bytes = text.split(':').map((part) => (/^[0-9a-f]{1,2}$/i.test(part) ? Number.parseInt(part, 16) : Number.NaN));
  if (bytes.length !== 6 || bytes.some(Number.isNaN)) throw new RangeError(`"${text}" is no MAC address`);
  return bytes;
}

/** '02:42:0a:00:00:02' → the halves of the u64. */
export function mac(text: string): MacHalves {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = macBytes(text);
  return { low: (a | (b << 8) | (c << 16) | (d << 24)) >>> 0, high: e | (f << 8) };
}

export function macText({ low, high }: MacHalves): string {
  const bytes = [low & 255, (low >>> 8) & 255, (low >>> 16) & 255, low >>> 24, high & 255, (high >>> 8) & 255];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
