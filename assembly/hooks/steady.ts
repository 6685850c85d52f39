// What rules that read bytes (u32, bpf) have consulted, while a way is recorded (flowtable/recorder): of a tunnel's own
// packet some bytes are the same in all packets of a way, and a match that looked at nothing else need not be asked again.
//
// The same are: version and header length (0), protocol (9), addresses (12 to 19), destination port (22, 23), VXLAN's header
// and the Ethernet addresses and type behind it (28 to 49). A value that is read carries along which of its bits may differ;
// who decides by one of these says `strays`. So does a read that a shorter packet of the way has no bytes for.

import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import * as udp from "../wire/udp";
import * as vxlan from "../wire/vxlan";

/** A bit for each byte from the IP header on that is the same. */
const SAME: u64 = 0x0003_ffff_f0cf_f201;

/** The match in hand was decided by what is the same in all packets. */
export let steady: bool = true;
export function beginMatch(): void { steady = true; }
export function strays(): void { steady = false; }

/** The shortest packet of a tunnel that has a flow: around an IPv4 packet with a UDP header and nothing behind it. */
const LEAST: u32 = ipv4.LENGTH + udp.LENGTH + vxlan.LENGTH + ethernet.LENGTH + ipv4.LENGTH + udp.LENGTH;

/** A big-endian number of `size` bytes, 4 at most, is read at `at`, if the packet is long enough: which of its bits may differ? */
export function reading(at: u64, size: u32): u32 {
  if (at + size > LEAST) strays();
  let bits: u32 = 0;
  for (let i: u32 = 0; i < size; i++) bits = (bits << 8) | (at + i < 64 && (SAME >>> (at + i)) & 1 ? 0 : 0xff);
  return bits;
}
