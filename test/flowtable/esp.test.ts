/** An encrypted overlay by the flow table: packets take the fast way on both sides of the cipher, and what changes is met by the next one. */

import { expect, it } from 'vitest';
import { encryptionIn } from '../../src/drivers/overlay-encryption.js';
import type { Engine } from '../../src/engine/index.js';
import { overlayLife } from './overlay-life.js';
import { ENCRYPTED } from './topologies.js';

/** Datagrams, and half of their answers: each is sealed once and opened once. */
const COUNT = 200;

const life = (fast: boolean, engine: '20.10' | '28', happens: (engine: Engine) => void) =>
  overlayLife({ fast, spec: { ...ENCRYPTED, engine }, count: COUNT, size: (i) => 20 + i, happens });

const hosts = (engine: Engine) => [...engine.namespaces.values()].filter((one) => encryptionIn(one));
const outbound = (engine: Engine) =>
  hosts(engine).map(({ xfrm }) =>
    xfrm.association(xfrm.policies[0]?.template.destination ?? '', xfrm.policies[0]?.template.spi ?? 0),
  );

it.each(['20.10', '28'] as const)('with the rules of Engine %s', async (version) => {
  const slow = await life(false, version, () => {});
  const quick = await life(true, version, () => {});
  expect(quick.seen).toEqual(slow.seen);
  expect(quick.answers).toBe(COUNT + 3);
  // There and back: to the cipher, out of it, to the next one, out of it.
  expect(quick.fast).toBeGreaterThan(0.95 * COUNT * 8);
  // Nor does what comes out take the slow way as far as to the other end of its tunnel.
  expect(quick.slow).toBeLessThan(20);
});

it.each<[string, (engine: Engine) => void, boolean]>([
  [
    'keys that rotate',
    (engine) => {
      for (const host of hosts(engine)) {
        const encryption = encryptionIn(host);
        const [, ...kept] = [...(encryption?.keys ?? [])].sort((a, b) => a.tag - b.tag);
        encryption?.rotate([...kept, { key: '00112233445566778899aabbccddeeff', tag: (kept.at(-1)?.tag ?? 0) + 1 }]);
      }
    },
    true,
  ],
  [
    'an association that goes',
    (engine) => {
      const [, association] = outbound(engine);
      if (association) hosts(engine)[1]?.xfrm.removeAssociation(association);
    },
    false,
  ],
  [
    'sequence numbers that run out',
    (engine) => {
      for (const association of outbound(engine)) if (association) association.sequence = 0xfffffff0;
    },
    false,
  ],
  ['words that are wanted', (engine) => engine.exports.setTracing(1), true],
  [
    'a node that goes',
    (engine) => {
      for (const device of engine.devices) if (device.path === 'node2/host/eth0') device.up = false;
    },
    false,
  ],
])('meets %s in the middle', async (_, happens, goesOn) => {
  const slow = await life(false, '20.10', happens);
  const quick = await life(true, '20.10', happens);
  expect(quick.seen).toEqual(slow.seen);
  expect(quick.answers).toBe(slow.answers);
  // One that was about to be sealed by the old key is lost.
  if (goesOn) expect(quick.answers).toBeGreaterThan(COUNT);
  else expect(quick.answers).toBeLessThan(COUNT);
  expect(quick.fast).toBeGreaterThan(0.4 * COUNT * 8);
});
