// Packets of a load, each at its time. TCP: all connections open, at the load's own rate; when all have been answered, data;
// then all close. UDP: data alone. Nothing is sent again: what is lost is lost, and counted.
//
// constant: packets at even distances, flows in turn. Poisson: distances drawn from an exponential distribution, each packet
// of a flow drawn evenly, so that every flow is a Poisson process of its own.

import { arena } from "../memory";
import { setCurrent } from "../frame";
import { keyedHash } from "../random";
import { Event, now, schedule } from "../clock/queue";
import * as ipv4 from "../wire/ipv4";
import * as tcp from "../wire/tcp";
import { FlowState, LoadFlow, flowCount, flowOf, mssOf, placeFlows, releaseSources } from "./flows";
import { LoadKind, LoadPhase, books, clearBooks } from "./load";
import { asSender, atLeast, dataOf, sendDatagram, sendSegment, sendSyn, sizeOf, synSize } from "./packets";
import { bindings } from "../stack/sockets";
import { generation, linksGeneration } from "../tables/generation";
import { owns, shared } from "./shards";
import { confirmUnsent, forgetWays, isOthersAlone, surveyOf } from "./ways";
import { acknowledges } from "./receiver";

/** A SYN that is not answered within this time, ns, is sent again, so often. */
const PATIENCE: u64 = 1_000_000_000;
const RETRIES: u32 = 3;
/** What is still on its way after the last packet arrives within this time, ns. */
const GRACE: u64 = 1_000_000_000;
const SECOND: f64 = 1e9;

let rate: f64 = 1;
/** From packet to packet where `rate` is one of packets, ns. */
let evenly: f64 = 1;
let bits: bool = false;
let poisson: bool = false;
/** Every packet of data is answered by one of the same size. */
export let answering: bool = false;

/** Sizes of frames, u32 each, and how many of all have that size or one before it. */
const MOST_SIZES: u32 = 64;
const sizes: usize = arena(MOST_SIZES << 3);
let sizeCount: u32 = 0;
let weights: u32 = 0;

/** Of the random numbers that a load draws: no other's depend on how many that are. */
let state: u64 = 0;
/** Events of a phase that is over do nothing. */
let serial: u32 = 0;
/** The flow that comes next, opening, closing or in turn. */
let turn: u32 = 0;
/** When the next packet is due, ns. */
let due: f64 = 0;
let number: u32 = 0;
let retries: u32 = 0;
let drawnFlow: u32 = 0;
let drawnSize: u32 = 0;

/** A new load: `perSecond` packets, or bits of frames; sizes and sources follow, then `startLoad`. */
export function newLoad(protocol: u32, packets: f64, perSecond: f64, inBits: bool, random: bool, answered: bool): void {
  clearBooks();
  releaseSources();
  forgetWays();
  sizeCount = 0;
  weights = 0;
  books.protocol = protocol;
  books.left = <u64>packets;
  rate = perSecond;
  evenly = SECOND / rate;
  bits = inBits;
  poisson = random;
  answering = answered;
}

/** `weight` of all frames have `size` bytes. False: there are too many sizes. */
export function addLoadSize(size: u32, weight: u32): bool {
  if (sizeCount == MOST_SIZES) return false;
  weights += weight;
  const at = sizes + (<usize>sizeCount << 3);
  sizeCount++;
  store<u32>(at, size);
  store<u32>(at, weights, 4);
  return true;
}

/** Begins at `time` with `flows` flows. How many of them found an address and port; the load is under way if all have. */
export function startLoad(flows: u32, time: f64): u32 {
  const placed = placeFlows(books.protocol, flows);
  if (placed < flows || !flows) return placed;
  state = (<u64>keyedHash(flows, books.left) << 32) | keyedHash(books.left, flows);
  due = time;
  turn = 0;
  number = 0;
  retries = 0;
  if (books.protocol == ipv4.TCP) {
    for (let i: u32 = 1; i <= flows; i++) begin(flowOf(i), i);
    enter(LoadPhase.OPENING);
    schedule(<u64>due, Event.LOAD, 0, serial);
  } else {
    for (let i: u32 = 1; i <= flows; i++) {
      begin(flowOf(i), i);
      flowOf(i).state = <u8>FlowState.OPEN;
    }
    data(<u64>due);
  }
  return placed;
}

function begin(flow: LoadFlow, i: u32): void {
  flow.sendNext = keyedHash(i, 1);
  flow.answerNext = keyedHash(i, 2);
  flow.hash = keyedHash(i, 3) | 1;
  flow.ipId = <u16>keyedHash(i, 4);
  flow.answerId = <u16>keyedHash(i, 5);
  flow.mss = <u16>mssOf(flow.source.mtu, flow.source.v6);
}

