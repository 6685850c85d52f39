// A load: so many packets, of given sizes, at a given rate, over so many flows. What is asked for, and what came of it.
//
//  generator   packets as time comes for them: connections open, data, connections close
//  receiver    what arrives, at either end, and what it is answered with
//  packets     the packets themselves
//  flows       who sends to whom

import { arena, reserve } from "../memory";
import { Frame } from "../frame";
import { Drop } from "../drops";
import { Namespace } from "../stack/namespace";
import { ownsFrame } from "./shards";

export enum LoadPhase { NONE, OPENING, WAITING, DATA, CLOSING, SETTLING, DONE }

@unmanaged
export class Load {
  /** Packets of data, and bytes of their frames (Ethernet header included): sent, arrived at their goal, and the answers' at the sender. */
  sent: u64;
  sentBytes: u64;
  received: u64;
  receivedBytes: u64;
  answered: u64;
  answeredBytes: u64;
  /** ns; of data. */
  firstSent: u64;
  lastReceived: u64;
  /** Packets that are still to be sent. */
  left: u64;
  phase: u32;
  protocol: u32;
  /** TCP: connections; UDP: flows that have sent. */
  opened: u32;
  refused: u32;
  unanswered: u32;
  /** Segments that were made shorter, since the receiver's MSS allows no longer ones. */
  cut: u32;
}
export const books: Load = changetype<Load>(arena(offsetof<Load>()));
/** Why packets of data ended on their way, u32 a drop reason. */
export const losses: usize = arena(<usize>Drop.REASONS << 2);

/** A namespace where packets of the load arrive. */
@unmanaged
export class LoadReceiver {
  next: LoadReceiver | null;
  /** Its id. */
  namespace: u32;
  flows: u32;
  packets: u64;
  bytes: u64;
}
const MOST_RECEIVERS: u32 = 16384;
const receivers: usize = reserve(<usize>MOST_RECEIVERS * offsetof<LoadReceiver>());
let receiverCount: u32 = 0;
let first: LoadReceiver | null = null;

export function clearBooks(): void {
  memory.fill(changetype<usize>(books), 0, offsetof<Load>());
  memory.fill(losses, 0, <usize>Drop.REASONS << 2);
  receiverCount = 0;
  first = null;
  epoch++;
}
/** Namespaces remember their receiver of this load alone. */
let epoch: u32 = 0;

export function receiverOf(namespace: Namespace): LoadReceiver | null {
  if (namespace.loadEpoch == epoch) return namespace.receiver;
  if (receiverCount == MOST_RECEIVERS) return null;
  const receiver = changetype<LoadReceiver>(receivers + <usize>receiverCount * offsetof<LoadReceiver>());
  receiverCount++;
  memory.fill(changetype<usize>(receiver), 0, offsetof<LoadReceiver>());
  receiver.namespace = namespace.id;
  receiver.next = first;
  first = receiver;
  namespace.receiver = receiver;
  namespace.loadEpoch = epoch;
  return receiver;
}

/** Frame.loadKind: what a frame is to the load that it belongs to. */
export enum LoadKind { OTHER, DATA, ANSWER }

/** A frame of the load was dropped on its way. */
export function lose(frame: Frame, reason: Drop): void {
  if (frame.loadKind != <u8>LoadKind.DATA || !ownsFrame(frame)) return;
  const at = losses + (<usize>reason << 2);
  store<u32>(at, load<u32>(at) + 1);
}

// --- For JavaScript ---

export function loadAt(): usize { return changetype<usize>(books); }
export function lossesAt(): usize { return losses; }
export function firstReceiver(): usize { return changetype<usize>(first); }
