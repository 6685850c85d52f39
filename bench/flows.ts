/** The mesh's flows: their numbers and addresses, and how they are established, in the engine and in the C reference alike. */

import { ACK, answerTo, control, controlBack, type Flow, fromClient, HEADERS, SYN } from './frames.js';
import { Random } from './fuzz/random.js';
import { addressNumber } from './headers.js';
import { BATCH, type Mesh, PUBLISHED } from './mesh.js';
import { Digest, type Native } from './native.js';
import { clientNumber, expect, toClients } from './row.js';

/** 198.18.0.0/15 is for benchmarks (RFC 2544); clients there are behind node1's gateway. */
const CLIENTS = addressNumber('198.18.0.1');
/** Prime, and not a multiple of the number of tasks: one task never sees a port twice within 100 000 flows. */
const PORTS = 63_997;

export function flowOf(mesh: Mesh, protocol: Flow['protocol'], i: number): Flow {
  return {
    protocol,
    source: CLIENTS + (i % 100_003),
    sport: 1024 + (i % PORTS),
    destination: addressNumber(mesh.address),
    dport: PUBLISHED,
  };
}
const STREAM = 3e9;
export const clientOf = ({ source, sport }: Flow): number => clientNumber(source, sport);

/** Flows that are established: rows of either way and any size share them, and count the new ones among them together. */
export interface Established {
  mesh: Mesh;
  flows: Flow[];
  /** The frame that left last for each flow: its headers. */
  sent: Uint8Array[];
  native: Native | undefined;
  /** New flows so far. */
  fresh: number;
  clients: Set<number>;
  /** When each FIN came, and how many of those connections are over since. */
  closings: number[];
  over: number;
}

/** Every frame goes to the C reference, too, whose frames must be the same. */
export async function establish(
  mesh: Mesh,
  protocol: Flow['protocol'],
  count: number,
  native: Native | undefined,
): Promise<Established> {
  const flows = Array.from({ length: count }, (_, i) => flowOf(mesh, protocol, i));
  const clients = new Set(flows.map(clientOf));
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
    toClients(answers, clients);
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
  // Datagrams that go on after two seconds are a stream: conntrack sees to each flow once more.
  if (!tcp) mesh.engine.run(mesh.engine.now + STREAM);
  return { mesh, flows, sent, native, fresh: 0, clients, closings: [], over: 0 };
}

/** An order that has nothing to do with that of any table. */
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
