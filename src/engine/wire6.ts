/** IPv6 addresses as the engine takes them: four words in network byte order as a little-endian load reads them. */

import { groupsOf, ipv6Text } from '../topology/ipv6.js';
import type { EngineExports } from './exports.js';
import type { Memory } from './memory.js';
import { ipv4, ipv4Text } from './wire.js';

export { cidr6, groupsOf, ipv6Text, isIpv6, linkLocal, prefixOf } from '../topology/ipv6.js';

export type Words = [number, number, number, number];

export function ipv6Words(text: string): Words {
  const groups = groupsOf(text);
  const word = (at: number) => {
    const [high = 0, low = 0] = [groups[at], groups[at + 1]];
    return ((high >>> 8) | ((high & 255) << 8) | ((low >>> 8) << 16) | ((low & 255) << 24)) >>> 0;
  };
  return [word(0), word(2), word(4), word(6)];
}

/** Sixteen bytes in memory, or in a record, as text. */
export function ipv6TextAt(view: DataView, at: number): string {
  return ipv6Text(Array.from({ length: 8 }, (_, i) => view.getUint16(at + 2 * i)));
}

/** The address that a number of the engine's stands for; 0 is none. */
export function addressOf(memory: Memory, number: number): string {
  return number ? ipv6TextAt(memory.view, number) : '::';
}

/** An address of either family as tables hold it: an IPv6 address by its number. */
export function tableAddress(exports: EngineExports, text: string): number {
  return text.includes(':') ? numberOf(exports, text) : ipv4(text);
}

/** The same, back. */
export function tableAddressText(memory: Memory, value: number, v6: boolean): string {
  return v6 ? addressOf(memory, value) : ipv4Text(value);
}

/** The number by which the engine's tables know this address, from now on. */
export function numberOf(exports: EngineExports, text: string): number {
  return exports.pinAddress(...ipv6Words(text)) >>> 0;
}
