/**
 * Rows over established flows:
 *
 *   mesh       an established TCP connection's data, client → node1 → tunnel
 *   mesh-back  the answers, tunnel → node1 → client
 *   …-udp      the same with datagrams
 *
 * One frame of each flow in turn, in an order that has nothing to do with their tables; between TCP's 1 % SYNs (on the way back:
 * SYN-ACKs) of new connections, and 1 % FINs. Handshakes are completed between batches.
 */

import { clientOf, type Established, flowOf, shuffled } from './flows.js';
import {
  ACK,
  advance,
  answerTo,
  control,
  controlBack,
  FIN,
  fromClient,
  HEADERS,
  SEGMENT,
  SYN,
  sound,
} from './frames.js';
import { BATCH, type Capturing } from './mesh.js';
import { Digest } from './native.js';
import { COMPARED, checkBooks, expect, type Row, toClients, tunnelled } from './row.js';

/** TCP streams move on by this from batch to batch, and begin anew before the window ends. */
const STEP = 16;
const TURNS = 1024;
/** One frame in a hundred is the first of a new connection, and one the FIN of such a one: these of each hundred. */
const OPENS = 49;
const CLOSES = 99;
const CAPTURING: Record<Capturing, string> = { off: '', memory: '-captured', file: '-captured-file' };
/** Taps of node1 that a client's packet passes: eth0 twice, docker_gwbridge, a veth pair, another, br0, vxlan0. */
const TAPS = 9;
/** nf_conntrack_tcp_timeout_fin_wait, ns. */
const FIN_WAIT = 120e9;

