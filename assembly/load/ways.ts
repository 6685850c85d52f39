// What the ways of a load's packets rely on, where several engines share it: the neighbours that they are sent to, there and
// back. While all of these are known and fresh a packet changes nothing for others. Whoever finds one that is not makes it be asked for,
// and the time of that is everybody's: then all engines send it.
//
// Flows of one sender's address that arrive at the same place have one way. A packet of it now and then is a survey: it goes
// the slow way (Frame.flags: SURVEY), writes down the neighbours that it meets, and so does what answers it; once that is
// there, the way is known. It has to be found out anew when a table changes that may lead it elsewhere.

import { Frame, SURVEY, SURVEY_SHIFT } from "../frame";
import { Pool } from "../memory";
import { confirm } from "../stack/neighbour";
import { bindings } from "../stack/sockets";
import { Of, generation, linksGeneration } from "../tables/generation";
import { Index } from "../tables/hash";
import { Neighbour, Nud, neighbourChanges } from "../tables/neighbours";
import { owns } from "./shards";
import { LoadFlow, LoadSource, flowCount, flowOf } from "./flows";

/** A flow is not silent longer than this anywhere, ns: a fraction of the shortest timeout of a connection. */
const SILENCE: u64 = 4_000_000_000;
/** Neighbours on one way, there and back. Of one with more nothing is known. */
const MOST: u32 = 24;
/** What has not come back within this time, ns, does not. */
const LOST: u64 = 1_000_000_000;
/** As many may be asked about until there is room again. */
const ROOM: u32 = 256;
/** Besides twice the time that a packet takes there and back, ns. */
const MARGIN: u64 = 1_000_000;

@unmanaged
class LoadWay {
  /** Source and the sender's address; id of the namespace where it arrives. */
  keyA: u64;
  keyB: u64;
  /** Of the same load. */
  next: LoadWay | null;
  source: LoadSource;
  /** As the tables stood when it was surveyed (`generation`, `lastingLinks`). */
  generation: u32;
  links: u32;
  /** Up to this time, ns, all neighbours are fresh, as they stood at so many `neighbourChanges`. */
  until: u64;
  changes: u32;
  /** Its last survey's number and bytes, and when its packet was sent, ns; 0: none is on its way. */
  survey: u32;
  surveySize: u32;
  sent: u64;
  /** How long a packet and its answer take, ns. */
  trip: u64;
  /** Packets of so many bytes are known to arrive, and none of more than that is worth a survey: one was lost. */
  size: u32;
  most: u32;
  count: u32;
  state: u8;
}
enum Known {
  NOTHING,
  NEIGHBOURS,
  /** What becomes of a packet depends on how many others came before it, or there is more than can be kept. */
  TOO_MUCH,
}
const NEIGHBOURS = offsetof<LoadWay>();

const pool = new Pool(NEIGHBOURS + <usize>MOST * sizeof<usize>(), 64, Of.TRAFFIC);
const index = new Index(128, Of.TRAFFIC);
let first: LoadWay | null = null;
let surveys: u32 = 0;

// @ts-ignore: decorator
@inline
function neighbourOf(way: LoadWay, i: u32): Neighbour { return changetype<Neighbour>(load<usize>(changetype<usize>(way) + (<usize>i << 2), NEIGHBOURS)); }

/** Changes of links that may lead a packet elsewhere. */
// @ts-ignore: decorator
@inline
function lastingLinks(): u32 { return linksGeneration - neighbourChanges; }

/** Between frames, where engines share loads. */
export function ensureWays(): void {
  pool.ensure(ROOM);
  index.ensure(ROOM);
}

/** Another load begins. */
export function forgetWays(): void {
  for (let way = first; way; ) {
    const next = way.next;
    index.remove(changetype<usize>(way));
    pool.give(changetype<usize>(way));
    way = next;
  }
  first = null;
}

/**
 * The way of a flow that has arrived somewhere, of which nothing is known if tables have changed; null: it has not, or not as sockets
 * stand now, or there is no room for it yet.
 */
function wayOf(flow: LoadFlow): LoadWay | null {
  if (flow.bindings != bindings) return null;
  if (!flow.way) flow.way = wayFrom(flow.source, flow.address, flow.goal);
  if (!flow.way) return null;
  const way = changetype<LoadWay>(flow.way);
  const links = lastingLinks();
  if (way.generation != generation || way.links != links) {
    way.generation = generation;
    way.links = links;
    way.state = <u8>Known.NOTHING;
    way.sent = 0;
    way.most = u32.MAX_VALUE;
  }
  return way;
}

function wayFrom(source: LoadSource, address: u32, goal: u32): usize {
  const a = <u64>changetype<usize>(source) | (<u64>address << 32);
  const found = index.find(a, goal);
  if (found) return found;
  const at = pool.take(NEIGHBOURS);
  if (!at) return 0;
  const way = changetype<LoadWay>(at);
  way.keyA = a;
  way.keyB = goal;
  way.source = source;
  way.next = first;
  first = way;
  index.insert(at);
  return at;
}

