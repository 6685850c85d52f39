// Prefetch by loading: before a vector of frames goes through the flow table one by one, the lines that it will need are
// asked for all together, table by table, so that their ways from memory overlap. Nothing is decided here and nothing
// changes; a guess that is wrong costs a load.

import { Frame } from "../frame";
import { Device } from "../devices/device";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import * as udp from "../wire/udp";
import * as vxlan from "../wire/vxlan";
import { hash, likelyAt, tagOf } from "../tables/hash";
import { Flow, flowSlot } from "./flows";

/** Frames looked at together. */
export const VECTOR: u32 = 32;
const slots: usize = memory.data(128);
const tags: usize = memory.data(128);
/** So that no compiler takes the loads for useless. */
let sink: u32 = 0;

/** `count` frames at `frames`, an array of addresses, are about to come in by `device`. */
export function foresee(device: Device, frames: usize, count: u32): void {
  if (count < 4) return;
  const wire = <u64>device.id << 40;
  const end = frames + (<usize>count << 2);
  const offset = slots - frames;
  let seen: u32 = 0;
  for (let at = frames; at < end; at += 4) {
    const frame = changetype<Frame>(load<usize>(at));
    let ip = frame.data + ethernet.LENGTH;
    let protocol = ipv4.protocol(ip);
    if (protocol == ipv4.UDP && load<u32>(ip, ipv4.LENGTH + udp.LENGTH) == 0x08) {
      ip += ipv4.LENGTH + udp.LENGTH + vxlan.LENGTH + ethernet.LENGTH;
      protocol = ipv4.protocol(ip) | 0x80;
    }
    const key = hash(load<u64>(ip, 12), <u64>load<u32>(ip, ipv4.LENGTH) | (<u64>protocol << 32) | wire);
    store<usize>(at + offset, flowSlot(key));
    store<u32>(at + offset + (tags - slots), tagOf(key));
  }
  const last = slots + (<usize>count << 2);
  for (let at = slots; at < last; at += 4) seen |= load<u32>(load<usize>(at)) | load<u32>(load<usize>(at), 16);
  for (let at = slots; at < last; at += 4) {
    const flow = likelyAt(load<usize>(at), load<u32>(at + (tags - slots)));
    store<usize>(at, flow);
    changetype<Frame>(load<usize>(at - offset)).hint = flow;
    seen |= load<u32>(flow);
  }
  for (let at = slots; at < last; at += 4) {
    const flow = load<usize>(at);
    const lead = load<usize>(flow, offsetof<Flow>("lead"));
    seen |= load<u32>(lead, 32) | load<u32>(lead, 64) | load<u32>(load<usize>(flow, offsetof<Flow>("outer")), 32);
  }
  sink = seen;
}
