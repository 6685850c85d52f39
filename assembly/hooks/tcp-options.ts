// What conntrack reads of a segment's options: window scale and SACK of a SYN, the blocks of a SACK.

import * as tcp from "../wire/tcp";
import { after } from "../wire/tcp";
import { Direction } from "../tables/connections";
import { BE_LIBERAL, SACK_PERMITTED, WINDOW_SCALE } from "./tcp-states";

const MAX_SCALE: u8 = 14; // RFC 7323, 2.3

/** Has this segment no options, or none that say what is acknowledged? */
// @ts-ignore: decorator
@inline
export function plainOptions(segment: usize): bool {
  const header = tcp.headerLength(segment);
  return header == tcp.LENGTH || (header == tcp.LENGTH + 12 && load<u32>(segment, tcp.LENGTH) == TIMESTAMPS_ALONE);
}

/** What a SYN says: window scale and SACK. Without any option the direction stays as it is. */
export function readOptions(segment: usize, direction: Direction): void {
  if (tcp.headerLength(segment) == tcp.LENGTH) return;
  scanOptions(segment);
  direction.scale = scannedScale;
  direction.flags = (direction.flags & BE_LIBERAL) | scanned;
}

export let scanned: u8 = 0;
export let scannedScale: u8 = 0;

export function scanOptions(segment: usize): void {
  scanned = 0;
  scannedScale = 0;
  let at = segment + tcp.LENGTH;
  const end = segment + tcp.headerLength(segment);
  while (at < end) {
    const option = <u32>load<u8>(at);
    if (option == tcp.OPTION_END) return;
    if (option == tcp.OPTION_NOP) {
      at++;
      continue;
    }
    if (at + 2 > end) return;
    const size = <usize>load<u8>(at, 1);
    if (size < 2 || at + size > end) return;
    if (option == tcp.OPTION_SACK_PERMITTED && size == 2) scanned |= SACK_PERMITTED;
    else if (option == tcp.OPTION_WINDOW_SCALE && size == 3) {
      scanned |= WINDOW_SCALE;
      scannedScale = min(load<u8>(at, 2), MAX_SCALE);
    }
    at += size;
  }
}

/** NOP, NOP, timestamps of 10 bytes, as loaded: what most segments carry and nothing else. */
const TIMESTAMPS_ALONE: u32 = 0x0a080101;

export function highestSack(segment: usize, acknowledgment: u32): u32 {
  let at = segment + tcp.LENGTH;
  const end = segment + tcp.headerLength(segment);
  if (at == end || (end - at == 12 && load<u32>(at) == TIMESTAMPS_ALONE)) return acknowledgment;
  while (at < end) {
    const option = <u32>load<u8>(at);
    if (option == tcp.OPTION_END) break;
    if (option == tcp.OPTION_NOP) {
      at++;
      continue;
    }
    if (at + 2 > end) break;
    const size = <usize>load<u8>(at, 1);
    if (size < 2 || at + size > end) break;
    if (option == tcp.OPTION_SACK && size >= 10 && ((size - 2) & 7) == 0) {
      let highest = acknowledgment;
      for (let block = at + 2; block < at + size; block += 8) {
        const edge = bswap<u32>(load<u32>(block, 4));
        if (after(edge, highest)) highest = edge;
      }
      return highest;
    }
    at += size;
  }
  return acknowledgment;
}
