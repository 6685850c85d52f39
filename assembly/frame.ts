// A frame in its slot: what the kernel keeps in an sk_buff, then headroom, then the bytes.
//
//  slot            +256                   +256+HEADROOM                      end
//  | Frame fields  | guard? | headroom    | data ... data+length | tailroom  |
//
// Headers are pushed into the headroom and pulled off again by moving `data`; payload bytes are never moved.
// Three sizes: a short slot holds most frames, a small slot any frame of an MTU up to 1550; a large one a whole IPv4 datagram (loopback, reassembly).

import { Pool } from "./memory";
import { forget } from "./flowtable/recorder";
import { Device } from "./devices/device";
import { CONFIRMED, Connection } from "./tables/connections";
import { account } from "./drops";
import { owns } from "./load/shards";
import { Association } from "./tables/xfrm";
import { Of } from "./tables/generation";

export const META: usize = 256;
export const HEADROOM: usize = 128;
const GUARD: usize = isDefined(CHECKED) ? 64 : 0;
const POISON: u8 = 0xa5;
export const SMALL: usize = 2048;
export const LARGE: usize = 66560;
/** Most frames are short, and a vector of them should not be spread over more pages than a processor's TLB remembers. */
export const SHORT: usize = 832;
const SHORT_FRAME: usize = 192;
/** Slots of 2048 bytes would all meet in the same few sets of a cache. */
const SPREAD: usize = 64;
const smallPool = new Pool(SMALL + SPREAD + 2 * GUARD, 1024, Of.TRAFFIC);
const shortPool = new Pool(SHORT + 2 * GUARD, 1024, Of.TRAFFIC);
const largePool = new Pool(LARGE + 2 * GUARD, 8, Of.TRAFFIC);

// Frame.flags
/** IPVS has handled it: further IPVS hooks leave it alone (skb->ipvs_property). */
export const IPVS_PROPERTY: u32 = 1;
/** br_netfilter has run PREROUTING for it: the IP layer must not again (ip_sabotage_in). */
export const PREROUTED: u32 = 2;
/** Made by this namespace's own stack. */
export const LOCAL: u32 = 4;
/** The socket's random transmit hash is in `hash`. */
export const SOCKET_HASH: u32 = 8;
/** Its Ethernet destination was a group: what it carries is answered by nobody (not PACKET_HOST). */
export const GROUP: u32 = 64;
/** The neighbour that it goes to is known to be there: its peer has acknowledged something (sk_dst_confirm). */
export const CONFIRM: u32 = 128;
/** It has come out of ESP (skb->sp): `-m policy --pol ipsec`. */
export const SECPATH: u32 = 256;
/** It has been through its outbound policy (IPSKB_XFRM_TRANSFORMED). */
export const TRANSFORMED: u32 = 512;
/** IPv6: a tunnel has made it, which leaves no fragments to its sender (skb->ignore_df is 0). */
export const WHOLE: u32 = 1024;

/** A bridge's DNAT gave it another MAC than the bridge's own: to the bridge's stack it is still addressed (PACKET_HOST). */
export const BRIDGED_DNAT: u32 = 1 << 20;
/** It goes through the neighbour's output to get its new MAC, and is bridged on from there (nf_bridge->bridged_dnat). */
export const BRIDGED_OUTPUT: u32 = 1 << 21;
/** A load's packet finds out what its way relies on; in these bits the number of that survey (assembly/load/ways). No fast way for it. */
export const SURVEY_SHIFT: u32 = 22;
export const SURVEY: u32 = 0xffffffff << SURVEY_SHIFT;

/** How a packet stands to its connection (enum ip_conntrack_info). */
export const CT_ESTABLISHED: u8 = 0;
export const CT_RELATED: u8 = 1;
export const CT_NEW: u8 = 2;
export const CT_REPLY: u8 = 3; // added to the first two for the reply direction
export const CT_UNTRACKED: u8 = 7;
/** Seen by conntrack and refused: no connection, ctstate INVALID. */
export const CT_INVALID: u8 = 6;

/** Where a hop has changed the frame since its last tap; see capture/trace. */
export const NOTES: u32 = 5;

