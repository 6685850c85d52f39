// Openings: what the first packets of connections to one place have in common. Where a flow is one connection's way once it
// is established, an opening is the way that all first packets to one destination take: the decisions on it (NAT's rules,
// the balanced service and its destination), and the track with everything else.
//
// Key: a = destination address | IPVS's destination << 32, b = destination port << 16 | protocol << 32 | encapsulated << 39 |
// device << 40; over IPv6 bit 63 of b is set, and addresses are numbers (tables/addresses6), here and below. Of a balanced service there is one without a destination as well, which only names the service: whose turn it
// is comes first.

import { Namespace } from "../stack/namespace";
import { Destination, Service } from "../tables/services";
import { isLocal } from "../tables/routes";
import { isLocal6, within } from "../tables/routes6";
import { Connection, destinationOf, invertA, invertB, keyA, sourceOf } from "../tables/connections";
import { Example, Examples } from "./examples";
import { CONNECTIONS } from "./track";

@unmanaged
export class Opening extends Example {
  /** Look again, with the destination whose turn it is. */
  service: Service | null;
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
/** A rule has asked for the sender's address: is it within `value` with that mask, over IPv6 a prefix length, or not? */
@unmanaged
export class Condition {
  mask: u32;
  value: u32;
  holds: u32;
}
// @ts-ignore: decorator
@inline
export function isWithin(address: u32, mask: u32, value: u32, v6: bool): bool { return v6 ? within(<usize>address, <usize>value, mask) : (address & mask) == value; }
/** Is the sender's address one of the namespace's own? */
// @ts-ignore: decorator
@inline
export function isOwn(namespace: Namespace, address: u32, v6: bool): bool { return v6 ? isLocal6(namespace, <usize>address, null) : isLocal(namespace, address); }

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

const all = new Examples(OPENING);

// @ts-ignore: decorator
@inline
export function openingKey(destination: u32, chosen: Destination | null): u64 { return <u64>destination | (<u64>changetype<usize>(chosen) << 32); }

// @ts-ignore: decorator
@inline
export function findOpening(a: u64, b: u64): Opening | null { return changetype<Opening | null>(all.find(a, b)); }

/** The opening of that key, with what `draft` holds; null when there is no room. Tracks are the caller's to count. */
export function putOpening(a: u64, b: u64, draft: Opening): Opening | null { return changetype<Opening | null>(all.put(a, b, draft)); }

export function ensureOpenings(): void { all.ensure(); }
export function sweepOpenings(): void { all.sweep(); }
export function forgetOpenings6(): void { all.forget6(); }
export function openings(): u32 { return all.count; }
