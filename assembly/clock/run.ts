// The run loop: events in time order, a vector of frames to completion, tables topped up between vectors.

import { Frame, ensureFrames, setCurrent } from "../frame";
import { drop, Drop } from "../drops";
import { generate, lookAgain, passNow } from "../load/generator";
import { shared } from "../load/shards";
import { ensureWays } from "../load/ways";
import { Device, calm, receive, slowPackets, transmit } from "../devices/device";
import { Namespace } from "../stack/namespace";
import { Event, a, b, kind, next, now, putBack, setNow } from "./queue";
import { VECTOR, foresee, lineUp } from "../flowtable/foresee";
import { expectAnswer } from "../stack/arp";
import { expectAdvertisement } from "../stack/nd";
import { neighbourTimer } from "../stack/neighbour";
import { output } from "../stack/output";
import { output6 } from "../stack/output6";
import { startStep } from "../stack/start6";
import { reassemblyTimer } from "../stack/fragments";
import { ensureReassembly } from "../tables/reassembly";
import { runAction } from "../stack/socket-actions";
import { ensureSockets } from "../stack/sockets";
import { tcpTimer } from "../stack/tcp";
import { puntHorizon, puntsFull } from "../stack/punts";
import { cipherHorizon, ciphersFull } from "../stack/ciphers";
import { opened, seal, sealed } from "../hooks/xfrm";
import { captureFull } from "../capture/tap";
import { ensureConnections } from "../tables/connections";
import { ensureServices } from "../tables/services";
import { ensureNeighbours } from "../tables/neighbours";
import * as ethernet from "../wire/ethernet";
import { ensureAddresses } from "../tables/addresses6";
import { ensurePaths } from "../tables/paths6";
import { ensureFlows } from "../flowtable/flows";
import { ensureOpenings } from "../flowtable/openings";
import { ensurePrecedents } from "../flowtable/precedents";
import { ensureFdb } from "../tables/fdb";
import { nextSweep, sweep } from "./sweep";

export enum Stopped {
  /** Everything up to the time asked for has happened. */
  DONE,
  /** JavaScript has something to answer before time may go on. */
  PUNTS,
  /** The capture buffer wants to be drained. */
  CAPTURE,
  /** Packets are to be sealed or opened. */
  CIPHERS,
}

/** Between frames: no table may run out while one moves. */
export function ensure(): void {
  calm();
  ensureFrames();
  ensureConnections();
  ensureServices();
  ensureNeighbours();
  ensureAddresses();
  ensurePaths();
  ensureFdb();
  ensureReassembly();
  ensureSockets();
  ensureFlows();
  ensureOpenings();
  ensurePrecedents();
  if (shared) ensureWays();
}

/** After an event, and within a vector after a frame that went the slow way: slots, of which a flood takes many; the rest now and then. */
export function topUp(): void {
  ensureFrames();
  if (++since < 8) return;
  since = 0;
  ensure();
}
let since: u32 = 0;

export function runUntil(until: u64): Stopped {
  ensure();
  while (true) {
    // What JavaScript makes before it calls again is nobody's, too.
    setCurrent(0);
    if (puntsFull()) return Stopped.PUNTS;
    if (captureFull()) return Stopped.CAPTURE;
    if (ciphersFull()) return Stopped.CIPHERS;
    const ciphers = cipherHorizon();
    const horizon = min(puntHorizon(), ciphers);
    calm();
    topUp();
    if (shared) lookAgain();
    if (!next(min(until, horizon))) {
      setNow(min(until, horizon));
      if (shared) passNow();
      if (now >= nextSweep) sweep();
      if (horizon >= until) return Stopped.DONE;
      return horizon == ciphers ? Stopped.CIPHERS : Stopped.PUNTS;
    }
    if (now >= nextSweep) sweep();
    if (shared) passNow();
    switch (<i32>kind) {
      case Event.FRAMES: vector(a, b); break;
      case Event.TRANSMIT: inject(changetype<Device>(a), started(b)); break;
      case Event.OUTPUT: send(changetype<Namespace>(a), started(b)); break;
      case Event.OUTPUT6: send6(changetype<Namespace>(a), started(b)); break;
      case Event.START6: startStep(changetype<Device>(a), <u32>b); break;
      case Event.NEIGHBOUR: neighbourTimer(a, <u32>b); break;
      case Event.TCP: tcpTimer(a); break;
      case Event.REASSEMBLY: reassemblyTimer(a); break;
      case Event.ACTION: runAction(a); break;
      case Event.LOAD: generate(<u32>b); break;
      case Event.XFRM_SEAL:
      case Event.XFRM_SEALED:
      case Event.XFRM_OPENED: transformed(b); break;
      default: break;
    }
  }
}

