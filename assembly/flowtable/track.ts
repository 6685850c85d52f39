// A track: everything about a way through a node that its flows have in common. Which header comes in and which goes
// out, how long it takes, whose counters it moves, which entries it keeps alive. All flows to one destination share one.
//
// What a track's flows have passed is counted here, and settled into the rules, chains, devices and services that the way
// crosses when somebody reads them (or changes what the way rests on).

import { Pool, arena } from "../memory";
import { Of } from "../tables/generation";
import { hash } from "../tables/hash";

@unmanaged
export class Track {
  /** Same hash. */
  next: Track | null;
  /** Flows that use it. */
  flows: u32;
  /** The forwarding databases and neighbours are as they were. */
  links: u32;
  /** Something is counted that is not settled. */
  dirty: u32;
  nextDirty: Track | null;
  hash: u32;
  packets: u64;
  /** Total lengths of the innermost IP packets. */
  bytes: u64;
  /** Before this time, as a frame comes in, no entry that the way rests on ages. */
  until: u64;
  /** A frame from before that may have to wait for what a neighbour has said meanwhile. */
  since: u64;
  /** What a packet touches has been touched by one that came at this time, or later: ages never go back. */
  touched: u64;

  // From here on: what makes it the track that it is; `same` compares it.
  /** Comes in encapsulated; goes out as `Way`. */
  ingress: u8;
  way: u8;
  ttl: u8;
  connections: u8;
  touches: u8;
  counters: u8;
  sights: u8;
  deaths: u8;
  /** LOCAL: was it for everybody, and how the packet stands to its connection. */
  broadcast: u8;
  info: u8;
  /** Of the first connection inside. */
  reply: u8;
  /** Connections of the tunnel; if it is one: was it answered, and when it is met. */
  outers: u8;
  outerSeen: u8;
  outerAfter: u32;
  /** Largest total length that fits everywhere. */
  limit: u32;
  /** The bridge's port; SEAL: the next hop. */
  port: u32;
  out: u32;
  routeType: u32;
  flags: u32;
  mark: u32;
  /** Devices that send it, or a copy of it. */
  crossings: u32;
  elapsed: u64;
  /** Addresses of the Ethernet header that comes in. */
  inLow: u64;
  inHigh: u64;
  /** The complement of what the headers before the innermost IP header add up to, an outer IP header (0) and UDP header left out. */
  inSum: u32;
  /** Encapsulated: the sum of VXLAN's header and the inner Ethernet header. */
  insideSum: u32;
  /** Encapsulated: addresses, the two fixed words of UDP port and VXLAN, Ethernet addresses inside. */
  inOuter: u64;
  inVxlan: u64;
  inPort: u32;
  insideLow: u64;
  insideHigh: u64;
  /** Ethernet addresses that go out, the inner ones where there are two. */
  outLow: u64;
  outHigh: u64;
  /** The outer headers with zeroes where each packet differs, and what sums of them are needed. */
  template: u64; template1: u64; template2: u64; template3: u64; template4: u64; template5: u64; template6: u64;
  ipSum: u32;
  udpSum: u32;
  /** Bucket of outer IP ids. */
  ids: usize;
  /** Segment and device, namespace and device, or association and device. */
  target: usize;
  device: usize;
  /** Balanced: is it the answer, and when. */
  balanced: u32;
  balancedAt: u32;
  /** `Step`s of connections, then `Touch`es; then `Counter`s, `Sight`s and `Death`s. */
}

/** Bytes of a frame that recording keeps. */
export const HEADERS: u32 = 192;
/**
 * How a recorded way ends: on a segment, as it is or in a tunnel's packet; in a tunnel's packet that waits to be sealed; behind INPUT; as
 * an ESP packet that waits to be opened.
 */
export enum Way { NONE, SEGMENT, TUNNEL, SEAL, LOCAL, OPEN }
/** Does it go into a tunnel? */
// @ts-ignore: decorator
@inline
export function encapsulates(track: Track): bool { return (track.way & 2) != 0; }

