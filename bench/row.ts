/** A row of the benchmark: what is timed, what goes on around it, and what must be true afterwards. */

import { insideOf } from './frames.js';
import { addressNumber, get16, get32, VXLAN_PORT } from './headers.js';
import { type Books, type Mesh, PUBLISHED } from './mesh.js';
import type { NativeRow } from './native.js';

export interface Row {
  name: string;
  flows: number;
  size: number;
  /** Untimed, before a turn: others have been at the same node since. */
  begin(): void;
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
  native: NativeRow | undefined;
}

/** Batches after each turn whose frames are looked at one by one. */
export const COMPARED = 2;

export function expect<T>(found: T, wanted: T, what: string): void {
  if (found !== wanted) throw new Error(`${what}: ${found}, not ${wanted}`);
}

/** Every frame came in, went out and arrived, and IPVS has counted as many. */
export function checkBooks(
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

/** They left by the tunnel for a task's published port. */
export function tunnelled(frames: readonly Uint8Array[], mesh: Mesh): void {
  const tasks = new Set(mesh.tasks.map(({ address }) => addressNumber(address)));
  const vni = mesh.realized.topology.networks.find(({ ingress }) => ingress)?.vni;
  for (const frame of frames) {
    const inside = insideOf(frame);
    if (get16(frame, 36) !== VXLAN_PORT || inside.vni !== vni || !tasks.has(inside.task) || inside.dport !== PUBLISHED)
      throw new Error(`a frame left for ${inside.task}:${inside.dport} in VNI ${inside.vni}`);
  }
}

/** One number for a client's address and port. */
export const clientNumber = (address: number, port: number): number => address * 65536 + port;

/** They left as answers of the published port for clients that we know. */
export function toClients(frames: readonly Uint8Array[], clients: ReadonlySet<number>): void {
  for (const frame of frames) {
    if (get16(frame, 34) !== PUBLISHED || !clients.has(clientNumber(get32(frame, 30), get16(frame, 36))))
      throw new Error('an answer left for no client of ours');
  }
}
