/**
 * What is measured: for each row a flow set, the frames that stand ready for each flow, and what must be true afterwards.
 *
 *   mesh       an established TCP connection's data, client → node1 → tunnel
 *   mesh-back  the answers, tunnel → node1 → client
 *   mesh-syn   every frame a new connection
 *   …-udp      the same with datagrams
 */

import {
  ACK,
  advance,
  answerTo,
  control,
  controlBack,
  FIN,
  type Flow,
  fromClient,
  HEADERS,
  insideOf,
  SEGMENT,
  SYN,
  sound,
} from './frames.js';
import { Random } from './fuzz/random.js';
import { addressNumber, get16, get32 } from './headers.js';
import { BATCH, type Books, type Capturing, liveConnections, type Mesh, PUBLISHED } from './mesh.js';
import { Digest, type Native } from './native.js';

export interface Row {
  name: string;
  flows: number;
  size: number;
  /** Untimed, before each batch. */
  stage(): void;
  /** What is timed. */
  batch(): void;
  /** Untimed, after each batch. */
  settle(): void;
  /** Throws when anything is not as it should be after so many batches; `opened`: connections opened before them. */
  verify(batches: number, before: Books, opened: number): Promise<void>;
  /** New connections so far. */
  opened(): number;
  /** The C reference that does the same work. */
  native: Native | undefined;
}

/** 198.18.0.0/15 is for benchmarks (RFC 2544); clients there are behind node1's gateway. */
const CLIENTS = addressNumber('198.18.0.1');
/** Prime, and not a multiple of the number of tasks: one task never sees a port twice within 100 000 flows. */
const PORTS = 63_997;
/** TCP streams move on by this from batch to batch, and begin anew before the window ends. */
const STEP = 16;
const TURNS = 1024;

export function flowOf(mesh: Mesh, protocol: Flow['protocol'], i: number): Flow {
  return {
    protocol,
    source: CLIENTS + (i % 100_003),
    sport: 1024 + (i % PORTS),
    destination: addressNumber(mesh.address),
    dport: PUBLISHED,
  };
}

/** Flows that are established, and the frames that left for them, by flow. */
export interface Established {
  mesh: Mesh;
  flows: Flow[];
  sent: Uint8Array[];
}

/** Every frame goes to the C reference, too, whose frames must be the same. */
export async function establish(
  mesh: Mesh,
  protocol: Flow['protocol'],
  count: number,
  native: Native | undefined,
): Promise<Established> {
  const flows = Array.from({ length: count }, (_, i) => flowOf(mesh, protocol, i));
  const sent: Uint8Array[] = [];
  const tcp = protocol === 'tcp';
  const pass = async (frames: readonly Uint8Array[], back: boolean): Promise<Uint8Array[]> => {
    const left = mesh.pass(frames);
    if (!native) return left;
    const digest = new Digest();
    for (const frame of left) digest.addOut(frame, !back);
    expect(await native.pass(frames, back), digest.toString(), `frames ${back ? 'back' : 'out'} of the C reference`);
    return left;
  };
  for (let from = 0; from < count; from += BATCH) {
    const some = flows.slice(from, from + BATCH);
    const first = await pass(
      some.map((flow) => (tcp ? control(flow, mesh.macs, SYN) : fromClient(flow, mesh.macs, 64, 0))),
      false,
    );
    expect(first.length, some.length, 'first frames out');
    const answers = await pass(
      first.map((frame) => (tcp ? controlBack(frame, SYN | ACK) : answerTo(frame, 64, 0))),
      true,
    );
    expect(answers.length, some.length, 'answers out');
    toClients(answers, some);
    const next = await pass(
      some.map((flow) => (tcp ? control(flow, mesh.macs, ACK) : fromClient(flow, mesh.macs, 64, 0))),
      false,
    );
    expect(next.length, some.length, 'second frames out');
    if (tcp) {
      const acknowledged = await pass(
        next.map((frame) => controlBack(frame, ACK)),
        true,
      );
      expect(acknowledged.length, some.length, 'acknowledgments out');
    }
    sent.push(...next.map((frame) => frame.slice(0, HEADERS.back)));
  }
  return { mesh, flows, sent };
}

/** One frame in a hundred is the first of a new connection, and one the FIN of such a one: these of each hundred. */
const OPENS = 49;
const CLOSES = 99;

/**
 * Data of established flows, one frame of each flow in turn, in an order that has nothing to do with their tables; between
 * them 1 % SYNs (on the way back: SYN-ACKs) of new connections, and 1 % FINs. Handshakes are completed between batches.
 */