const CONTENT: usize = offsetof<Track>("ingress");
export const CONNECTIONS: u32 = 4;
export const TOUCHES: u32 = 16;
export const COUNTERS: u32 = 120;
/** A connection on the way: time from arrival, direction, whether it was answered, whether it is the outer packet's. */
@unmanaged
export class Step {
  after: u32;
  reply: u8;
  seen: u8;
  outer: u8;
}
/** A time that is set, unless it is later already, of an entry learned anew or a neighbour used: where it stands, and time from arrival. In twos. */
@unmanaged
export class Touch {
  at: usize;
  after: u32;
}
/** Packets and bytes, u64 each, at `at`; bytes are the innermost packet's and `more`. */
@unmanaged
export class Counter {
  at: usize;
  more: i32;
}
/** What a tap on the way sees (flowtable/sights): the Ethernet addresses there, hops to live less, addresses and ports. */
@unmanaged
export class Sight {
  low: u64;
  high: u32;
  tap: u32;
  /** Time from arrival. */
  after: u32;
  look: u8;
  stage: u8;
  ttl: u8;
  received: u8;
}
export const SIGHTS: u32 = 32;
/** A copy of a flood ends on the way (flowtable/floods): at which device, why, and was it the frame `itself` that the copies were made of. */
@unmanaged
export class Death {
  place: usize;
  reason: u16;
  itself: u16;
}
export const DEATHS: u32 = 16;
const STEPS: usize = (offsetof<Track>() + 7) & ~7;
const TOUCHED: usize = STEPS + CONNECTIONS * 8;
const COUNTED: usize = TOUCHED + TOUCHES * 8;
const SEEN: usize = COUNTED + COUNTERS * 8;
const DEAD: usize = SEEN + SIGHTS * 24;
export const TRACK: usize = DEAD + DEATHS * 8;

// @ts-ignore: decorator
@inline
export function stepOf(track: Track, i: u32): Step { return changetype<Step>(changetype<usize>(track) + STEPS + (<usize>i << 3)); }
// @ts-ignore: decorator
@inline
export function touchOf(track: Track, i: u32): Touch { return changetype<Touch>(changetype<usize>(track) + TOUCHED + (<usize>i << 3)); }
/** Where a touch goes that only fills up two. */
export const nowhere: usize = memory.data(8);

/** What a packet that came at `time` touches, unless one has that came no earlier. */
// @ts-ignore: decorator
@inline
export function touchAll(track: Track, time: u64): void {
  if (time <= track.touched) return;
  track.touched = time;
  const end = changetype<usize>(touchOf(track, track.touches));
  for (let at = changetype<usize>(touchOf(track, 0)); at < end; at += 16) {
    touch(at, time);
    touch(at + 8, time);
  }
}
// @ts-ignore: decorator
@inline
function touch(at: usize, time: u64): void {
  const then = time + <u64>load<u32>(at, offsetof<Touch>("after"));
  const what = load<usize>(at);
  if (load<u64>(what) < then) store<u64>(what, then);
}
// @ts-ignore: decorator
@inline
export function counterOf(track: Track, i: u32): Counter { return changetype<Counter>(changetype<usize>(track) + COUNTED + (<usize>i << 3)); }

// @ts-ignore: decorator
@inline
export function sightOf(track: Track, i: u32): Sight { return changetype<Sight>(changetype<usize>(track) + SEEN + <usize>i * 24); }

// @ts-ignore: decorator
@inline
export function deathOf(track: Track, i: u32): Death { return changetype<Death>(changetype<usize>(track) + DEAD + (<usize>i << 3)); }

const pool = new Pool(TRACK, 32, Of.TRAFFIC);
const BUCKETS: u32 = 4096;
const buckets = arena(BUCKETS * sizeof<usize>());
let firstDirty: Track | null = null;
let settled: u64 = 0;

