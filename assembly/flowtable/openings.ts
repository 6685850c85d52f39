// Openings: what the first packets of connections to one place have in common. Where a flow is one connection's way once it
// is established, an opening is the way that all first packets to one destination take: the decisions on it (NAT's rules,
// the balanced service and its destination), and the track with everything else.
//
// Key: a = destination address | IPVS's destination << 32, b = destination port << 16 | protocol << 32 | encapsulated << 39 |
// device << 40. Of a balanced service there is one without a destination as well, which only names the service: whose turn it
// is comes first.

import { Pool } from "../memory";
import { Index } from "../tables/hash";
import { Of, generation } from "../tables/generation";
import { Namespace } from "../stack/namespace";
import { Destination, Service } from "../tables/services";
import { Connection, destinationOf, invertA, invertB, keyA, sourceOf } from "../tables/connections";
import { CONNECTIONS, Track, release } from "./track";

@unmanaged
export class Opening {
  keyA: u64;
  keyB: u64;
  /** As a flow's. */
  generation: u32;
  /** Look again, with the destination whose turn it is. */
  service: Service | null;
  /** Its way where the tunnel's connection is known (or there is none), and where that is new as well. */
  known: Track | null;
  fresh: Track | null;
  /** Of the frame that comes in. */
  flags: u32;
  /** Whom IPVS has sent it to, and by which of its connections: 1 + place. */
  destination: Destination | null;
  balanced: u32;
  conditions: u32;
  places: u32;
  /** Taps on the way see the packet as it is at these `Point`s of its connections, a byte each; 0: no more. */
  stages: u32;
  /** It goes into a tunnel. */
  encapsulates: u32;
  /** Packets that could not take it. */
  refused: u32;
  /** Sweeps since a packet asked for it. */
  idle: u32;
  /** `Binding`s, a connection each; then namespaces where the sender must not be local; then `Condition`s, mostly few. */
}

/**
 * What a packet looks like on its way: 1 + twice the place of a connection, before its sender is changed, and 1 more behind it. Both
 * follow from the connection.
 */
// @ts-ignore: decorator
@inline
export function pointA(connection: Connection, point: u32): u64 {
  const after = invertA(connection.replyA);
  return point & 1 ? keyA(sourceOf(connection.originalA), destinationOf(after)) : after;
}
// @ts-ignore: decorator
@inline
export function pointPorts(connection: Connection, point: u32): u32 {
  const after = <u32>invertB(connection.replyB);
  return point & 1 ? (<u32>connection.originalB & 0xffff) | (after & 0xffff0000) : after;
}

/** What NAT has decided for a connection, of one direction of manipulation. */
export enum Decided { NOTHING, AS_IT_IS, BY_RULE }
@unmanaged
export class Decision {
  rule: u32;
  address: u32;
  portMin: u16;
  portMax: u16;
}
/** Of a connection: decisions about destination and source. */
@unmanaged
export class Binding {
  namespace: Namespace;
  /** `Decided` */
  destination: u8;
  source: u8;
}
/** A rule has asked for the sender's address: (address & mask) == value, or not. */
@unmanaged
export class Condition {
  mask: u32;
  value: u32;
  holds: u32;
}
const DECISION: usize = 12;
export const BINDING: usize = 8 + 2 * DECISION;
export const CONDITIONS: u32 = 24;
export const PLACES: u32 = 4;
const BINDINGS: usize = (offsetof<Opening>() + 7) & ~7;
const PLACED: usize = BINDINGS + <usize>CONNECTIONS * BINDING;
const CONDITIONED: usize = PLACED + <usize>PLACES * 4;
export const OPENING: usize = (CONDITIONED + <usize>CONDITIONS * 12 + 15) & ~15;

// @ts-ignore: decorator
@inline
export function bindingOf(opening: Opening, i: u32): Binding { return changetype<Binding>(changetype<usize>(opening) + BINDINGS + <usize>i * BINDING); }
/** About its source, or its destination. */
// @ts-ignore: decorator
@inline
export function decisionOf(binding: Binding, source: bool): Decision {
  return changetype<Decision>(changetype<usize>(binding) + (source ? 8 + DECISION : 8));
}
// @ts-ignore: decorator
@inline
export function conditionOf(opening: Opening, i: u32): Condition { return changetype<Condition>(changetype<usize>(opening) + CONDITIONED + <usize>i * 12); }
// @ts-ignore: decorator
@inline
export function placeOf(opening: Opening, i: u32): usize { return changetype<usize>(opening) + PLACED + (<usize>i << 2); }

/** Never more: who asks for ever other destinations, a port scan for one, opens each of them once. */
const MOST: u32 = 16_384;
/** Sweeps, one a second, that one is kept without a packet. */
const KEPT: u32 = 60;

const pool = new Pool(OPENING, 64, Of.TRAFFIC);
const index = new Index(128, Of.TRAFFIC);

// @ts-ignore: decorator
@inline
export function openingKey(destination: u32, chosen: Destination | null): u64 { return <u64>destination | (<u64>changetype<usize>(chosen) << 32); }

// @ts-ignore: decorator
@inline
export function findOpening(a: u64, b: u64): Opening | null { return changetype<Opening | null>(index.find(a, b)); }

/** The opening of that key, with what `draft` holds; null when there is no room. Tracks are the caller's to count. */
export function putOpening(a: u64, b: u64, draft: Opening): Opening | null {
  let at = index.find(a, b);
  if (at) letGo(changetype<Opening>(at));
  else {
    at = pool.take(16);
    if (!at) return null;
    changetype<Opening>(at).keyA = a;
    changetype<Opening>(at).keyB = b;
    if (!index.insert(at)) {
      pool.give(at);
      return null;
    }
  }
  memory.copy(at + 16, changetype<usize>(draft) + 16, OPENING - 16);
  return changetype<Opening>(at);
}

function letGo(opening: Opening): void {
  const known = opening.known;
  const fresh = opening.fresh;
  opening.known = null;
  opening.fresh = null;
  if (known) release(known);
  if (fresh) release(fresh);
}

export function ensureOpenings(): void {
  if (index.count >= MOST) return;
  pool.ensure(64);
  index.ensure(64);
}

/** Those of tables as they were go, and those that nobody has asked for in a while. */
export function sweepOpenings(): void {
  for (let i: u32 = 0; i < index.capacity; i++) {
    let at = index.keyAt(i);
    while (at && isStale(changetype<Opening>(at))) {
      letGo(changetype<Opening>(at));
      index.remove(at);
      pool.give(at);
      at = index.keyAt(i);
    }
    if (at) changetype<Opening>(at).idle++;
  }
}

// @ts-ignore: decorator
@inline
function isStale(opening: Opening): bool { return opening.generation != generation || opening.idle > KEPT; }

export function openings(): u32 { return index.count; }
