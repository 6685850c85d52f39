/**
 * An encrypted overlay in which something changes while packets wait for their turn, for the cipher, and for what follows it; and
 * batches that are too large for one turn. All fares as it does without the flow table.
 */

import { describe, expect, it } from 'vitest';
import { nodeBlocks } from '../../src/crypto/index.js';
import { encryptionIn } from '../../src/drivers/overlay-encryption.js';
import { Namespace as Layout } from '../../src/engine/generated/layout.js';
import type { Association, AssociationSpec, Engine, Namespace } from '../../src/engine/index.js';
import { BEGIN, overlayLife } from './overlay-life.js';
import { ENCRYPTED } from './topologies.js';

const blocks = nodeBlocks();
if (!blocks) throw new Error('this Node has no AES');

const hosts = (engine: Engine) => [...engine.namespaces.values()].filter((one) => encryptionIn(one));

describe('what changes while packets are on their way through the cipher', () => {
  const BATCH = 24;
  const BATCHES = 40;
  const APART = 1e6;
  /** Further and further into a batch, which takes some 20 microseconds there and back: at each of its stages. */
  const moment = (batch: number) => BEGIN + batch * APART + 300 + batch * 500;

  /** `happens` in every other batch, and in the one after it, what it returned puts things right. */
  const life = async (fast: boolean, happens: (engine: Engine, batch: number) => () => void) => {
    let undo = () => {};
    let waiting = 0;
    const told = await overlayLife({
      fast,
      spec: ENCRYPTED,
      count: BATCH * BATCHES,
      size: (i) => 20 + (i % 200),
      when: (i) => Math.floor(i / BATCH) * APART + (i % BATCH) * 150,
      prepare: (engine) => {
        for (let batch = 0; batch < BATCHES; batch++)
          engine.at(moment(batch), () => {
            waiting += hosts(engine).some(({ at }) => engine.memory.get(at, Layout.pending) > 0) ? 1 : 0;
            if (batch % 2) undo();
            else undo = happens(engine, batch);
          });
      },
    });
    return { ...told, waiting };
  };

  const specOf = ({ source, destination, spi, reqid, key, sequence }: Association): AssociationSpec => ({
    source,
    destination,
    spi,
    reqid,
    key,
    sequence,
  });
  /** In turn one that a node sends by and one that it receives by. */
  const oneOf = (engine: Engine, batch: number): { host: Namespace; association: Association } => {
    const [host] = hosts(engine);
    const { destination = '', spi = 0 } = host?.xfrm.policies[0]?.template ?? {};
    const sends = host?.xfrm.association(destination, spi);
    const receives = host?.xfrm.associations.find((one) => one.destination !== destination && one.packets > 0);
    const association = batch % 4 ? receives : sends;
    if (!host || !association) throw new Error('no association');
    return { host, association };
  };

  it.each<[string, (engine: Engine, batch: number) => () => void, 'all' | 'some']>([
    [
      'keys that rotate',
      (engine, batch) => {
        const rotate = (key: string) => {
          for (const host of hosts(engine)) {
            const encryption = encryptionIn(host);
            const [, ...kept] = [...(encryption?.keys ?? [])].sort((a, b) => a.tag - b.tag);
            encryption?.rotate([...kept, { key, tag: (kept.at(-1)?.tag ?? 0) + 1 }]);
          }
        };
        const key = `00112233445566778899aabbccdd${(batch + 0x1000).toString(16)}`;
        rotate(key);
        return () => rotate(key.replace('00', 'ff'));
      },
      'all',
    ],
    [
      'an association that goes and comes back',
      (engine, batch) => {
        const { host, association } = oneOf(engine, batch);
        const spec = specOf(association);
        host.xfrm.removeAssociation(association);
        return () => void host.xfrm.addAssociation(spec);
      },
      'some',
    ],
    [
      'another key in the place of the one',
      (engine, batch) => {
        const { host, association } = oneOf(engine, batch);
        const spec = specOf(association);
        const replace = (by: AssociationSpec) => {
          const known = host.xfrm.association(spec.destination, spec.spi);
          if (known) host.xfrm.removeAssociation(known);
          host.xfrm.addAssociation({ ...by, sequence: known?.sequence ?? 0 });
        };
        replace({ ...spec, key: spec.key.map((byte, i) => (i < 16 ? byte ^ 1 : byte)) });
        return () => replace(spec);
      },
      'some',
    ],
    [
      'a policy that goes by another association',
      (engine) => {
        const [host] = hosts(engine);
        const [policy] = host?.xfrm.policies ?? [];
        if (!host || !policy) throw new Error('no policy');
        host.xfrm.setPolicy({ ...policy, template: { ...policy.template, spi: 7 } });
        return () => host.xfrm.setPolicy(policy);
      },
      'some',
    ],
  ])('%s', async (_, happens, comes) => {
    const slow = await life(false, happens);
    const quick = await life(true, happens);
    expect(quick.seen).toEqual(slow.seen);
    expect(quick.answers).toBe(slow.answers);
    // In most of the batches some packets waited just then.
    expect(quick.waiting).toBeGreaterThan(BATCHES / 4);
    expect(quick.answers).toBeGreaterThan(0.4 * BATCH * BATCHES);
    if (comes === 'some') expect(quick.answers).toBeLessThan(0.9 * BATCH * BATCHES);
    expect(quick.fast).toBeGreaterThan(0.5 * quick.answers * 8);
  });
});

describe('a batch', () => {
  const life = async (fast: boolean, count: number, size: (i: number) => number) => {
    const calls: number[] = [];
    const cipher = (key: Uint8Array) => {
      const encrypt = blocks(key);
      return (given: Uint8Array) => {
        calls.push(given.length);
        return encrypt(given);
      };
    };
    const told = await overlayLife({ fast, spec: ENCRYPTED, count, size, when: () => 0, cipher });
    return { ...told, calls };
  };

  it.each<[string, number, (i: number) => number]>([
    // More than the engine puts down before it asks for them.
    ['of many packets', 5000, (i) => i % 16],
    // More than the library is given at once.
    ['of long packets', 200, (i) => 1300 + (i % 70)],
  ])('%s is cut, and all of it comes', async (_, count, size) => {
    const slow = await life(false, count, size);
    const quick = await life(true, count, size);
    expect(quick.seen).toEqual(slow.seen);
    expect(quick.answers).toBe(count + 3);
    const most = Math.max(...quick.calls);
    expect(most).toBeGreaterThan(60_000);
    expect(quick.calls.filter((length) => length > most / 2).length).toBeGreaterThan(3);
  });
});
