/** The engine against the kernel of the machine that runs the tests, where that kernel lets us. */

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { LIVE_CASES, type LiveResult, live } from '../../src/cli/live/live.js';
import { totalsOf } from '../../src/replay/table.js';
import { skipped } from './machine.js';

/** Differences that are known: the engine has yet to learn these. Each is told by `conformance --live`. */
const KNOWN = ['ip-options'];
/** Some cases wait for timers of the kernel. */
const PATIENCE = 240_000;

function left(): string[] {
  const own = `swlive-${process.pid}-`;
  return existsSync('/run/netns') ? readdirSync('/run/netns').filter((name) => name.startsWith(own)) : [];
}

describe.skipIf(skipped !== undefined)('against this kernel', () => {
  let result: LiveResult | undefined;
  beforeAll(async () => {
    result = await live({ differences: 1000 });
  }, PATIENCE);

  for (const name of LIVE_CASES) {
    it(`${name}: every frame at every device`, (context) => {
      const scenario = `live/${name}`;
      const waiting = result?.waiting.find((one) => one.scenario === scenario);
      if (waiting) return context.skip(waiting.reason);
      const totals = totalsOf(result?.compared.find((one) => one.scenario === scenario)?.taps ?? []);
      expect(totals.identical + totals.masked).toBeGreaterThan(0);
      if (!KNOWN.includes(name)) expect(totals.different, result?.text).toBe(0);
    });
  }

  it('leaves no namespace behind', () => {
    expect(left()).toEqual([]);
  });

  it('sweeps what a run that was killed has left', { timeout: PATIENCE }, async () => {
    // No process has that number: Linux gives none beyond 4194304.
    const leftover = 'swlive-4999999-node1.host';
    expect(spawnSync('ip', ['netns', 'add', leftover]).status).toBe(0);
    await live({ cases: [] });
    expect(readdirSync('/run/netns')).not.toContain(leftover);
  });
});

describe('where it cannot run', () => {
  it('says why in one sentence, and compares nothing', async () => {
    const platform = Object.getOwnPropertyDescriptor(process, 'platform');
    Object.defineProperty(process, 'platform', { value: 'darwin' });
    try {
      const result = await live();
      expect(result.skipped).toBe('live comparison needs a Linux kernel; this is darwin');
      expect(result.text).toBe(`skipped: ${result.skipped}`);
      expect(result.totals.compared).toBe(0);
    } finally {
      if (platform) Object.defineProperty(process, 'platform', platform);
    }
  });

  it('needs root', async () => {
    const { getuid } = process;
    process.getuid = () => 1000;
    try {
      expect((await live()).skipped).toMatch(/needs root/);
    } finally {
      if (getuid) process.getuid = getuid;
    }
  });
});
