// Physical devices on a segment: the layer-2 wire of the underlay. The segment is a learning switch (as the lab's is):
// a frame for a MAC that it knows leaves by that port alone, any other by all. Frames travel for the segment's latency,
// by way of the event queue; a seeded loss can be set, for tests of retransmission, and an access list towards each device.

import { arena } from "../memory";
import { Frame, cloneFrame } from "../frame";
import { drop, Drop } from "../drops";
import * as ethernet from "../wire/ethernet";
import { findEntry, learn } from "../tables/fdb";
import { Device, HAIRPIN, arriveAt } from "./device";
import { denies } from "./denials";
import { below } from "../random";
import { changed } from "../tables/generation";
import { dependsOnOthers } from "../load/ways";
import { endsOnSegment, forget } from "../flowtable/recorder";

@unmanaged
export class Segment {
  /** Owner id in the forwarding database; the top bit keeps it apart from devices. */
  id: u32;
  first: Device | null;
  /** ns */
  latency: u64;
  /** Frames lost out of 65536. */
  loss: u32;
}

let lastId: u32 = 0;

export function newSegment(latency: u64): Segment {
  const segment = changetype<Segment>(arena(offsetof<Segment>()));
  segment.id = 0x80000000 | ++lastId;
  segment.latency = latency;
  return segment;
}

export function plugIn(segment: Segment, device: Device): void {
  changed();
  device.segment = changetype<usize>(segment);
  if (!segment.first) segment.first = device;
  else {
    let last = segment.first!;
    while (last.segmentNext) last = last.segmentNext!;
    last.segmentNext = device;
  }
}

export function physicalTransmit(device: Device, frame: Frame): void {
  if (!device.segment) return drop(frame, Drop.NO_CARRIER, device);
  const segment = changetype<Segment>(device.segment);
  if (frame.length < ethernet.LENGTH) return drop(frame, Drop.PKT_TOO_SMALL, device);
  if (segment.loss) {
    forget(frame);
    dependsOnOthers(frame);
  }
  if (segment.loss && below(65536) < segment.loss) return drop(frame, Drop.SEGMENT_LOSS, device);
  const source = ethernet.source(frame.data);
  const destination = ethernet.destination(frame.data);
  if (!ethernet.isGroup(source)) learn(segment.id, source, device, 0, frame.time);
  if (!ethernet.isGroup(destination)) {
    const entry = findEntry(segment.id, destination, frame.time);
    if (entry && entry.port) {
      if (entry.port == device && !(device.flags & HAIRPIN)) return drop(frame, Drop.BRIDGE_SAME_PORT, device);
      if (isDenied(entry.port!, device, frame)) return;
      endsOnSegment(frame, changetype<usize>(segment), entry.port!);
      return travel(segment, entry.port!, frame);
    }
  }
  if (ethernet.isGroup(destination)) forget(frame);
  let target: Device | null = null;
  let at = segment.first;
  while (at) {
    if (at != device || device.flags & HAIRPIN) {
      if (target) {
        forget(frame);
        const copy = cloneFrame(frame);
        if (copy && !isDenied(target, device, copy)) travel(segment, target, copy);
      }
      target = at;
    }
    at = at.segmentNext;
  }
  if (!target) return drop(frame, Drop.BRIDGE_NO_EGRESS, device);
  if (isDenied(target, device, frame)) return;
  // Where there is but one other, what is flooded goes the way of what is known, until something is learned.
  endsOnSegment(frame, changetype<usize>(segment), target);
  travel(segment, target, frame);
}

/** An access list stands in the way: the frame ends here, counted at its sender. */
function isDenied(to: Device, from: Device, frame: Frame): bool {
  if (!to.denials || !denies(to, from, frame)) return false;
  forget(frame);
  drop(frame, Drop.SEGMENT_FIREWALL, from);
  return true;
}

// @ts-ignore: decorator
@inline
export function travel(segment: Segment, to: Device, frame: Frame): void {
  const time = frame.time + segment.latency;
  frame.next = null;
  frame.time = time;
  arriveAt(to, frame, time);
}