/** It is over, whatever is still on its way: nobody counts it. */
export function endLoad(): void {
  forgetUnsent();
  enter(LoadPhase.NONE);
  releaseSources();
}

function enter(phase: LoadPhase): void {
  books.phase = phase;
  serial++;
}

/** For the run loop: `Event.LOAD`. */
export function generate(event: u32): void {
  if (event != serial) return;
  switch (<i32>books.phase) {
    case LoadPhase.OPENING: return open();
    case LoadPhase.WAITING: return giveUp();
    case LoadPhase.DATA: return sendDrawn();
    case LoadPhase.CLOSING: return close();
    case LoadPhase.SETTLING: return enter(LoadPhase.DONE);
    default: return;
  }
}

// --- Connections ---

function open(): void {
  let flow = flowOf(++turn);
  while (turn < flowCount && flow.state > <u8>FlowState.OPENING) flow = flowOf(++turn);
  if (flow.state <= <u8>FlowState.OPENING) {
    setCurrent(turn);
    if (flow.state == <u8>FlowState.IDLE) flow.sendNext++;
    flow.state = <u8>FlowState.OPENING;
    asSender(flow, false);
    if (flow.source.namespace.dead || !sendSyn(flow.sendNext - 1, 0, now)) answered(flow, FlowState.REFUSED, now);
  }
  if (turn < flowCount) return next(synSize(flow.source.v6));
  if (books.phase != LoadPhase.OPENING) return;
  enter(LoadPhase.WAITING);
  schedule(now + PATIENCE, Event.LOAD, 0, serial);
  whenAnswered(now);
}

/** The receiver has said yes or no. */
export function answered(flow: LoadFlow, state: FlowState, time: u64): void {
  if (flow.state != <u8>FlowState.OPENING) return;
  flow.state = <u8>state;
  if (state == FlowState.OPEN) books.opened++;
  else books.refused++;
  whenAnswered(time);
}

function whenAnswered(time: u64): void {
  if (books.phase == LoadPhase.WAITING && books.opened + books.refused == flowCount) data(max(time, now) + 1000);
}

/** Again those that nobody has answered; in the end without them. */
function giveUp(): void {
  if (retries < RETRIES) {
    retries++;
    turn = 0;
    due = <f64>now;
    enter(LoadPhase.OPENING);
    return open();
  }
  books.unanswered = flowCount - books.opened - books.refused;
  // An answer that comes yet is too late.
  for (let i: u32 = 1; i <= flowCount; i++) if (flowOf(i).state == <u8>FlowState.OPENING) flowOf(i).state = <u8>FlowState.REFUSED;
  data(now);
}

function close(): void {
  let flow = flowOf(++turn);
  while (turn < flowCount && flow.state != <u8>FlowState.OPEN) flow = flowOf(++turn);
  if (flow.state == <u8>FlowState.OPEN && !flow.source.namespace.dead) {
    setCurrent(turn);
    flow.state = <u8>FlowState.CLOSING;
    asSender(flow, false);
    const sequence = flow.sendNext++;
    sendSegment(sequence, flow.receiveNext, tcp.FIN | tcp.ACK, 0, 0, LoadKind.OTHER, false, now);
  }
  if (turn < flowCount) return next(synSize(flow.source.v6));
  settle(now);
}

// --- Data ---

function data(time: u64): void {
  enter(LoadPhase.DATA);
  turn = 0;
  due = <f64>time;
  undrawn = books.left;
  together = untilTogether();
  isMarked = shared && poisson && books.protocol == ipv4.UDP;
  if (isMarked) markLast();
  draw();
}

/** Goes on to the next packet that is sent here, and has it sent in time. */
function draw(): void {
  drawnAt(generation, linksGeneration, bindings);
  while (undrawn) {
    const before = state;
    const beforeTurn = turn;
    const flow = drawFlow();
    if (!flow) break;
    const size = atLeast(books.protocol, drawSize(), flowOf(flow).source.v6);
    undrawn--;
    number++;
    const time = <u64>due;
    const beforeDue = due;
    due += distance(size) * (poisson ? exponential() : 1);
    if (unsent < MOST_UNSENT && isOthers(flow, size, time)) {
      keepUnsent(flow, time, before, beforeTurn, beforeDue);
      continue;
    }
    drawnFlow = flow;
    drawnSize = size;
    return schedule(time, Event.LOAD, 0, serial);
  }
  // The last one is known everywhere, whoever sends it.
  const end = max(now, <u64>due);
  if (books.protocol == ipv4.TCP && books.opened) {
    enter(LoadPhase.CLOSING);
    turn = 0;
    due = <f64>end;
    return schedule(end, Event.LOAD, 0, serial);
  }
  settle(end);
}

