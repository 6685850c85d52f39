/** The row `mesh-syn`: every frame a new connection. */

import { flowOf } from './flows.js';
import { control, HEADERS, SYN, sound } from './frames.js';
import { BATCH, liveConnections, type Mesh } from './mesh.js';
import { checkBooks, expect, type Row, tunnelled } from './row.js';

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
    begin: () => {},
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
