// What rules that read bytes (u32, bpf) have consulted, while a way is recorded (flowtable/recorder): of a tunnel's own
// packet some bytes are the same in all packets of a way, and a match that looked at nothing else need not be asked again.
//
// The same are: version and header length (0), protocol (9), addresses (12 to 19), destination port (22, 23), VXLAN's header
// and the Ethernet addresses and type behind it (28 to 49). A value that is read carries along which of its bits may differ;
// who decides by one of these says `strays`.

/** A bit for each byte from the IP header on that is the same. */
const SAME: u64 = 0x0003_ffff_f0cf_f201;

/** The match in hand was decided by what is the same in all packets. */
export let steady: bool = true;
export function beginMatch(): void { steady = true; }
export function strays(): void { steady = false; }

/** Which bits may differ of the big-endian number of `size` bytes, 4 at most, at `at`. */
export function differing(at: u32, size: u32): u32 {
  let bits: u32 = 0;
  for (let i: u32 = 0; i < size; i++) bits = (bits << 8) | (at + i < 64 && (SAME >>> (at + i)) & 1 ? 0 : 0xff);
  return bits;
}
