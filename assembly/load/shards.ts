// A load that several engines share, each with the flows that are its own. All of them make the same topology and send whatever
// decides something for others: packets that open and close, the first of each flow, one now and then, so that nothing times
// out, and whatever a neighbour is asked for by (ways). So what is drawn and chosen, the next destination of a virtual service
// or a port, is the same everywhere. But only its owner captures a flow's frames and counts them; the first engine has all
// that is no flow's.

import { Frame } from "../frame";

let shard: u32 = 0;
let shards: u32 = 1;
/** There are several engines. */
export let shared: bool = false;

/** This engine is number `index` of `count`. */
export function setShard(index: u32, count: u32): void {
  shard = index;
  shards = max<u32>(count, 1);
  shared = shards > 1;
}

/** Is a flow (0: none) this engine's to capture and count? */
// @ts-ignore: decorator
@inline
export function owns(flow: u32): bool { return shards == 1 || (flow ? (flow - 1) % shards == shard : shard == 0); }

// @ts-ignore: decorator
@inline
export function ownsFrame(frame: Frame): bool { return shards == 1 || owns(frame.load); }