function sendDrawn(): void {
  const i = drawnFlow;
  const flow = flowOf(i);
  if (isOthers(i, drawnSize, now)) passOne(i, now);
  else {
    books.left--;
    setCurrent(i);
    if (!flow.source.namespace.dead) transmit(flow, owns(i));
    flow.lastSent = now;
  }
  draw();
}

function transmit(flow: LoadFlow, own: bool): void {
  const protocol = books.protocol;
  const v6 = flow.source.v6;
  let length = dataOf(protocol, drawnSize, v6);
  if (protocol == ipv4.TCP && length > <u32>flow.mss) {
    length = flow.mss;
    if (own) books.cut++;
  }
  if (own) {
    if (!books.sent) books.firstSent = now;
    books.sent++;
    books.sentBytes += sizeOf(protocol, length, v6);
  }
  asSender(flow, false, own ? 0 : surveyOf(flow, drawnSize, now));
  if (protocol == ipv4.UDP) {
    sendDatagram(length, number, LoadKind.DATA, now);
    return;
  }
  const sequence = flow.sendNext;
  const confirm = flow.confirm != 0;
  flow.confirm = 0;
  flow.sendNext += length;
  sendSegment(sequence, flow.receiveNext, tcp.PSH | tcp.ACK, length, number, LoadKind.DATA, confirm, now);
}

/** A flow that may send, in turn or drawn; 0: there is none. */
// @ts-ignore: decorator
@inline
function drawFlow(): u32 {
  let i = poisson ? <u32>(uniform() * <f64>flowCount) + 1 : turn + 1;
  if (i > flowCount) i = 1;
  if (flowOf(i).state != <u8>FlowState.OPEN) return openFrom(i);
  turn = i;
  return i;
}

function openFrom(i: u32): u32 {
  for (let tries: u32 = 0; tries < flowCount; tries++, i++) {
    if (i > flowCount) i = 1;
    if (flowOf(i).state != <u8>FlowState.OPEN) continue;
    turn = i;
    return i;
  }
  return 0;
}

// @ts-ignore: decorator
@inline
function drawSize(): u32 { return sizeCount == 1 ? load<u32>(sizes) : drawSizeOfMany(); }

function drawSizeOfMany(): u32 {
  const drawn = <u32>(uniform() * <f64>weights);
  let at = sizes;
  while (load<u32>(at, 4) <= drawn) at += 8;
  return load<u32>(at);
}

function settle(end: u64): void {
  enter(LoadPhase.SETTLING);
  schedule(end + GRACE, Event.LOAD, 0, serial);
}

// --- Packets of other engines' flows, which these alone send (shards) ---
//
// They are drawn like all others, up to the next one that is sent here. What was decided about those that are still to come is
// taken back when a table changes meanwhile.

@unmanaged
class Unsent {
  time: u64;
  /** As it stood before it was drawn. */
  state: u64;
  due: f64;
  turn: u32;
  flow: u32;
}
const MOST_UNSENT: u32 = 64;
const unsents: usize = arena(<usize>MOST_UNSENT * offsetof<Unsent>());
let unsent: u32 = 0;
/** So many of these have been sent by now. */
let passed: u32 = 0;
/** When the next one of them is sent, ns. */
let nextUnsent: u64 = u64.MAX_VALUE;
/** Packets that nobody has drawn. */
let undrawn: u64 = 0;
/** All engines send the last so many packets of the load. */
let together: u64 = 0;
const ROUNDS: u32 = 4;
/** Datagrams at random times: each flow's last one is known (`markLast`). A flow that has none in so many rounds before the end there is not. */
let isMarked: bool = false;
const MARKED_ROUNDS: u32 = 24;
/** Of a flow that sends at random times so seldom, ns, it may take longer to the next packet than a connection of UDP's is kept. */
const SPARSE: f64 = 1e9;

/** As the tables stood when the next packets were drawn. */
let drawnGeneration: u32 = 0;
let drawnLinks: u32 = 0;
let drawnBindings: u32 = 0;

// @ts-ignore: decorator
@inline
function unsentAt(i: u32): Unsent { return changetype<Unsent>(unsents + <usize>i * offsetof<Unsent>()); }

/** How many in the end all engines send, so that what lasts for some time after a flow's last packet lasts as long everywhere. */
function untilTogether(): u64 {
  if (isSparse()) return u64.MAX_VALUE;
  const last = max<u64>(min<u64>(<u64>flowCount * ROUNDS, undrawn >>> 5), 1);
  return poisson ? last : max<u64>(last, flowCount);
}

