/** Whoever looks changes nothing: a swarm does the same, at the same times, whether its interfaces are captured or not. */

import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parseStackFile, Swarm } from '../../src/index.js';
import { EXAMPLES } from '../cli/command.js';

const files = readdirSync(EXAMPLES).filter((name) => name.endsWith('.yml'));

it.each(files)('%s', async (file) => {
  const { spec } = parseStackFile(readFileSync(`${EXAMPLES}/${file}`, 'utf8'), { file });
  const play = async (tapped: boolean) => {
    const swarm = await Swarm.create(spec, { seed: 1 });
    if (tapped) swarm.tapEverything();
    const flows = swarm.play();
    const { engine, changes, pending } = swarm;
    const drops = engine.drops.map(({ device, reason, count }) => `${device.path} ${reason} ${count}`);
    return {
      flows,
      changes,
      pending,
      account: engine.account,
      drops,
      now: engine.now,
      captured: swarm.frames().length,
    };
  };
  const [seen, unseen] = [await play(true), await play(false)];
  expect(seen.captured).toBeGreaterThan(0);
  expect(unseen).toEqual({ ...seen, captured: 0 });
});
