// Floods: a bridge that does not know a MAC sends copies to all of its ports, and all but one of them end soon: another
// namespace's stack is not meant, a tunnel knows no remote, a port is down. Such a way has one output like any other; what
// became of the copies is counted with each of its packets: they are deaths of the track.
//
// While a flood is recorded, the copy in hand is the frame that is recorded, one after the other. The one that arrives is kept as
// it was then, until all have ended; where two arrive, or one ends for a reason that other packets might not meet, or
// one is part of a connection, there is no flow.

import { arena } from "../memory";
import { Frame, cloned } from "../frame";
import { Drop, dropped } from "../drops";
import { Device } from "../devices/device";
import { ownsFrame } from "../load/shards";
import { lose } from "../load/load";
import { forgo, install, isRecording, made, recordOn, trackedSoFar } from "./recorder";
import { DEATHS, HEADERS, Track, deathOf } from "./track";

/** The frame whose flood is being recorded, or 0. */
export let flooding: usize = 0;
/** All copies so far have come to an end that can be repeated. */
let whole: bool = false;
/** One has arrived: `kept`. */
let alive: bool = false;
let hops: u32 = 0;
/** Connections on the way, before the copy in hand. */
let tracked: u32 = 0;
const FIELDS: usize = offsetof<Frame>();
const kept = changetype<Frame>(arena(FIELDS + HEADERS));

// ---- recording

/** Copies of `frame` are about to be made. True: it is recorded, each of them is announced by `goes`, and `joins` is the end. */
export function floods(frame: Frame): bool {
  if (!isRecording(frame)) return false;
  forgo();
  if (flooding || frame.connection) return false;
  flooding = changetype<usize>(frame);
  whole = true;
  alive = false;
  hops = frame.hops;
  return true;
}

/** A copy, or the frame itself, is about to leave by a port; null: there was no room for it. */
export function goes(copy: Frame | null): void {
  if (!flooding) return;
  if (!whole) return forgo();
  whole = false;
  tracked = trackedSoFar();
  if (copy) recordOn(copy);
}

/** The frame is about to be dropped. */
export function dies(frame: Frame, reason: Drop, place: Device | null): void {
  if (!flooding || !isRecording(frame) || !place) return;
  // Of these nothing is sent, drawn or learned, and each rests on what a generation tells.
  if (reason != Drop.OTHERHOST && reason != Drop.VXLAN_NO_REMOTE && reason != Drop.DEV_DOWN) return;
  const n = <u32>made.deaths;
  if (n == DEATHS || frame.connection || tracked != trackedSoFar()) return;
  const death = deathOf(made, n);
  death.place = changetype<usize>(place);
  death.reason = <u16>reason;
  death.itself = changetype<usize>(frame) == flooding ? 1 : 0;
  made.deaths = <u8>(n + 1);
  made.crossings += frame.hops - hops;
  whole = true;
}

/** The frame that is recorded has come to where its way ends. */
export function arrives(frame: Frame): void {
  if (alive) return;
  alive = true;
  whole = true;
  memory.copy(changetype<usize>(kept), changetype<usize>(frame), FIELDS);
  kept.data = changetype<usize>(kept) + FIELDS;
  memory.copy(kept.data, frame.data, HEADERS);
}

/** All copies have gone their way. */
export function joins(): void {
  if (!flooding) return;
  flooding = 0;
  forgo();
  if (whole && alive) install(kept, kept.data);
}

/** Another way is recorded from now on. */
export function leaveFlood(): void { flooding = 0; }

// ---- the fast way

/** The copies of `frame`, on whose way they end. */
export function dieAll(track: Track, frame: Frame): void {
  const own = ownsFrame(frame);
  const deaths = <u32>track.deaths;
  cloned(deaths, own);
  let itself = false;
  for (let i: u32 = 0; i < deaths; i++) {
    const death = deathOf(track, i);
    if (own) dropped(<Drop>death.reason, changetype<Device>(death.place));
    if (!death.itself) continue;
    if (frame.loadKind) lose(frame, <Drop>death.reason);
    itself = true;
  }
  // It was a copy that has arrived.
  if (itself) frame.loadKind = 0;
}
