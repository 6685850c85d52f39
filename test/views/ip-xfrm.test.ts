/** `ip -s xfrm state`, `ip xfrm policy` and the rules of an encrypted overlay, against what the real commands printed. */

import { beforeAll, describe, expect, it } from 'vitest';
import { iptablesSave, ipXfrmPolicy, ipXfrmState, xfrmStat } from '../../src/views/index.js';
import { type Replayed, replayed } from './replayed.js';

const lines = (text: string) => text.split('\n').filter(Boolean);

describe.each(['path', 'stack'] as const)('S9-encrypted-overlay, %s', (mode) => {
  let run: Replayed;
  beforeAll(async () => {
    run = await replayed('S9-encrypted-overlay', mode);
  });

  describe.each(['node1.host', 'node2.host'])('%s', (name) => {
    it('ip -s xfrm state: every key, counter and first use, but for when the association was made', () => {
      const bare = (text: readonly string[]) => text.map((line) => line.replace(/add \S+ \S+ use/, 'add … use'));
      expect(bare(lines(ipXfrmState(run.namespace(name))))).toEqual(
        bare(run.dump(name).section('ip xfrm state') ?? []),
      );
    });

    it('ip xfrm policy', () => {
      expect(lines(ipXfrmPolicy(run.namespace(name)))).toEqual(run.dump(name).section('ip xfrm policy'));
    });

    it('iptables-save -c: what is marked, dropped and accepted, in packets and bytes', () => {
      const rules = (text: readonly string[]) => text.filter((line) => line.includes('-m u32'));
      const real = rules(run.dump(name).section('iptables-save') ?? []);
      expect(real).toHaveLength(3);
      expect(rules(lines(iptablesSave(run.namespace(name), { counters: true })))).toEqual(real);
    });

    it('/proc/net/xfrm_stat counts nothing', () => {
      expect(lines(xfrmStat(run.namespace(name))).every((line) => line.endsWith('\t0'))).toBe(true);
    });
  });

  it('nothing of it in the namespaces of containers and overlays', () => {
    for (const name of ['node1.ct-c1', 'node1.ov-net1', 'client']) {
      expect(ipXfrmState(run.namespace(name)) + ipXfrmPolicy(run.namespace(name))).toBe('');
      expect(run.dump(name).section('ip xfrm state') ?? []).toEqual([]);
    }
  });
});
