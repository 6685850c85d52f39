// `-m u32`: four bytes somewhere in the packet, shifted and masked, are in one of these ranges (net/netfilter/xt_u32.c).
//
// A program is a list of u32:  tests,  and for each test:  locations, then (operator, number) pairs;  ranges, then (least,
// most) pairs. The first location's operator is unused: its number is where to look first, from the IP header on.

import { reading, strays } from "./steady";

export const AND: u32 = 0;
export const LEFT: u32 = 1;
export const RIGHT: u32 = 2;
export const AT: u32 = 3;

/** Every test of the program at `program` holds for the packet of `length` bytes at `ip`. */
export function u32Matches(program: usize, ip: usize, length: u32): bool {
  let p = program;
  const tests = load<u32>(p);
  p += 4;
  for (let test: u32 = 0; test < tests; test++) {
    const locations = load<u32>(p);
    let at: u32 = 0;
    const first = load<u32>(p, 8);
    let varies = reading(first, 4);
    if (length < 4 || first > length - 4) return false;
    let value = bswap<u32>(load<u32>(ip + first));
    p += 12;
    for (let i: u32 = 1; i < locations; i++, p += 8) {
      const number = load<u32>(p, 4);
      switch (<i32>load<u32>(p)) {
        case AND:
          value &= number;
          varies &= number;
          break;
        // As the machine shifts: a count of 32 and more is one no driver writes.
        case LEFT:
          value <<= number;
          varies <<= number;
          break;
        case RIGHT:
          value >>>= number;
          varies >>>= number;
          break;
        default:
          if (varies) strays();
          if (at + value < at) return false;
          at += value;
          varies = reading(<u64>at + number, 4);
          if (at + 4 < at || length < at + 4 || number > length - at - 4) return false;
          value = bswap<u32>(load<u32>(ip + at + number));
      }
    }
    if (varies) strays();
    const ranges = load<u32>(p);
    p += 4;
    let found = false;
    for (let i: u32 = 0; i < ranges; i++, p += 8) {
      if (load<u32>(p) <= value && value <= load<u32>(p, 4)) found = true;
    }
    if (!found) return false;
  }
  return true;
}