export function ensureTracks(): void { pool.ensure(16); }

const FACTOR: u64 = 0x9e3779b97f4a7c15;
/** Of its content but for a rest of less than 32 bytes, in four parts side by side: each product waits for the one before it. */
function hashOf(made: Track): u32 {
  const end = changetype<usize>(made) + TRACK - 32;
  let a: u64 = 0;
  let b: u64 = 0;
  let c: u64 = 0;
  let d: u64 = 0;
  for (let at = changetype<usize>(made) + CONTENT; at <= end; at += 32) {
    a = (a ^ load<u64>(at)) * FACTOR;
    b = (b ^ load<u64>(at, 8)) * FACTOR;
    c = (c ^ load<u64>(at, 16)) * FACTOR;
    d = (d ^ load<u64>(at, 24)) * FACTOR;
  }
  return <u32>hash(a ^ rotl<u64>(b, 32), c ^ rotl<u64>(d, 32));
}

/** The track with the content of `made`, which may be that very one; null when there is no room. One flow more uses it. */
export function intern(made: Track): Track | null {
  const hash = hashOf(made);
  const bucket = buckets + <usize>((hash ^ (hash >>> 16)) & (BUCKETS - 1)) * sizeof<usize>();
  let track = changetype<Track | null>(load<usize>(bucket));
  while (track) {
    if (track.hash == hash && memory.compare(changetype<usize>(track) + CONTENT, changetype<usize>(made) + CONTENT, TRACK - CONTENT) == 0) {
      track.flows++;
      return track;
    }
    track = track.next;
  }
  const at = pool.take(0);
  if (!at) return null;
  memory.copy(at + CONTENT, changetype<usize>(made) + CONTENT, TRACK - CONTENT);
  const fresh = changetype<Track>(at);
  fresh.hash = hash;
  fresh.next = changetype<Track | null>(load<usize>(bucket));
  fresh.flows = 1;
  fresh.dirty = 0;
  fresh.packets = 0;
  fresh.bytes = 0;
  store<usize>(bucket, at);
  return fresh;
}

/** One more uses it. */
export function hold(track: Track): void { track.flows++; }

/** One flow less; the last one's counts are settled. */
export function release(track: Track): void {
  if (--track.flows) return;
  if (track.dirty) settle();
  const bucket = buckets + <usize>((track.hash ^ (track.hash >>> 16)) & (BUCKETS - 1)) * sizeof<usize>();
  if (load<usize>(bucket) == changetype<usize>(track)) store<usize>(bucket, changetype<usize>(track.next));
  else {
    let at = changetype<Track>(load<usize>(bucket));
    while (at.next != track) at = at.next!;
    at.next = track.next;
  }
  pool.give(changetype<usize>(track));
}

// @ts-ignore: decorator
@inline
export function count(track: Track, length: u32): void {
  track.packets++;
  track.bytes += length;
  if (track.dirty) return;
  track.dirty = 1;
  track.nextDirty = firstDirty;
  firstDirty = track;
}

/** What the tracks have counted goes to where it belongs. */
export function settle(): void {
  let track = firstDirty;
  firstDirty = null;
  while (track) {
    const packets = track.packets;
    const bytes = track.bytes;
    for (let i: u32 = 0; i < <u32>track.counters; i++) {
      const counter = counterOf(track, i);
      store<u64>(counter.at, load<u64>(counter.at) + packets);
      store<u64>(counter.at, load<u64>(counter.at, 8) + bytes + <u64>(<i64>packets * <i64>counter.more), 8);
    }
    settled += packets;
    track.packets = 0;
    track.bytes = 0;
    track.dirty = 0;
    const next = track.nextDirty;
    track.nextDirty = null;
    track = next;
  }
}

/** Packets that have gone the fast way; for reports. */
export function fastPackets(): f64 {
  settle();
  return <f64>settled;
}