@unmanaged
export class Frame {
  next: Frame | null;
  /** First byte: the Ethernet header on a device, the IP header inside the stack. */
  data: usize;
  length: u32;
  /** Bytes that the slot may hold end here. */
  end: usize;
  /** Virtual time, ns; runs ahead of the queue's by the hops taken. */
  time: u64;
  /** The device that it is on; inside the stack the one that it came in by. */
  device: Device | null;
  /** Bridge port that it came in by, and the MAC that it came from, for br_netfilter. */
  port: Device | null;
  portSource: u64;
  out: Device | null;
  connection: Connection | null;
  mark: u32;
  hash: u32;
  flags: u32;
  nextHop: u32;
  /** Largest fragment of the datagram that conntrack put together, or 0 (IPCB(skb)->frag_max_size). */
  fragmentMax: u32;
  /** DF was set on such a fragment. */
  fragmentDf: u8;
  connectionInfo: u8;
  slot: u8;
  noteCount: u8;
  hops: u32;
  /** Counts frames as they are made; a clone has its own. */
  id: u32;
  /** The flow that was foreseen for it, one with nobody's key, or 0: while its vector goes through, which gives back no flow. */
  hint: usize;
  /** Of all its bytes, as they were copied in (skb->csum, CHECKSUM_COMPLETE): for the device that they arrive at; or 0. */
  sum: u32;
  /** Routing's verdict: 1 unicast, 2 local, 3 broadcast. */
  routeType: u8;
  /** It has been sealed, or opened: the ICV was right (stack/ciphers). */
  ciphered: u8;
  /** Of a packet that waits for its cipher. */
  association: Association | null;
  /** IPv6: the protocol behind the extension headers, and where it begins, from the IPv6 header on. */
  upper: u8;
  upperAt: u16;
  /** A load's frame: LoadKind. */
  loadKind: u8;
  /** The load's flow that it was made for, or because of; 0: none (assembly/load). */
  load: u32;
  /** A frame that waits on its way over a bridge: the connection that it had (tables/connections: letGo), and its stamp. */
  letGo: Connection | null;
  stamp: u32;
}

/** The load's flow whose frame is being handled: what is made meanwhile is made because of it. */
export let current: u32 = 0;
// @ts-ignore: decorator
@inline
export function setCurrent(flow: u32): void { current = flow; }

// Frame.slot
enum Slot { SHORT, SMALL, LARGE }

// @ts-ignore: decorator
@inline
function sizeOf(kind: u32): usize { return kind == Slot.SHORT ? SHORT : kind == Slot.SMALL ? SMALL : LARGE; }
/** Where its slot ends, whatever `end` says. */
export function slotEnd(frame: Frame): usize { return changetype<usize>(frame) + sizeOf(frame.slot); }

let lastId: u32 = 0;

/** A slot for a frame of `length` bytes with headroom before it, or null when there is no memory. */
export function takeFrame(length: u32): Frame | null {
  const frame = slotFor(length);
  if (frame) madeFrames(1);
  return frame;
}

/** The same, not counted yet (`madeFrames`), where a call for each would cost. */
// @ts-ignore: decorator
@inline
export function takeOfMany(length: u32): Frame | null {
  return <usize>length <= SHORT_FRAME ? laidOut(shortPool.lift(), Slot.SHORT, length) : slotFor(length);
}
// @ts-ignore: decorator
@inline
export function madeFrames(count: u32): void { if (owns(current)) account.made += count; }

function slotFor(length: u32): Frame | null {
  if (<usize>length <= SHORT_FRAME) return laidOut(shortPool.lift(), Slot.SHORT, length);
  if (<usize>length <= SMALL - META - HEADROOM) return laidOut(smallPool.lift(), Slot.SMALL, length);
  if (<usize>length <= LARGE - META - HEADROOM) return laidOut(largePool.lift(), Slot.LARGE, length);
  return null;
}

/** An empty frame in the slot at `at`, if there was one. */
// @ts-ignore: decorator
@inline
function laidOut(at: usize, kind: Slot, length: u32): Frame | null {
  if (!at) return null;
  const size = sizeOf(kind);
  if (GUARD) {
    memory.fill(at, POISON, GUARD);
    memory.fill(at + GUARD + size, POISON, GUARD);
    at += GUARD;
  }
  const zero = i64x2.splat(0);
  v128.store(at, zero);
  v128.store(at, zero, 16);
  v128.store(at, zero, 32);
  v128.store(at, zero, 48);
  v128.store(at, zero, 64);
  v128.store(at, zero, 80);
  v128.store(at, zero, 96);
  v128.store(at, zero, 112);
  const frame = changetype<Frame>(at);
  frame.data = at + META + HEADROOM;
  frame.length = length;
  frame.end = at + size;
  frame.slot = <u8>kind;
  frame.id = ++lastId;
  frame.load = current;
  return frame;
}