/** Draws the end of the load in advance: of the draws before, each adds the same to `state`. */
function markLast(): void {
  const before = state;
  const few = min<u64>(undrawn, <u64>flowCount * MARKED_ROUNDS);
  state += (undrawn - few) * (sizeCount == 1 ? 2 : 3) * GAMMA;
  for (let i = undrawn - few + 1; i <= undrawn; i++) {
    flowOf(drawFlow()).receiveNext = <u32>i;
    drawSize();
    uniform();
  }
  state = before;
}

function isSparse(): bool {
  if (!poisson || books.protocol == ipv4.TCP) return false;
  let bytes: f64 = 0;
  let before: u32 = 0;
  for (let i: u32 = 0; i < sizeCount; i++) {
    const upTo = load<u32>(sizes + (<usize>i << 3), 4);
    bytes += <f64>load<u32>(sizes + (<usize>i << 3)) * <f64>(upTo - before);
    before = upTo;
  }
  return <f64>flowCount * distance(<u32>(bytes / <f64>weights)) > SPARSE;
}

// @ts-ignore: decorator
@inline
function isOthers(flow: u32, size: u32, time: u64): bool {
  if (!shared || undrawn < together || (isMarked && flowOf(flow).receiveNext == number)) return false;
  return isOthersAlone(flow, size, time);
}

function drawnAt(generation: u32, links: u32, sockets: u32): void {
  drawnGeneration = generation;
  drawnLinks = links;
  drawnBindings = sockets;
}

function keepUnsent(flow: u32, time: u64, before: u64, beforeTurn: u32, beforeDue: f64): void {
  if (!unsent) nextUnsent = time;
  const one = unsentAt(unsent++);
  one.time = time;
  one.flow = flow;
  one.state = before;
  one.turn = beforeTurn;
  one.due = beforeDue;
}

/** Those up to `time` have been sent, by their owners. */
function passOver(time: u64): void {
  let i = passed;
  for (; i < unsent && unsentAt(i).time <= time; i++) passOne(unsentAt(i).flow, unsentAt(i).time);
  passed = i;
  if (passed < unsent) nextUnsent = unsentAt(passed).time;
  else forgetUnsent();
}

function forgetUnsent(): void {
  passed = 0;
  unsent = 0;
  nextUnsent = u64.MAX_VALUE;
}

/** What it has left behind at both ends, as if it had passed here. */
// @ts-ignore: decorator
@inline
function passOne(i: u32, time: u64): void {
  books.left--;
  if (books.protocol != ipv4.TCP) return;
  const flow = flowOf(i);
  if (flow.confirm) confirmUnsent(flow, time);
  // Its acknowledgment comes before the next packet, or so: what it confirms stays so for many seconds.
  flow.confirm = acknowledges(flow) ? 1 : 0;
}

/** For the run loop, where several engines share the load: packets up to now have passed. */
// @ts-ignore: decorator
@inline
export function passNow(): void {
  if (now >= nextUnsent) passOver(now);
}

/** Before the next event comes up: have tables changed since packets to come were left to their owners? */
// @ts-ignore: decorator
@inline
export function lookAgain(): void {
  if (unsent && (drawnGeneration != generation || drawnLinks != linksGeneration || drawnBindings != bindings)) drawAgain();
}

function drawAgain(): void {
  const first = unsentAt(passed);
  // Those after it, and the one that is drawn.
  const undone = unsent - passed + 1;
  undrawn += undone;
  number -= undone;
  state = first.state;
  turn = first.turn;
  due = first.due;
  forgetUnsent();
  serial++;
  draw();
}

// --- Time and chance ---

/** From a packet of `size` bytes to the one after it, ns. */
// @ts-ignore: decorator
@inline
function distance(size: u32): f64 { return bits ? (<f64>(size << 3) * SECOND) / rate : evenly; }

function next(size: u32): void {
  due += distance(size);
  schedule(max(now, <u64>due), Event.LOAD, 0, serial);
}

const GAMMA: u64 = 0x9e3779b97f4a7c15;
/** 0 ≤ … < 1, 53 bits (splitmix64). */
function uniform(): f64 {
  state += GAMMA;
  let z = state;
  z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >>> 27)) * 0x94d049bb133111eb;
  z ^= z >>> 31;
  return <f64>(z >>> 11) * (1.0 / 9007199254740992.0);
}

/** With mean 1. */
function exponential(): f64 { return -Math.log(1 - uniform()); }
