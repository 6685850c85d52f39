/** Each row of the benchmark over a few flows: it stands, runs, and its checks hold; and they fail where something is wrong. */

import { afterAll, describe, expect, it } from 'vitest';
import { type Measured, standing } from '../../bench/all.js';
import { establish } from '../../bench/flows.js';
import { BATCH, Mesh } from '../../bench/mesh.js';
import { build, Native } from '../../bench/native.js';
import { ROWS } from '../../bench/options.js';
import { steady } from '../../bench/steady.js';

const built = build();
const natives: Native[] = [];
afterAll(() => {
  for (const native of natives) native.end();
});

/** A turn of some batches, as main.ts has it. */
async function turn({ row, world }: Pick<Measured, 'row' | 'world'>, batches: number, natively = batches) {
  row.begin();
  const before = world.books;
  const opened = row.opened();
  for (let i = 0; i < batches; i++) {
    row.stage();
    row.batch();
    row.settle();
  }
  await row.native?.run(natively);
  await row.verify(batches, before, opened);
}

describe('every row', () => {
  it('is there by its name, over the flows and with the sizes that were asked for, and what it does is right', async () => {
    const measured: Measured[] = [];
    const found = await standing({ only: ROWS, size: [64, 300], slow: false }, 300, built, measured, () => {});
    natives.push(...found.natives);
    const sizes = (name: string) => (name.endsWith('-syn') ? [64] : [64, 300]);
    expect(measured.map(({ row }) => [row.name, row.flows, row.size]).sort()).toEqual(
      ROWS.flatMap((name) => sizes(name).map((size) => [name, 300, size])).sort(),
    );
    for (let i = 0; i < 2; i++) for (const one of measured) await turn(one, 12);
  }, 300_000);
});

describe('what is checked', () => {
  const rowOf = async (native?: Native) => {
    const world = await Mesh.create();
    await native?.configure(world.nativeConfig(8));
    return { world, row: await steady(await establish(world, 'tcp', 8, native), 'out', 64) };
  };

  it('are connections: one too few is seen', async () => {
    const one = await rowOf();
    const { exports } = one.world.engine;
    await turn(one, 10);
    for (let slot = 0; slot < exports.connectionSlots(); slot++) {
      const at = exports.connectionAt(slot) >>> 0;
      if (!at) continue;
      exports.forgetConnection(at);
      break;
    }
    await expect(one.row.verify(0, one.world.books, one.row.opened())).rejects.toThrow('connections, two for each');
  });

  it('are counters: a batch that was not counted is seen', async () => {
    const one = await rowOf();
    const before = one.world.books;
    await expect(one.row.verify(1, before, one.row.opened())).rejects.toThrow(`frames in: 0, not ${BATCH}`);
    const other = { ...before, balancedConnections: before.balancedConnections - 1 };
    await expect(one.row.verify(0, other, one.row.opened())).rejects.toThrow('IPVS has balanced: 1, not 0');
  });

  it('is what comes out: a byte that the slow way would not have sent is seen', async () => {
    const measured: Measured[] = [];
    await standing({ only: ['vip'], size: [64], slow: true }, 8, built, measured, () => {});
    const [vip] = measured;
    if (!vip) throw new Error('no row');
    await turn(vip, 2);
    // The next hop has another MAC address; a frame reaches the sink all the same.
    const host = vip.world.engine.namespaces.get('node1/host');
    const nic = host?.device('eth0');
    for (const { address } of host?.neighbours ?? []) if (nic) host?.addNeighbour(nic, address, '02:00:00:00:aa:aa');
    await expect(turn(vip, 2)).rejects.toThrow('is not what the slow way makes of it');
  });
});

const nativeIt = 'skipped' in built ? it.skip : it;
nativeIt(
  `the C reference is given the same frames and makes the same of them${'skipped' in built ? ` (${built.skipped})` : ''}`,
  async () => {
    if ('skipped' in built) return;
    const native = new Native(built.program);
    natives.push(native);
    const mesh = await Mesh.create();
    await native.configure(mesh.nativeConfig(8));
    const established = await establish(mesh, 'tcp', 8, native);
    const rows = [await steady(established, 'out', 64), await steady(established, 'back', 1400)];
    for (let i = 0; i < 3; i++) for (const row of rows) await turn({ row, world: mesh }, 5);
    const [row] = rows;
    // A batch more than the engine had: its frames are others.
    if (row) await expect(turn({ row, world: mesh }, 5, 6)).rejects.toThrow('C reference');
  },
  120_000,
);