/** The slot goes back; the caller has counted the frame as delivered or dropped. */
export function freeFrame(frame: Frame): void {
  forget(frame);
  const at = changetype<usize>(frame) - GUARD;
  if (GUARD) {
    const size = sizeOf(frame.slot);
    for (let i: usize = 0; i < GUARD; i++) {
      assert(load<u8>(at + i) == POISON && load<u8>(at + GUARD + size + i) == POISON, "a write outside a slot");
    }
    assert(frame.data >= changetype<usize>(frame) + META && frame.data + frame.length <= frame.end, "data outside the slot");
  }
  if (frame.slot == Slot.SHORT) shortPool.give(at);
  else if (frame.slot == Slot.SMALL) smallPool.give(at);
  else largePool.give(at);
}

/** A copy with its own slot: flooding needs one, and nothing else. Connection and mark go along. */
export function cloneFrame(frame: Frame): Frame | null {
  const copy = takeFrame(frame.length);
  if (!copy) return null;
  const id = copy.id;
  const end = copy.end;
  const slot = copy.slot;
  const data = copy.data;
  memory.copy(changetype<usize>(copy), changetype<usize>(frame), META);
  copy.id = id;
  copy.end = end;
  copy.slot = slot;
  copy.data = data;
  copy.next = null;
  // One of them is the load's packet; the other is not lost where it ends.
  copy.loadKind = 0;
  memory.copy(data, frame.data, frame.length);
  // Two frames carry the connection now; whoever ends first must not take it from the other.
  const connection = copy.connection;
  if (connection && !(connection.status & CONFIRMED)) connection.frames++;
  if (owns(copy.load)) account.cloned++;
  return copy;
}

/** `count` copies that need no slot, since nobody will see them: as if they had been made. */
export function cloned(count: u32, own: bool): void {
  lastId += count;
  if (owns(current)) account.made += count;
  if (own) account.cloned += count;
}

/** The same frame in a larger slot, with `tail` bytes behind its data; its own slot goes back. Null: no memory. */
export function copyToLarger(frame: Frame, tail: u32): Frame | null {
  const larger = takeFrame(max<u32>(frame.length + tail, <u32>(SMALL - META - HEADROOM) + 1));
  if (!larger) return null;
  account.generated++;
  const id = larger.id;
  const end = larger.end;
  const slot = larger.slot;
  const data = larger.data;
  memory.copy(changetype<usize>(larger), changetype<usize>(frame), META);
  larger.end = end;
  larger.slot = slot;
  larger.data = data;
  larger.id = id;
  memory.copy(data, frame.data, frame.length);
  if (owns(frame.load)) account.delivered++;
  freeFrame(frame);
  return larger;
}

/** Between vectors: enough slots for the next one. */
export function ensureFrames(): void {
  shortPool.ensure(1024);
  smallPool.ensure(1024);
  largePool.ensure(8);
}

export function framesInFlight(): u32 { return shortPool.used + smallPool.used + largePool.used; }

/** Room before `data` for `bytes` more? */
// @ts-ignore: decorator
@inline
export function push(frame: Frame, bytes: u32): usize {
  frame.data -= bytes;
  frame.length += bytes;
  return frame.data;
}

// @ts-ignore: decorator
@inline
export function pull(frame: Frame, bytes: u32): usize {
  frame.data += bytes;
  frame.length -= bytes;
  return frame.data;
}

/** At least `bytes` of headroom, if need be by moving the data within its slot. False: the slot is too small. */
export function expandHeadroom(frame: Frame, bytes: u32): bool {
  const room = headroom(frame);
  if (room >= <usize>bytes) return true;
  const at = changetype<usize>(frame) + META + max(<usize>bytes, HEADROOM);
  if (at + frame.length > frame.end) return false;
  memory.copy(at, frame.data, frame.length);
  frame.data = at;
  return true;
}

// @ts-ignore: decorator
@inline
export function headroom(frame: Frame): usize {
  return frame.data - changetype<usize>(frame) - META;
}
