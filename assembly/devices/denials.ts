// What a segment does not bring to one of its devices: an access list on the switch's port, as a cloud's security group is one.
// It stands on the wire, so a frame leaves its sender and never arrives; it looks at single packets and keeps no state.
// Fragments behind the first have no ports, and pass: without the first nothing comes of them.

import { Pool } from "../memory";
import { Frame } from "../frame";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as udp from "../wire/udp";
import { Device } from "./device";

@unmanaged
export class Denial {
  next: Denial | null;
  /** Id of the device that sent it; 0: whichever. */
  from: u32;
  protocol: u32;
  /** Destination port, network byte order; 0: any, or the protocol has none. */
  port: u32;
  /** Frames that met it. */
  packets: u64;
}

const SIZE: usize = (offsetof<Denial>() + 15) & ~15;
const denials = new Pool(SIZE, 16);

export function deny(to: Device, from: Device | null, protocol: u32, port: u32): Denial {
  denials.ensure(1);
  const denial = changetype<Denial>(denials.take(SIZE));
  denial.from = from ? from.id : 0;
  denial.protocol = protocol;
  denial.port = port;
  denial.next = to.denials;
  to.denials = denial;
  return denial;
}

export function allow(to: Device, denial: Denial): void {
  let before: Denial | null = null;
  let one = to.denials;
  while (one && one != denial) {
    before = one;
    one = one.next;
  }
  if (!one) return;
  if (before) before.next = one.next;
  else to.denials = one.next;
  denials.give(changetype<usize>(one));
}

export function allowAll(to: Device): void {
  while (to.denials) allow(to, to.denials!);
}

/** Does it not get from `from` to `to`? Counted if so. `frame.data` is the Ethernet header. */
export function denies(to: Device, from: Device, frame: Frame): bool {
  const l3 = frame.data + ethernet.LENGTH;
  const end = frame.data + frame.length;
  let protocol: u32 = 0;
  let l4 = end;
  if (ethernet.type(frame.data) == ethernet.TYPE_IPV4 && l3 + ipv4.LENGTH <= end) {
    protocol = ipv4.protocol(l3);
    if (!(ipv4.flagsAndOffset(l3) & ipv4.OFFSET)) l4 = l3 + ipv4.headerLength(l3);
  } else if (ethernet.type(frame.data) == ethernet.TYPE_IPV6 && l3 + ipv6.LENGTH <= end) {
    protocol = ipv6.nextHeader(l3);
    l4 = l3 + ipv6.LENGTH;
  } else return false;
  // TCP has its ports where UDP has them.
  const hasPorts = (protocol == ipv4.TCP || protocol == ipv4.UDP) && l4 + 4 <= end;
  const port = hasPorts ? udp.destination(l4) : 0;
  let denial = to.denials;
  while (denial) {
    if (denial.protocol == protocol && (!denial.from || denial.from == from.id) && (!denial.port || denial.port == port)) {
      denial.packets++;
      return true;
    }
    denial = denial.next;
  }
  return false;
}