export async function steady(
  established: Established,
  way: 'out' | 'back',
  size: number,
  capture: Capturing = 'off',
): Promise<Row> {
  const { mesh, flows, sent, clients, closings } = established;
  const protocol = flows[0]?.protocol ?? 'tcp';
  const tcp = protocol === 'tcp';
  const back = way === 'back';
  const order = shuffled(flows.length);
  const headers = Math.min(HEADERS[way], back ? size + 50 : size);
  const ready = new Uint8Array(flows.length * headers);
  const make = (i: number): Uint8Array => {
    const flow = flows[i];
    const frame = sent[i];
    if (!flow || !frame) throw new RangeError('no such flow');
    return back ? answerTo(frame, size, ACK) : fromClient(flow, mesh.macs, size, ACK);
  };
  const sample = make(0);
  for (let i = 0; i < flows.length; i++) ready.set(make(i).subarray(0, headers), i * headers);
  const native = await established.native?.flows(size, back, STEP, order, ready);
  let at = 0;
  let turn = 0;
  let frames = 0;
  let opened = 0;
  let settled = 0;
  let closed = 0;
  /** Slots of this batch's new connections; this row's new flows, and the headers that left for each, for its answers. */
  let opening: number[] = [];
  const numbers: number[] = [];
  const left: Uint8Array[] = [];
  const fresh = (i: number) => flowOf(mesh, protocol, numbers[i] ?? 0);
  const open = (): void => {
    const number = flows.length + established.fresh++;
    numbers.push(number);
    clients.add(clientOf(flowOf(mesh, protocol, number)));
  };
  const spoiled = new Set<number>();
  const put = (i: number, frame: Uint8Array): void => {
    mesh.engine.memory.bytes.set(frame, mesh.slot(i));
    mesh.setLength(i, frame.length);
    spoiled.add(i);
  };
  /** Other rows have had the slots since. */
  const begin = (): void => {
    for (let i = 0; i < BATCH; i++) spoiled.add(i);
  };
  const stage = (): void => {
    opening = [];
    if (tcp && back) {
      const asked: Uint8Array[] = [];
      for (let n = frames; n < frames + BATCH; n++) {
        if (n % 100 !== OPENS) continue;
        open();
        asked.push(control(fresh(opened + asked.length), mesh.macs, SYN));
      }
      if (asked.length > 0) left.push(...mesh.pass(asked).map((frame) => frame.slice()));
    }
    const { bytes } = mesh.engine.memory;
    for (let i = 0; i < BATCH; i++, frames++) {
      if (tcp && frames % 100 === OPENS) {
        opening.push(i);
        if (!back) open();
        put(i, back ? controlBack(left[opened] ?? sample, SYN | ACK) : control(fresh(opened), mesh.macs, SYN));
        opened++;
        continue;
      }
      if (tcp && frames % 100 === CLOSES && closed < settled) {
        put(i, back ? controlBack(left[closed] ?? sample, FIN | ACK) : control(fresh(closed), mesh.macs, FIN | ACK));
        left[closed] = sample;
        closed++;
        closings.push(mesh.engine.exports.time());
        continue;
      }
      const slot = mesh.slot(i);
      if (spoiled.delete(i)) {
        bytes.set(sample, slot);
        mesh.setLength(i, sample.length);
      }
      const flow = order[at++] ?? 0;
      bytes.set(ready.subarray(flow * headers, flow * headers + headers), slot);
      if (tcp && turn) advance(bytes, slot + SEGMENT[way], turn * STEP);
      if (at === flows.length) {
        at = 0;
        turn = (turn + 1) % TURNS;
      }
    }
  };
  /** What left for the batch arrives, and handshakes go on. Answers what arrived, if `whole`. */
  const settle = (whole: boolean): Uint8Array[] => {
    const firsts = back ? [] : opening;
    const arrived = whole ? mesh.framesOf(mesh.drain()) : mesh.headersLeft(firsts, HEADERS.back);
    left.push(...(whole ? firsts.map((i) => (arrived[i] ?? sample).slice()) : arrived));
    if (opening.length > 0) {
      const answers = opening.map((_, i) => controlBack(left[settled + i] ?? sample, SYN | ACK));
      if (!back) mesh.pass(answers);
      mesh.pass(opening.map((_, i) => control(fresh(settled + i), mesh.macs, ACK)));
      settled += opening.length;
    }
    return arrived;
  };
  // It has; what is timed is the way of a stream.
  if (!tcp) {
    begin();
    for (let i = 0; i < flows.length; i += BATCH) {
      stage();
      mesh.receive(BATCH);
      settle(false);
    }
  }
  return {
    name: `mesh${back ? '-back' : ''}${tcp ? '' : '-udp'}${CAPTURING[capture]}`,
    flows: flows.length,
    size,
    begin,
    stage,
    batch:
      capture === 'off'
        ? () => mesh.receive(BATCH)
        : () => {
            mesh.receive(BATCH);
            mesh.collect(capture === 'file');
          },
    settle: () => void settle(false),
    native,
    verify: async (batches, before, opens) => {
      const packets = batches * BATCH;
      const after = mesh.books;
      const fresh = opened - opens;
      // Between batches: the handshakes of what was opened.
      const aside = 2 * fresh;
      const [out, into] = back ? [aside, packets] : [packets + fresh, fresh];
      checkBooks(before, after, packets + aside, { in: out, out: into, opened: fresh });
      const now = mesh.engine.exports.time();
      while ((closings[established.over] ?? now) + FIN_WAIT <= now) established.over++;
      const live = flows.length + established.fresh - established.over;
      expect(after.connections, 2 * live, 'connections, two for each whose time is not over');
      if (capture !== 'off') {
        expect(mesh.collected, packets * TAPS, 'captured frames');
        mesh.collected = 0;
      }
      await compared();
    },
    opened: () => opened,
  };

  /** A few more batches, frame by frame: sound, where they belong, and what the C reference makes of the same. */
  async function compared(): Promise<void> {
    const digests = { in: new Digest(), out: new Digest() };
    for (let batch = 0; batch < COMPARED; batch++) {
      stage();
      const { bytes } = mesh.engine.memory;
      for (let i = 0; i < BATCH; i++) digests.in.add(bytes.subarray(mesh.slot(i), mesh.slot(i) + mesh.lengthOf(i)));
      mesh.receive(BATCH);
      const arrived = settle(true);
      expect(arrived.length, BATCH, 'frames out');
      for (const frame of arrived) {
        if (!sound(frame)) throw new Error(`${way}: a frame left with a wrong checksum`);
        digests.out.addOut(frame, !back);
      }
      if (back) toClients(arrived, clients);
      else tunnelled(arrived, mesh);
    }
    if (!native) return;
    const theirs = await native.verify(COMPARED);
    expect(theirs.in, digests.in.toString(), 'frames into the C reference, and into the engine: digests');
    expect(theirs.out, digests.out.toString(), 'frames out of the C reference, and out of the engine: digests');
    expect(theirs.drops, 0, 'drops of the C reference');
  }
}
