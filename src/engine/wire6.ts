/**
 * IPv6 addresses as people write them (RFC 4291, section 2.2; written after RFC 5952), and as the engine takes them: four
 * words in network byte order as a little-endian load reads them.
 */

import type { EngineExports } from './exports.js';
import type { Memory } from './memory.js';
import { ipv4, macBytes } from './wire.js';

export type Words = [number, number, number, number];

export function isIpv6(text: string): boolean {
  return text.includes(':');
}

/** '2001:db8::1' → its eight groups. Throws a RangeError for what is no IPv6 address. */
export function groupsOf(text: string): number[] {
  const bad = () => new RangeError(`"${text}" is no IPv6 address`);
  let written = text;
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted) {
    const value = ipv4(dotted[2] ?? '');
    const pair = [((value & 255) << 8) | ((value >>> 8) & 255), (((value >>> 16) & 255) << 8) | (value >>> 24)];
    written = `${dotted[1]}${pair.map((one) => one.toString(16)).join(':')}`;
  }
  const halves = written.split('::');
  if (halves.length > 2) throw bad();
  const [before = [], after = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const missing = 8 - before.length - after.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) throw bad();
  const all = [...before, ...Array<string>(halves.length === 2 ? missing : 0).fill('0'), ...after];
  return all.map((group) => {
    if (!/^[0-9a-f]{1,4}$/i.test(group)) throw bad();
    return Number.parseInt(group, 16);
  });
}

export function ipv6Words(text: string): Words {
  const groups = groupsOf(text);
  const word = (at: number) => {
    const [high = 0, low = 0] = [groups[at], groups[at + 1]];
    return ((high >>> 8) | ((high & 255) << 8) | ((low >>> 8) << 16) | ((low & 255) << 24)) >>> 0;
  };
  return [word(0), word(2), word(4), word(6)];
}

/** Written as RFC 5952 wants it: the longest run of zero groups, the first of several, becomes `::`. */
export function ipv6Text(groups: readonly number[]): string {
  let best = { start: 0, length: 1 };
  for (let start = 0; start < 8; start += 1) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length += 1;
    if (length > best.length) best = { start, length };
  }
  const words = groups.map((group) => group.toString(16));
  if (best.length < 2) return words.join(':');
  return `${words.slice(0, best.start).join(':')}::${words.slice(best.start + best.length).join(':')}`;
}

/** Sixteen bytes in memory, or in a record, as text. */
export function ipv6TextAt(view: DataView, at: number): string {
  return ipv6Text(Array.from({ length: 8 }, (_, i) => view.getUint16(at + 2 * i)));
}

/** The address that a number of the engine's stands for; 0 is none. */
export function addressOf(memory: Memory, number: number): string {
  return number ? ipv6TextAt(memory.view, number) : '::';
}

/** The number by which the engine's tables know this address, from now on. */
export function numberOf(exports: EngineExports, text: string): number {
  return exports.pinAddress(...ipv6Words(text)) >>> 0;
}

/** '2001:db8::/64' → address and prefix length; without a length it is 128. */
export function cidr6(text: string): { address: string; length: number } {
  const [address = '', length = '128'] = text.split('/');
  const bits = Number(length);
  if (!/^\d{1,3}$/.test(length) || bits > 128) throw new RangeError(`"${text}" is no IPv6 prefix`);
  return { address: ipv6Text(groupsOf(address)), length: bits };
}

/** The first address of the prefix. */
export function prefixOf(text: string): string {
  const { address, length } = cidr6(text);
  const groups = groupsOf(address).map((group, i) => {
    const bits = Math.max(0, Math.min(16, length - 16 * i));
    return group & (0xffff << (16 - bits)) & 0xffff;
  });
  return ipv6Text(groups);
}

/** The link-local address that a device makes of its MAC (RFC 4291, appendix A: modified EUI-64). */
export function linkLocal(mac: string): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = macBytes(mac);
  return ipv6Text([0xfe80, 0, 0, 0, ((a ^ 2) << 8) | b, (c << 8) | 0xff, 0xfe00 | d, (e << 8) | f]);
}