export async function steady(
  { mesh, flows, sent }: Established,
  way: 'out' | 'back',
  size: number,
  native: Native | undefined,
  capture: Capturing = 'off',
): Promise<Row> {
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
  await native?.flows(size, back, STEP, order, ready);
  let at = 0;
  let turn = 0;
  let frames = 0;
  let opened = 0;
  let settled = 0;
  let closed = 0;
  /** When each FIN came, and how many of those connections are over since. */
  const closings: number[] = [];
  let over = 0;
  /** Slots of this batch's new connections, and the headers that left for each, for its answers. */
  let opening: number[] = [];
  const left: Uint8Array[] = [];
  const fresh = (i: number): Flow => flowOf(mesh, protocol, flows.length + i);
  const spoiled = new Set<number>(Array.from({ length: BATCH }, (_, i) => i));
  const put = (i: number, frame: Uint8Array): void => {
    mesh.engine.memory.bytes.set(frame, mesh.slot(i));
    mesh.setLength(i, frame.length);
    spoiled.add(i);
  };
  const stage = (): void => {
    opening = [];
    if (tcp && back) {
      const asked: Uint8Array[] = [];
      for (let n = frames; n < frames + BATCH; n++)
        if (n % 100 === OPENS) asked.push(control(fresh(opened + asked.length), mesh.macs, SYN));
      if (asked.length > 0) left.push(...mesh.pass(asked).map((frame) => frame.slice()));
    }
    const { bytes } = mesh.engine.memory;
    for (let i = 0; i < BATCH; i++, frames++) {
      if (tcp && frames % 100 === OPENS) {
        opening.push(i);
        put(i, back ? controlBack(left[opened] ?? sample, SYN | ACK) : control(fresh(opened), mesh.macs, SYN));
        opened++;
        continue;
      }
      if (tcp && frames % 100 === CLOSES && closed < settled) {
        put(i, back ? controlBack(left[closed] ?? sample, FIN | ACK) : control(fresh(closed), mesh.macs, FIN | ACK));
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
  /** What left for the batch arrives, and handshakes go on. */
  const settle = (): Uint8Array[] => {
    const captured = mesh.drain();
    let arrived: Uint8Array[] = [];
    if (opening.length > 0) {
      arrived = mesh.framesOf(captured);
      if (!back) left.push(...opening.map((i) => (arrived[i] ?? sample).slice()));
      const answers = opening.map((_, i) => controlBack(left[settled + i] ?? sample, SYN | ACK));
      if (!back) mesh.pass(answers);
      mesh.pass(opening.map((_, i) => control(fresh(settled + i), mesh.macs, ACK)));
      settled += opening.length;
    }
    return arrived.length > 0 ? arrived : mesh.framesOf(captured);
  };
  return {
    name: `mesh${back ? '-back' : ''}${tcp ? '' : '-udp'}${CAPTURING[capture]}`,
    flows: flows.length,
    size,
    stage,
    batch:
      capture === 'off'
        ? () => mesh.receive(BATCH)
        : () => {
            mesh.receive(BATCH);
            mesh.collect();
          },
    settle: () => void settle(),
    native: capture === 'off' ? native : undefined,
    verify: async (batches, before, opens) => {
      const packets = batches * BATCH;
      const after = mesh.books;
      const fresh = opened - opens;
      // Between batches: the handshakes of what was opened.
      const aside = 2 * fresh;
      const [out, into] = back ? [aside, packets] : [packets + fresh, fresh];
      checkBooks(before, after, packets + aside, { in: out, out: into, opened: fresh });
      const now = mesh.engine.exports.time();
      while ((closings[over] ?? now) + FIN_WAIT <= now) over++;
      expect(after.connections, 2 * (flows.length + opened - over), 'connections, two for each whose time is not over');
      if (capture !== 'off') {
        expect(mesh.collected, packets * TAPS, 'captured frames');
        mesh.collected = 0;
      }
      await compared(stage, settle);
    },
    opened: () => opened,
  };

  /** A few more batches, frame by frame: sound, where they belong, and what the C reference makes of the same. */
  async function compared(fill: () => void, rest: () => Uint8Array[]): Promise<void> {
    const digests = { in: new Digest(), out: new Digest() };
    for (let batch = 0; batch < COMPARED; batch++) {
      fill();
      const { bytes } = mesh.engine.memory;
      for (let i = 0; i < BATCH; i++) digests.in.add(bytes.subarray(mesh.slot(i), mesh.slot(i) + mesh.lengthOf(i)));
      mesh.receive(BATCH);
      const arrived = rest();
      expect(arrived.length, BATCH, 'frames out');
      for (const frame of arrived) {
        if (!sound(frame)) throw new Error(`${way}: a frame left with a wrong checksum`);
        digests.out.addOut(frame, !back);
      }
      if (back) toClients(arrived, [...flows, ...Array.from({ length: opened }, (_, i) => fresh(i))]);
      else tunnelled(arrived, mesh);
    }
    if (!native) return;
    const theirs = await native.verify(COMPARED);
    expect(theirs.in, digests.in.toString(), 'frames into the C reference, and into the engine: digests');
    expect(theirs.out, digests.out.toString(), 'frames out of the C reference, and out of the engine: digests');
    expect(theirs.drops, 0, 'drops of the C reference');
  }
}
const COMPARED = 4;
/** nf_conntrack_tcp_timeout_fin_wait, ns. */
const FIN_WAIT = 120e9;
const CAPTURING: Record<Capturing, string> = { off: '', memory: '-captured', file: '-captured-file' };
/** Taps of node1 that a client's packet passes: eth0 twice, docker_gwbridge, a veth pair, another, br0, vxlan0. */
const TAPS = 9;

/** Every frame opens a connection. At `flows` of them the clock jumps, and they are over. */
export function opening(mesh: Mesh, flows: number): Row {
  const size = 64;
  let next = 0;
  let open = 0;
  let last = 0;
  const fill = (): void => {
    const { bytes } = mesh.engine.memory;
    for (let i = 0; i < BATCH; i++) {
      bytes.set(control(flowOf(mesh, 'tcp', next++), mesh.macs, SYN), mesh.slot(i));
      mesh.setLength(i, HEADERS.out);
    }
    last = next;
  };
  // The engine sweeps when something happens: with the next batch.
  const over = (): void => {
    const { exports } = mesh.engine;
    exports.run(exports.time() + 200e9);
    mesh.learn();
    open = 0;
  };
  return {
    name: 'mesh-syn',
    flows,
    size,
    batch: () => mesh.receive(BATCH),
    stage: () => {
      if (open && open + BATCH > flows) over();
      fill();
      open += BATCH;
    },
    settle: () => {
      mesh.drain();
      if (open === BATCH) expect(liveConnections(mesh.engine), 2 * BATCH, 'connections after the time of all others');
    },
    native: undefined,
    opened: () => next,
    verify: async (batches, before) => {
      const packets = batches * BATCH;
      const after = mesh.books;
      checkBooks(before, after, packets, { in: packets, out: 0, opened: packets });
      expect(after.connections, 2 * open, 'connections, two a flow');
      fill();
      const { bytes } = mesh.engine.memory;
      const left = mesh.pass(
        Array.from({ length: BATCH }, (_, i) => bytes.slice(mesh.slot(i), mesh.slot(i) + HEADERS.out)),
      );
      expect(left.length, BATCH, `frames out for connections up to ${last}`);
      for (const frame of left) if (!sound(frame)) throw new Error('a frame left with a wrong checksum');
      tunnelled(left, mesh);
      open += BATCH;
    },
  };
}

function checkBooks(
  before: Books,
  after: Books,
  packets: number,
  balanced: { in: number; out: number; opened: number },
): void {
  const grown = (name: keyof Books) => after[name] - before[name];
  expect(grown('injected'), packets, 'frames in');
  expect(grown('received'), packets, 'frames at eth0');
  expect(grown('transmitted'), packets, 'frames out of eth0');
  expect(grown('arrived'), packets, 'frames at the sinks');
  expect(grown('dropped'), packets, 'frames that ended');
  expect(grown('generated'), 0, 'frames that nobody sent');
  expect(grown('searches'), 0, 'searches for a port');
  expect(grown('balancedIn'), balanced.in, 'IPVS packets in');
  expect(grown('balancedOut'), balanced.out, 'IPVS packets out');
  expect(grown('balancedConnections'), balanced.opened, 'connections that IPVS has balanced');
  expect(after.inFlight, 0, 'frames in flight');
}

function tunnelled(frames: readonly Uint8Array[], mesh: Mesh): void {
  const tasks = new Set(mesh.tasks.map(({ address }) => addressNumber(address)));
  const vni = mesh.realized.topology.networks.find(({ ingress }) => ingress)?.vni;
  for (const frame of frames) {
    const inside = insideOf(frame);
    if (get16(frame, 36) !== 4789 || inside.vni !== vni || !tasks.has(inside.task) || inside.dport !== PUBLISHED)
      throw new Error(`a frame left for ${inside.task}:${inside.dport} in VNI ${inside.vni}`);
  }
}

function toClients(frames: readonly Uint8Array[], flows: readonly Flow[]): void {
  const known = new Set(flows.map(({ source, sport }) => source * 65536 + sport));
  for (const frame of frames) {
    if (get16(frame, 34) !== PUBLISHED || !known.has(get32(frame, 30) * 65536 + get16(frame, 36)))
      throw new Error('an answer left for no client of ours');
  }
}

export function expect<T>(found: T, wanted: T, what: string): void {
  if (found !== wanted) throw new Error(`${what}: ${found}, not ${wanted}`);
}

export function shuffled(count: number): Uint32Array {
  const random = new Random(1);
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const kept = order[i] ?? 0;
    order[i] = order[j] ?? 0;
    order[j] = kept;
  }
  return order;
}
