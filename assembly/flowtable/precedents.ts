// Precedents: what the packets of established connections to one responder have in common, in one direction. Where a flow
// is known by the very packets of one connection, and an opening makes connections, a precedent lets the first packet of a
// connection that is there already (a SYN-ACK, an answer, a FIN) become a flow without going the slow way.
//
// The initiator differs from connection to connection: whatever the slow way has asked of its address or port is a
// `Question`, and is asked again. The responder is the same at each point of the way.
//
// Key: a = responder's address | variant << 32, b = its port | side << 16 | protocol << 32 | encapsulated << 39 | device << 40;
// over IPv6 bit 63 of b is set, and addresses are numbers (tables/addresses6), here and below.
// Variant 0 is looked up first; if it does not suit, there may be one of IPVS's destination, or of the initiator alone.

import { generation } from "../tables/generation";
import { Namespace } from "../stack/namespace";
import { Destination } from "../tables/services";
import { lookUp, isLocal } from "../tables/routes";
import { lookUp6 } from "../tables/routes6";
import { Rule } from "../tables/rules";
import { endMatches } from "../hooks/filter";
import { endMatches6 } from "../hooks/filter6";
import { BINDING, Binding } from "./openings";
import { Example, Examples } from "./examples";
import { CONNECTIONS } from "./track";

/** Who sends the packets of a precedent. */
export enum Side { INITIATOR, RESPONDER }

@unmanaged
export class Precedent extends Example {
  /** Of the frame that comes in. */
  flags: u32;
  side: u32;
  /** IPVS's destination, and by which of the connections it is balanced: 1 + place. */
  destination: Destination | null;
  balanced: u32;
  questions: u32;
  /** Taps on the way see the packet as it is at these points, a byte each (`pointBetween`); 0: no more. */
  stages: u32;
  /** It goes into a tunnel. */
  encapsulates: u32;
  /** Packets that have been recorded because it did not suit them. */
  refused: u32;
  /** A `Leg` before each connection and one behind the last; the `Binding` of the tunnel's connection; then `Question`s. */
}

/** The packet between two connections of its way, and the one that it meets next: its namespace, what NAT does. */
@unmanaged
export class Leg {
  a: u64;
  ports: u32;
  namespace: Namespace;
  status: u32;
}

/** What the slow way has asked about the initiator as it is on a leg. */
export enum Asked {
  /** Does its part of this rule match? */
  RULE,
  /** Is this the route to it? */
  ROUTE,
  /** Is it an address of the namespace's own? (IPv6 does not ask.) */
  OWN,
  /** Is it the very same address? */
  SAME,
}
@unmanaged
export class Question {
  kind: u8;
  leg: u8;
  holds: u8;
  namespace: Namespace;
  what: usize;
}

const LEG: usize = 24;
export const QUESTION: usize = 12;
export const QUESTIONS: u32 = 32;
const LEGS: usize = (offsetof<Precedent>() + 7) & ~7;
const BOUND: usize = LEGS + <usize>(CONNECTIONS + 1) * LEG;
const ASKED: usize = BOUND + BINDING;
export const PRECEDENT: usize = (ASKED + <usize>QUESTIONS * QUESTION + 15) & ~15;

// @ts-ignore: decorator
@inline
export function legOf(precedent: Precedent, i: u32): Leg { return changetype<Leg>(changetype<usize>(precedent) + LEGS + <usize>i * LEG); }
// @ts-ignore: decorator
@inline
export function tunnelBinding(precedent: Precedent): Binding { return changetype<Binding>(changetype<usize>(precedent) + BOUND); }
// @ts-ignore: decorator
@inline
export function questionOf(precedent: Precedent, i: u32): Question { return changetype<Question>(changetype<usize>(precedent) + ASKED + <usize>i * QUESTION); }

/** Of a packet with these addresses or ports, the half that its sender's, or its receiver's, is. */
// @ts-ignore: decorator
@inline
export function addressAt(a: u64, receiver: bool): u32 { return receiver ? <u32>(a >>> 32) : <u32>a; }
// @ts-ignore: decorator
@inline
export function portAt(ports: u32, receiver: bool): u32 { return receiver ? ports >>> 16 : ports & 0xffff; }

/**
 * Points of a way: 1 + twice the place of a leg is `mixed`, between this leg and the next, where the receiver has changed and not
 * yet the sender; 2 + that is the next leg.
 */
// @ts-ignore: decorator
@inline
export function pointBetween(a: u64, next: u64, mixed: bool): u64 { return mixed ? (a & 0xffffffff) | (next & 0xffffffff00000000) : next; }
// @ts-ignore: decorator
@inline
export function portsBetween(ports: u32, next: u32, mixed: bool): u32 { return mixed ? (ports & 0xffff) | (next & 0xffff0000) : next; }

/** Is the answer for `address` and `port` (as loaded) what it was? `before` is the address that was asked about then. */
export function answersAlike(question: Question, side: u32, address: u32, port: u32, before: u32, v6: bool): bool {
  const namespace = question.namespace;
  switch (<i32>question.kind) {
    case Asked.RULE: {
      const rule = changetype<Rule>(question.what);
      const sender = side == Side.INITIATOR;
      const matches = v6 ? endMatches6(rule, namespace, <usize>address, port, sender) : endMatches(rule, namespace, address, port, sender);
      return (matches ? 1 : 0) == <u32>question.holds;
    }
    case Asked.ROUTE: return (v6 ? changetype<usize>(lookUp6(namespace, <usize>address, null)) : changetype<usize>(lookUp(namespace, address))) == question.what;
    case Asked.OWN: return (isLocal(namespace, address) ? 1 : 0) == <u32>question.holds;
    default: return address == before;
  }
}

const all = new Examples(PRECEDENT);

/** The responder has `port` (as loaded); `b` is the second half of the packet's flow key. */
// @ts-ignore: decorator
@inline
export function precedentKey(b: u64, port: u32, side: u32): u64 { return (b & 0xffffffff00000000) | <u64>(port | (side << 16)); }

/** One that still stands, or null. */
// @ts-ignore: decorator
@inline
export function findPrecedent(responder: u32, variant: u32, b: u64): Precedent | null {
  const at = all.find(<u64>responder | (<u64>variant << 32), b);
  return at && changetype<Precedent>(at).generation == generation ? changetype<Precedent>(at) : null;
}

/** The precedent of that key, with what `draft` holds. False: there is no room. Tracks are the caller's to count. */
export function putPrecedent(responder: u32, variant: u32, b: u64, draft: Precedent): bool {
  return all.put(<u64>responder | (<u64>variant << 32), b, draft) != 0;
}

export function ensurePrecedents(): void { all.ensure(); }
export function sweepPrecedents(): void { all.sweep(); }
export function forgetPrecedents6(): void { all.forget6(); }
export function precedents(): u32 { return all.count; }
