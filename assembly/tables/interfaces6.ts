// The IPv6 addresses of a device (struct inet6_dev, inet6_ifaddr), and the choice of a source address among them
// (RFC 6724; ipv6_dev_get_saddr).

import { Pool } from "../memory";
import { Device } from "../devices/device";
import { Namespace } from "../stack/namespace";
import * as ipv6 from "../wire/ipv6";

// InterfaceAddress.flags
/** Its uniqueness is not proven yet: it is no source and nobody's goal. */
export const TENTATIVE: u32 = 1;
/** Somebody else has it. */
export const DAD_FAILED: u32 = 2;
/** Added without duplicate address detection. */
export const NODAD: u32 = 4;

@unmanaged
export class InterfaceAddress {
  next: InterfaceAddress | null;
  /** Number of the address. */
  address: u32;
  length: u8;
  /** 2 link, 5 site, 14 global. */
  scope: u8;
  flags: u8;
  device: Device;
  /** What its solicitation carried, so that its own echo is known (RFC 7527). */
  nonce: u64;
}

const pool = new Pool(offsetof<InterfaceAddress>(), 64);

/** Scope of a unicast address; of a group its own. */
export function scopeOf(at: usize): u32 {
  if (ipv6.isMulticast(at)) return ipv6.groupScope(at);
  if (ipv6.isLinkLocal(at) || ipv6.isLoopback(at)) return 2;
  return (<u32>load<u16>(at) & 0xc0ff) == 0xc0fe ? 5 : 14;
}

/** `ip -6 addr add`: before those of the same scope, wider scopes first (ipv6_link_dev_addr). */
export function addAddress6(device: Device, address: u32, length: u32, flags: u32): InterfaceAddress {
  pool.ensure(1);
  const entry = changetype<InterfaceAddress>(pool.take(offsetof<InterfaceAddress>()));
  entry.address = address;
  entry.length = <u8>length;
  entry.flags = <u8>flags;
  entry.device = device;
  entry.scope = <u8>scopeOf(<usize>address);
  device.ipv6 = 1;
  let before: InterfaceAddress | null = null;
  let at = device.addresses6;
  while (at && at.scope > entry.scope) {
    before = at;
    at = at.next;
  }
  entry.next = at;
  if (before) before.next = entry;
  else device.addresses6 = entry;
  return entry;
}

export function removeAddress6(device: Device, entry: InterfaceAddress): void {
  if (device.addresses6 == entry) device.addresses6 = entry.next;
  else {
    let at = device.addresses6;
    while (at && at.next != entry) at = at.next;
    if (at) at.next = entry.next;
  }
  pool.give(changetype<usize>(entry));
}

/** This device's entry for the address at `at`, or null. */
export function findAddress6(device: Device, at: usize): InterfaceAddress | null {
  let entry = device.addresses6;
  while (entry && !ipv6.sameAddress(<usize>entry.address, at)) entry = entry.next;
  return entry;
}

/** The link-local address that neighbour discovery speaks with: the one added first; 0 without (__ipv6_get_lladdr). */
export function linkLocalOf(device: Device): u32 {
  let found: u32 = 0;
  let entry = device.addresses6;
  while (entry) {
    if (entry.scope == 2 && !(entry.flags & TENTATIVE)) found = entry.address;
    entry = entry.next;
  }
  return found;
}

/** Does the device listen to this group (ipv6_chk_mcast_addr)? All nodes, all routers, solicited nodes; lo to all of its own. */
export function listensTo(device: Device, at: usize): bool {
  const high = load<u64>(at);
  const low = load<u64>(at, 8);
  if (low == 0x0100000000000000) return high == ipv6.LINK_GROUP || high == 0x01ff;
  if (low == 0x0200000000000000) return device.namespace.forward6 != 0 && (high == ipv6.LINK_GROUP || high == 0x01ff || high == 0x05ff);
  if (!ipv6.isSolicitedNode(at)) return false;
  let entry = device.addresses6;
  while (entry) {
    if (ipv6.solicitedLow(<usize>entry.address) == low) return true;
    // A router is also its subnets' anycast address (RFC 4291, 2.6.1).
    if (device.namespace.forward6 && entry.length < 128 && low == 0xff01000000) return true;
    entry = entry.next;
  }
  return false;
}

/** Label of an address (RFC 6724, section 2.1): like prefers like. */
function labelOf(at: usize): u32 {
  const first = <u32>bswap<u16>(load<u16>(at));
  if ((first & 0xfe00) == 0xfc00) return 5;
  if (first == 0x2002) return 2;
  if (first == 0x2001 && !load<u16>(at, 2)) return 6;
  if (ipv6.isLoopback(at)) return 0;
  return 1;
}

function commonBits(a: usize, b: usize): u32 {
  const high = bswap<u64>(load<u64>(a) ^ load<u64>(b));
  if (high) return <u32>clz(high);
  const low = bswap<u64>(load<u64>(a, 8) ^ load<u64>(b, 8));
  return 64 + (low ? <u32>clz(low) : 64);
}

/** Is `candidate` better than `best` for this destination (rules 1, 2, 5, 6, 8)? */
function better(candidate: InterfaceAddress, best: InterfaceAddress, destination: usize, scope: u32, out: Device): bool {
  const a = <usize>candidate.address;
  const b = <usize>best.address;
  const sameA = ipv6.sameAddress(a, destination);
  if (sameA != ipv6.sameAddress(b, destination)) return sameA;
  if (candidate.scope != best.scope) {
    // The smallest scope that reaches it; if none does, the largest.
    if (candidate.scope < best.scope) return <u32>candidate.scope >= scope;
    return <u32>best.scope < scope;
  }
  if ((candidate.device == out) != (best.device == out)) return candidate.device == out;
  const label = labelOf(destination);
  const likeA = labelOf(a) == label;
  if (likeA != (labelOf(b) == label)) return likeA;
  const bitsA = min(commonBits(a, destination), <u32>candidate.length);
  const bitsB = min(commonBits(b, destination), <u32>best.length);
  return bitsA > bitsB;
}

let best: InterfaceAddress | null = null;

function consider(device: Device, destination: usize, scope: u32, out: Device): void {
  let entry = device.addresses6;
  while (entry) {
    const known = best;
    if (!(entry.flags & (TENTATIVE | DAD_FAILED)) && (!known || better(entry, known, destination, scope, out))) best = entry;
    entry = entry.next;
  }
}

/** Number of the source for packets to the address at `destination` that leave by `out`; 0: none. */
export function chooseSource(namespace: Namespace, destination: usize, out: Device): u32 {
  const scope = scopeOf(destination);
  best = null;
  consider(out, destination, scope, out);
  const here = best;
  // Nobody else's is better than one of the right scope on the way out; a link's destination has no other.
  if (here && <u32>here.scope == scope) return here.address;
  if (scope > 2) {
    let device = namespace.devices;
    while (device) {
      if (device != out) consider(device, destination, scope, out);
      device = device.next;
    }
  }
  const chosen = best;
  return chosen ? chosen.address : 0;
}
