/**
 * What is measured: for each row a flow set, the frames that stand ready for each flow, and what must be true afterwards.
 *
 *   mesh       an established TCP connection's data, client → node1 → tunnel
 *   mesh-back  the answers, tunnel → node1 → client
 *   mesh-syn   every frame a new connection
 *   …-udp      the same with datagrams
 */

import { ACK, advance, answerTo, type Flow, fromClient, HEADERS, insideOf, SEGMENT, SYN, sound } from './frames.js';
import { Random } from './fuzz/random.js';
import { addressNumber, get16, get32 } from './headers.js';
import { BATCH, type Books, type Mesh, PUBLISHED } from './mesh.js';

export interface Row {
  name: string;
  flows: number;
  size: number;
  /** Untimed, before each batch. */
  stage(): void;
  /** Untimed, after each batch. */
  settle(): void;
  /** Throws when anything is not as it should be after so many batches. */
  verify(batches: number, before: Books): void;
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

export function establish(mesh: Mesh, protocol: Flow['protocol'], count: number): Established {
  const flows = Array.from({ length: count }, (_, i) => flowOf(mesh, protocol, i));
  const sent: Uint8Array[] = [];
  const tcp = protocol === 'tcp';
  for (let from = 0; from < count; from += BATCH) {
    const some = flows.slice(from, from + BATCH);
    const first = mesh.pass(some.map((flow) => fromClient(flow, mesh.macs, 64, tcp ? SYN : 0)));
    expect(first.length, some.length, 'first frames out');
    const answers = mesh.pass(first.map((frame) => answerTo(frame, 64, tcp ? SYN | ACK : 0)));
    expect(answers.length, some.length, 'answers out');
    toClients(answers, some);
    const next = mesh.pass(some.map((flow) => fromClient(flow, mesh.macs, 64, tcp ? ACK : 0)));
    expect(next.length, some.length, 'second frames out');
    sent.push(...next.map((frame) => frame.slice(0, HEADERS.back)));
  }
  return { mesh, flows, sent };
}

/** Data of established flows, one frame of each flow in turn, in an order that has nothing to do with their tables. */
export function steady({ mesh, flows, sent }: Established, way: 'out' | 'back', size: number): Row {
  const protocol = flows[0]?.protocol ?? 'tcp';
  const order = shuffled(flows.length);
  const headers = Math.min(HEADERS[way], way === 'out' ? size : size + 50);
  const ready = new Uint8Array(flows.length * headers);
  const make = (i: number): Uint8Array => {
    const flow = flows[i];
    const frame = sent[i];
    if (!flow || !frame) throw new RangeError('no such flow');
    return way === 'out' ? fromClient(flow, mesh.macs, size, ACK) : answerTo(frame, size, ACK);
  };
  const sample = make(0);
  for (let i = 0; i < flows.length; i++) ready.set(make(i).subarray(0, headers), i * headers);
  let at = 0;
  let turn = 0;
  const fill = (): void => {
    const { bytes } = mesh.engine.memory;
    for (let i = 0; i < BATCH; i++) {
      const flow = order[at++] ?? 0;
      const slot = mesh.slot(i);
      bytes.set(ready.subarray(flow * headers, flow * headers + headers), slot);
      if (protocol === 'tcp' && turn) advance(bytes, slot + SEGMENT[way], turn * STEP);
      if (at === flows.length) {
        at = 0;
        turn = (turn + 1) % TURNS;
      }
    }
  };
  return {
    name: `mesh${way === 'back' ? '-back' : ''}${protocol === 'udp' ? '-udp' : ''}`,
    flows: flows.length,
    size,
    stage: () => {
      // The first batch of a row finds another row's frames in the slots.
      if (mesh.engine.memory.view.getUint32(mesh.slot(0) + STAMP, true) !== stampOf(way, protocol, size)) {
        const { bytes, view } = mesh.engine.memory;
        for (let i = 0; i < BATCH; i++) bytes.set(sample, mesh.slot(i));
        mesh.setLengths(sample.length);
        view.setUint32(mesh.slot(0) + STAMP, stampOf(way, protocol, size), true);
        mesh.learn();
      }
      fill();
    },
    settle: () => mesh.drain(),
    verify: (batches, before) => {
      const packets = batches * BATCH;
      const after = mesh.books;
      checkBooks(before, after, packets, way === 'out' ? [packets, 0] : [0, packets]);
      expect(after.connections, before.connections, 'connections');
      atLeast(after.connections, 2 * flows.length, 'connections: two a flow, and the tunnels');
      fill();
      const { bytes } = mesh.engine.memory;
      const last = Array.from({ length: BATCH }, (_, i) => bytes.slice(mesh.slot(i), mesh.slot(i) + sample.length));
      const left = mesh.pass(last);
      bytes.fill(0, mesh.slot(0) + STAMP, mesh.slot(0) + STAMP + 4);
      expect(left.length, BATCH, 'frames out of the last batch');
      for (const frame of left) {
        if (!sound(frame)) throw new Error(`${way}: a frame left with a wrong checksum`);
        expect(frame.length, way === 'out' ? Math.max(size, headers) + 50 : packetLength(size, protocol), 'length');
      }
      if (way === 'out') tunnelled(left, mesh);
      else toClients(left, flows);
    },
  };
}

/** Ethernet padding behind a short packet ends where the packet is routed. */
function packetLength(size: number, protocol: Flow['protocol']): number {
  return Math.max(size, 14 + 20 + (protocol === 'tcp' ? 20 : 8));
}

/** Every frame opens a connection. At `flows` of them the clock jumps, and they are over. */
export function opening(mesh: Mesh, flows: number): Row {
  const size = 64;
  let next = 0;
  let open = 0;
  let last = 0;
  const fill = (): void => {
    const { bytes } = mesh.engine.memory;
    for (let i = 0; i < BATCH; i++)
      bytes.set(fromClient(flowOf(mesh, 'tcp', next++), mesh.macs, size, SYN), mesh.slot(i));
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
    stage: () => {
      if (open && open + BATCH > flows) over();
      mesh.setLengths(size);
      fill();
      open += BATCH;
    },
    settle: () => {
      mesh.drain();
      // Three a flow: node1's, the sandbox's, and the tunnel's.
      if (open === BATCH && mesh.engine.exports.connections() > 3 * BATCH)
        throw new Error('connections are left after their time');
    },
    verify: (batches, before) => {
      const packets = batches * BATCH;
      checkBooks(before, mesh.books, packets, [packets, 0]);
      atLeast(mesh.books.connections, 2 * open, 'connections, two a flow');
      fill();
      const { bytes } = mesh.engine.memory;
      const left = mesh.pass(Array.from({ length: BATCH }, (_, i) => bytes.slice(mesh.slot(i), mesh.slot(i) + size)));
      expect(left.length, BATCH, `frames out for connections up to ${last}`);
      for (const frame of left) if (!sound(frame)) throw new Error('a frame left with a wrong checksum');
      tunnelled(left, mesh);
      open += BATCH;
    },
  };
}

function checkBooks(before: Books, after: Books, packets: number, [balancedIn, balancedOut]: [number, number]): void {
  const grown = (name: keyof Books) => after[name] - before[name];
  expect(grown('injected'), packets, 'frames in');
  expect(grown('received'), packets, 'frames at eth0');
  expect(grown('transmitted'), packets, 'frames out of eth0');
  expect(grown('arrived'), packets, 'frames at the sinks');
  expect(grown('dropped'), packets, 'frames that ended');
  expect(grown('generated'), 0, 'frames that nobody sent');
  expect(grown('searches'), 0, 'searches for a port');
  expect(grown('balancedIn'), balancedIn, 'IPVS packets in');
  expect(grown('balancedOut'), balancedOut, 'IPVS packets out');
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

export function expect(found: number, wanted: number, what: string): void {
  if (found !== wanted) throw new Error(`${what}: ${found}, not ${wanted}`);
}

function atLeast(found: number, wanted: number, what: string): void {
  if (found < wanted) throw new Error(`${what}: ${found}, fewer than ${wanted}`);
}

function shuffled(count: number): Uint32Array {
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

/** Behind the longest frame of a slot: whose frames are there. */
const STAMP = 1500;
function stampOf(way: 'out' | 'back', protocol: string, size: number): number {
  return size * 4 + (way === 'back' ? 2 : 0) + (protocol === 'udp' ? 1 : 0);
}