/** Need only its owner, another engine, send the packet of data that the flow has for `time`? */
// @ts-ignore: decorator
@inline
export function isOthersAlone(number: u32, size: u32, time: u64): bool {
  if (owns(number)) return false;
  const flow = flowOf(number);
  return time < flow.lastSent + SILENCE && (isAsBefore(flow, size, time) || isSettled(flow, size, time));
}

/** `isSettled` where nothing has changed since another packet of that way was asked about. */
// @ts-ignore: decorator
@inline
function isAsBefore(flow: LoadFlow, size: u32, time: u64): bool {
  if (!flow.way || flow.bindings != bindings) return false;
  const way = changetype<LoadWay>(flow.way);
  if (way.generation != generation || way.links != lastingLinks() || way.changes != neighbourChanges) return false;
  return way.state == <u8>Known.NEIGHBOURS && size <= way.size && time < way.until;
}

/** Would a packet of `size` bytes that the flow sends at `time` find everything on its way, and on that of its answer, known and fresh? */
function isSettled(flow: LoadFlow, size: u32, time: u64): bool {
  const way = wayOf(flow);
  if (!way) return false;
  if (way.state != <u8>Known.NEIGHBOURS || size > way.size) return false;
  if (way.changes != neighbourChanges || time >= way.until) {
    way.changes = neighbourChanges;
    way.until = freshUntil(way);
  }
  return time < way.until;
}

function freshUntil(way: LoadWay): u64 {
  let until = u64.MAX_VALUE;
  for (let i: u32 = 0; i < way.count; i++) {
    const neighbour = neighbourOf(way, i);
    switch (<i32>neighbour.state) {
      // In DELAY it has been used already: nothing happens but by its timer.
      case Nud.PERMANENT: case Nud.DELAY: break;
      case Nud.REACHABLE: until = min(until, neighbour.confirmed + neighbour.reachable); break;
      default: return 0;
    }
  }
  const margin = 2 * way.trip + MARGIN;
  return until > margin ? until - margin : 0;
}

/** The segment of the settled flow that only its owner sends at `time` tells of progress: its sender's neighbour is confirmed. */
export function confirmUnsent(flow: LoadFlow, time: u64): void {
  const way = changetype<LoadWay | null>(flow.way);
  if (!way || !way.count) return;
  const hop = neighbourOf(way, 0);
  if (hop.device.namespace == way.source.namespace) confirm(hop, time);
}

// --- Surveys ---

/** Flags of the packet of `size` bytes that the flow sends at `time`, after `isOthersAlone`: is it a survey? */
export function surveyOf(flow: LoadFlow, size: u32, time: u64): u32 {
  const way = wayOf(flow);
  if (!way) return 0;
  if (way.sent) {
    if (time < way.sent + LOST) return 0;
    way.most = way.surveySize - 1;
    way.sent = 0;
  }
  if (size > way.most || way.state == <u8>Known.TOO_MUCH || (way.state && size <= way.size)) return 0;
  // Number 0 is none.
  way.survey = ((surveys++ % (SURVEY >>> SURVEY_SHIFT)) + 1) << SURVEY_SHIFT;
  way.state = <u8>Known.NOTHING;
  way.surveySize = size;
  way.count = 0;
  way.sent = time;
  return way.survey;
}

/** The survey's packet, or its answer, is sent to `neighbour`. */
export function reliesOn(frame: Frame, neighbour: Neighbour): void {
  const way = surveyedBy(frame);
  if (!way || way.count > MOST) return;
  if (way.count < MOST) store<usize>(changetype<usize>(way) + (<usize>way.count << 2), changetype<usize>(neighbour), NEIGHBOURS);
  way.count++;
}

/** What becomes of the packet, or of what it causes, depends on how many came before it. */
export function dependsOnOthers(frame: Frame): void {
  const way = surveyedBy(frame);
  if (way) way.count = MOST + 1;
}

/** The survey has ended where its way does. `answered`: it has found the way back, too, or there is none. */
export function surveyed(frame: Frame, answered: bool): void {
  const way = surveyedBy(frame);
  if (!way) return;
  way.trip = frame.time - way.sent;
  way.sent = 0;
  way.until = 0;
  if (way.count > MOST) way.state = <u8>Known.TOO_MUCH;
  else if (answered) {
    way.state = <u8>Known.NEIGHBOURS;
    way.size = way.surveySize;
  }
}

function surveyedBy(frame: Frame): LoadWay | null {
  if (!(frame.flags & SURVEY) || !frame.load || frame.load > flowCount) return null;
  const way = changetype<LoadWay | null>(flowOf(frame.load).way);
  return way && way.sent && way.survey == (frame.flags & SURVEY) ? way : null;
}