/** A frame from outside leaves by a device. A question for a neighbour among them was that device's namespace's. */
function inject(device: Device, frame: Frame): void {
  device.pending--;
  if (!device.dead) {
    if (frame.length >= ethernet.LENGTH && ethernet.type(frame.data) == ethernet.TYPE_IPV6) expectAdvertisement(device, frame);
    else expectAnswer(device, frame);
  }
  transmit(device, frame);
}

/** A packet leaves by a socket, unless its namespace is gone by now. */
function send(namespace: Namespace, frame: Frame): void {
  namespace.pending--;
  if (namespace.dead) drop(frame, Drop.DEV_DOWN, namespace.loopback);
  else output(namespace, frame);
}

/** The same for IPv6; `frame.out` is the device that it is to leave by, or null. */
function send6(namespace: Namespace, frame: Frame): void {
  const device = frame.out;
  namespace.pending--;
  if (device) device.pending--;
  if (namespace.dead || (device != null && device.dead != 0)) drop(frame, Drop.DEV_DOWN, namespace.loopback);
  else output6(namespace, frame, device);
}

function started(at: usize): Frame {
  const frame = changetype<Frame>(at);
  frame.time = now;
  setCurrent(frame.load);
  return frame;
}

/** A vector of frames arrives. When JavaScript has something to do first, the rest waits in its place. */
function vector(device: usize, first: usize): void {
  const to = changetype<Device>(device);
  let frame = changetype<Frame | null>(first);
  if (frame && frame.next) {
    let count: u32 = 0;
    while (frame && count < VECTOR) {
      frame.hint = 0;
      lineUp(to, frame, frame.data, count++);
      frame = frame.next;
    }
    foresee(count);
    frame = changetype<Frame>(first);
  } else if (frame) frame.hint = 0;
  while (frame) {
    const following = frame.next;
    frame.next = null;
    const slow = slowPackets;
    setCurrent(frame.load);
    receive(to, frame);
    frame = following;
    if (!frame) break;
    if (waitsForMore(slow)) return putBack(changetype<usize>(frame));
  }
  to.pending--;
}

/** Between two frames of a vector, before which as many had gone the slow way: has JavaScript something to do first? */
// @ts-ignore: decorator
@inline
function waitsForMore(slow: u32): bool {
  if (slow == slowPackets && !captureFull() && !puntsFull()) return false;
  if (puntsFull() || captureFull() || ciphersFull()) return true;
  topUp();
  return false;
}

/** A vector of packets whose turn it is to be sealed, or that have been sealed or opened. */
function transformed(first: usize): void {
  let frame = changetype<Frame | null>(first);
  while (frame) {
    const following = frame.next;
    frame.next = null;
    const slow = slowPackets;
    started(changetype<usize>(frame));
    if (kind == Event.XFRM_SEAL) seal(frame);
    else if (kind == Event.XFRM_SEALED) sealed(frame);
    else opened(frame);
    frame = following;
    if (frame && waitsForMore(slow)) return putBack(changetype<usize>(frame));
  }
}
