// Packets that a namespace's own stack makes, and how they get out at their own times.

import { Frame, LOCAL, takeFrame } from "../frame";
import { account } from "../drops";
import { Event, now, schedule } from "../clock/queue";
import { Device } from "../devices/device";
import { Namespace } from "./namespace";

/** A frame that this namespace's stack makes, for `length` bytes from the IP header on; counted. Null: no slot is free. */
export function newPacket(length: u32, time: u64): Frame | null {
  const frame = takeFrame(length);
  if (!frame) return null;
  account.generated++;
  frame.flags = LOCAL;
  frame.time = time;
  return frame;
}

/** Puts the packet out at its own time, by an event. */
export function outputLater(namespace: Namespace, frame: Frame): void {
  namespace.pending++;
  schedule(max(frame.time, now), Event.OUTPUT, changetype<usize>(namespace), changetype<usize>(frame));
}

/** The same for an IPv6 packet; `device`: where it is to leave, if its destination needs one. */
export function outputLater6(namespace: Namespace, frame: Frame, device: Device | null): void {
  frame.out = device;
  namespace.pending++;
  if (device) device.pending++;
  schedule(max(frame.time, now), Event.OUTPUT6, changetype<usize>(namespace), changetype<usize>(frame));
}
