// A load that several engines share, each with the flows that are its own. All of them make the same topology and send whatever
// decides something for others: the packets that open and close, the first of each flow, the first of all (which find the
// neighbours), and one now and then, so that nothing times out. So what is drawn and chosen, the next destination of a
// virtual service or a port, is the same everywhere. But only its owner captures a flow's frames and counts them; the
// first engine has all that is no flow's.

import { Frame } from "../frame";

/** Everything is sent by all for so long, ns. */
const TOGETHER: u64 = 20_000_000;
/** A flow is not silent longer than this anywhere, ns: a fraction of the shortest timeout of a connection. */
const SILENCE: u64 = 4_000_000_000;

let shard: u32 = 0;
let shards: u32 = 1;

/** This engine is number `index` of `count`. */
export function setShard(index: u32, count: u32): void {
  shard = index;
  shards = max<u32>(count, 1);
}

/** Is a flow (0: none) this engine's to capture and count? */
// @ts-ignore: decorator
@inline
export function owns(flow: u32): bool { return shards == 1 || (flow ? (flow - 1) % shards == shard : shard == 0); }

// @ts-ignore: decorator
@inline
export function ownsFrame(frame: Frame): bool { return shards == 1 || owns(frame.load); }

/** Is a packet of data sent here at `time`? `last`: when the flow sent before, here; `start`: when data began. */
export function sendsHere(flow: u32, time: u64, last: u64, start: u64): bool {
  return owns(flow) || !last || time < start + TOGETHER || time >= last + SILENCE;
}
