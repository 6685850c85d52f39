// `-m bpf`: a classic BPF program says whether the packet matches (net/netfilter/xt_bpf.c; the machine: bpf(4) of the BSDs and
// Documentation/networking/filter.rst). It reads the packet from the IP header on, of either family.
//
// A program is its number of instructions, then eight bytes each:  code (u16), jump if true, jump if false (u8), k (u32).
// Whoever writes it has checked it (bpf_check_classic): known codes, jumps within it, a return at its end, no division by 0.

import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import { reading, strays } from "./steady";

/** SKF_AD_OFF + SKF_AD_PAY_OFFSET: instead of a place in the packet, where the payload behind the layer 4 header begins. */
const PAYLOAD_OFFSET: u32 = 0xfffff000 + 52;
const SCTP: u32 = 132;
/** M[], the machine's sixteen words of its own. */
const words: usize = memory.data(16 * sizeof<u32>());

/** Did a load stay within the packet? One that does not ends the program with 0. */
let within: bool = false;
/** Which bits of what was loaded last may differ in another packet of the way (hooks/steady). */
let varies: u32 = 0;

/** The program at `program` returns anything but 0 for the packet of `length` bytes at `ip`. */
export function bpfMatches(program: usize, ip: usize, length: u32): bool {
  let a: u32 = 0;
  let x: u32 = 0;
  // Of A and of X.
  let variesA: u32 = 0;
  let variesX: u32 = 0;
  memory.fill(words, 0, 16 * sizeof<u32>());
  let p = program + 4;
  while (true) {
    const code = <u32>load<u16>(p);
    const k = load<u32>(p, 4);
    // By class: load, load into X, store, store X, arithmetic, jump, return, move.
    switch (<i32>(code & 7)) {
      case 0:
        if ((code & 0xe0) == 0x40 && variesX) strays();
        a = loaded(code, ip, length, k, x);
        variesA = varies;
        if (!within) return false;
        break;
      case 1:
        x = loadedX(code, ip, length, k);
        variesX = varies;
        if (!within) return false;
        break;
      case 2:
        if (variesA) strays();
        store<u32>(words + (<usize>k << 2), a);
        break;
      case 3:
        if (variesX) strays();
        store<u32>(words + (<usize>k << 2), x);
        break;
      case 4: {
        const by = code & 8 ? x : k;
        // Division by X of 0 ends the program with 0.
        if ((code & 0xf0) == 0x30 || (code & 0xf0) == 0x90) {
          if (code & 8 && variesX) strays();
          if (!by) return false;
        }
        a = computed(code, a, by);
        // A constant mask or shift tells which bits are left; whatever else is made of them may differ as a whole.
        const mask = code == 0x54 || code == 0x64 || code == 0x74;
        if (mask) variesA = computed(code, variesA, k);
        else if (variesA | (code & 8 ? variesX : 0)) variesA = u32.MAX_VALUE;
        break;
      }
      case 5: {
        const by = code & 8 ? x : k;
        const kind = code & 0xf0;
        if (kind && variesA | (code & 8 ? variesX : 0)) strays();
        if (kind == 0) { p += <usize>k << 3; break; }
        const holds = kind == 0x10 ? a == by : kind == 0x20 ? a > by : kind == 0x30 ? a >= by : (a & by) != 0;
        p += <usize>(holds ? load<u8>(p, 2) : load<u8>(p, 3)) << 3;
        break;
      }
      case 6:
        if (code & 0x18 && variesA) strays();
        return (code & 0x18 ? a : k) != 0;
      default:
        if (code & 0x80) {
          a = x;
          variesA = variesX;
        } else {
          x = a;
          variesX = variesA;
        }
    }
    p += 8;
  }
}

/** `ld`: a constant, a word of M[], the length, or bytes of the packet. */
function loaded(code: u32, ip: usize, length: u32, k: u32, x: u32): u32 {
  within = true;
  varies = 0;
  const mode = code & 0xe0;
  if (mode == 0x00) return k;
  if (mode == 0x60) return load<u32>(words + (<usize>k << 2));
  if (mode == 0x80) {
    varies = u32.MAX_VALUE;
    return length;
  }
  if (mode == 0x20 && k == PAYLOAD_OFFSET) return payloadOffset(ip, length);
  const at = <u64>(mode == 0x40 ? x + k : k);
  const size: u64 = code & 0x10 ? 1 : code & 0x08 ? 2 : 4;
  within = at + size <= <u64>length;
  varies = reading(at, <u32>size);
  if (!within) return 0;
  const from = ip + <usize>at;
  return size == 4 ? bswap<u32>(load<u32>(from)) : size == 2 ? bswap<u16>(load<u16>(from)) : load<u8>(from);
}

/** `ldx`: the same without bytes of the packet, but for the length of an IPv4 header at k. */
function loadedX(code: u32, ip: usize, length: u32, k: u32): u32 {
  if ((code & 0xe0) != 0xa0) return loaded(code, ip, length, k, 0);
  within = k < length;
  varies = 0;
  if (k) strays();
  return within ? (<u32>load<u8>(ip + k) & 15) << 2 : 0;
}

function computed(code: u32, a: u32, by: u32): u32 {
  switch (<i32>(code & 0xf0)) {
    case 0x00: return a + by;
    case 0x10: return a - by;
    case 0x20: return a * by;
    case 0x30: return a / by;
    case 0x40: return a | by;
    case 0x50: return a & by;
    case 0x60: return by < 32 ? a << by : 0;
    case 0x70: return by < 32 ? a >>> by : 0;
    case 0x80: return 0 - a;
    case 0x90: return a % by;
    default: return a ^ by;
  }
}

/** Where the payload begins, from the IP header on (__skb_get_poff): behind a fragment's offset there is no layer 4 header. */
function payloadOffset(ip: usize, length: u32): u32 {
  let protocol: u32;
  let at: u32;
  if (ipv6.version(ip) == 6) {
    if (!ipv6.walk(ip, length)) return 0;
    protocol = ipv6.upper;
    at = ipv6.upperAt;
    if (ipv6.fragmentAt && ipv6.fragmentWord(ip + ipv6.fragmentAt) & ipv6.OFFSET) return at;
  } else {
    protocol = ipv4.protocol(ip);
    at = ipv4.headerLength(ip);
    if (ipv4.flagsAndOffset(ip) & ipv4.OFFSET) return at;
  }
  switch (<i32>protocol) {
    case ipv4.TCP:
      if (at + 13 > length) return at;
      return at + max<u32>(20, (<u32>load<u8>(ip + at, 12) >>> 4) << 2);
    case ipv4.UDP:
    case ipv4.ICMP:
    case ipv6.ICMP: return at + 8;
    case SCTP: return at + 12;
    default: return at;
  }
}
