/** All rows that are asked for, over so many flows, each with the swarm that it goes through. */

import { establish } from './flows.js';
import { Mesh } from './mesh.js';
import { type build, Native } from './native.js';
import { BRIDGE_OPENINGS, opening, openingOnBridge } from './opening.js';
import { CAPTURED_ROWS, type Options } from './options.js';
import type { Row } from './row.js';
import { steady } from './steady.js';
import { wayRows } from './wayrow.js';
import { WAYS } from './ways.js';

export interface Measured {
  row: Row;
  /** What a row's books are read from. */
  world: Pick<Mesh, 'engine' | 'books'>;
  /** Milliseconds of each batch. */
  samples: number[];
  native: { least: number; median: number }[];
}

export async function standing(
  { only, size: sizes, slow }: Pick<Options, 'only' | 'size' | 'slow'>,
  flows: number,
  built: ReturnType<typeof build>,
  measured: Measured[],
  say: (text: string) => void,
): Promise<{ natives: Native[] }> {
  const natives: Native[] = [];
  const add = (world: Measured['world'], row: Row) => measured.push({ row, world, samples: [], native: [] });
  const create = async (captured = false): Promise<Mesh> => {
    const mesh = await Mesh.create(captured);
    mesh.engine.exports.setFlowTable(slow ? 0 : 1);
    return mesh;
  };
  const reference = async (mesh: Mesh): Promise<Native | undefined> => {
    if ('skipped' in built) return undefined;
    const native = new Native(built.program);
    natives.push(native);
    await native.configure(mesh.nativeConfig(flows));
    return native;
  };
  // Both ways and all sizes share the flows of one node.
  for (const protocol of ['tcp', 'udp'] as const) {
    const suffix = protocol === 'udp' ? '-udp' : '';
    const ways = (['out', 'back'] as const).filter((way) =>
      only.includes(`mesh${way === 'back' ? '-back' : ''}${suffix}`),
    );
    if (ways.length === 0) continue;
    say(`${flows} ${protocol} flows are being established`);
    const mesh = await create();
    const native = protocol === 'tcp' ? await reference(mesh) : undefined;
    const established = await establish(mesh, protocol, flows, native);
    for (const way of ways) for (const size of sizes) add(mesh, await steady(established, way, size));
  }
  const captures = CAPTURED_ROWS.filter((name) => only.includes(name));
  if (captures.length > 0) {
    say(`${flows} captured flows are being established`);
    const mesh = await create(true);
    const established = await establish(mesh, 'tcp', flows, undefined);
    for (const name of captures)
      for (const size of sizes)
        add(mesh, await steady(established, 'out', size, name === 'mesh-captured' ? 'memory' : 'file'));
  }
  for (const name of WAYS) {
    if (!only.includes(name)) continue;
    say(`${flows} flows of ${name} are being established`);
    const { rows, world } = await wayRows(name, flows, sizes, slow);
    for (const row of rows) add(world, row);
  }
  for (const name of BRIDGE_OPENINGS) {
    if (!only.includes(name)) continue;
    const { row, world } = await openingOnBridge(name, flows, slow);
    add(world, row);
  }
  if (only.includes('mesh-syn')) {
    const mesh = await create();
    add(mesh, opening(mesh, flows));
  }
  return { natives };
}
