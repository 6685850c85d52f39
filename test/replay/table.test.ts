import { describe, expect, test } from 'vitest';
import type { TapComparison } from '../../src/replay/compare.js';
import { renderTable, totalsOf } from '../../src/replay/table.js';

const tap = (counts: Partial<TapComparison>): TapComparison => ({
  tap: 'node1.host/eth0',
  compared: 0,
  identical: 0,
  masked: 0,
  different: 0,
  injected: 0,
  overwritten: 0,
  masks: {},
  differences: [],
  sights: new Map(),
  ...counts,
});

const clean = tap({
  compared: 10,
  identical: 7,
  masked: 3,
  injected: 2,
  masks: { 'outer-ip-id': 3, 'vxlan-source-port': 2 },
});
const broken = tap({
  compared: 2,
  different: 2,
  differences: [
    {
      tap: 'node1.host/eth0',
      flow: 'tcp 10.0.0.2:1 > 10.0.0.3:2',
      direction: 'received',
      kind: 'changed',
      real: 12,
      ours: 13,
      words: ['ip.ttl: real 62, ours 63'],
    },
    { tap: 'node1.host/eth0', flow: 'arp', kind: 'extra', ours: 4, words: ['our tap saw it, the real one did not'] },
  ],
});

describe('the conformance table', () => {
  test('sums taps', () => {
    expect(totalsOf([clean, broken, clean])).toEqual({
      taps: 3,
      compared: 22,
      identical: 14,
      masked: 6,
      different: 2,
      injected: 4,
      overwritten: 0,
      masks: { 'outer-ip-id': 6, 'vxlan-source-port': 4 },
    });
  });

  test('shows scenarios, masks, differences, and ends with the two lines of its contract', () => {
    const compared = [
      { scenario: 'S6-ingress', mode: 'path' as const, taps: [clean] },
      { scenario: 'S6-ingress', mode: 'stack' as const, taps: [clean, broken], notes: ['client.eth0.pcap: cut short'] },
    ];
    const waiting = [{ scenario: 'S9-encrypted-overlay', reason: 'encrypted overlay networks' }];
    expect(renderTable(compared, waiting).split('\n')).toEqual([
      'scenario    mode   taps  compared  identical  masked  different',
      'S6-ingress  path      1        10          7       3          0',
      'S6-ingress  stack     2        12          7       3          2',
      '',
      'waiting: S9-encrypted-overlay (encrypted overlay networks)',
      '',
      'masked fields: vxlan-source-port 4, outer-ip-id 6',
      'not counted, because they were injected at the tap: 4',
      '',
      'note: S6-ingress (stack): client.eth0.pcap: cut short',
      'S6-ingress (stack) node1.host/eth0: frame 12 (ours 13) received, tcp 10.0.0.2:1 > 10.0.0.3:2: changed',
      '    ip.ttl: real 62, ours 63',
      'S6-ingress (stack) node1.host/eth0: our frame 4, arp: extra',
      '    our tap saw it, the real one did not',
      '',
      'scenarios: 1 compared, 1 waiting',
      'frames: 22 compared, 14 identical, 6 masked, 2 different',
    ]);
  });

  test('tells the first differences only', () => {
    const compared = [{ scenario: 'S6', mode: 'path' as const, taps: [broken] }];
    const text = renderTable(compared, [], { differences: 1 });
    expect(text).toMatch(/and 1 more differences/);
    expect(text).not.toMatch(/our frame 4/);
  });

  test('of nothing has the last lines still', () => {
    expect(renderTable([], []).split('\n').slice(-2)).toEqual([
      'scenarios: 0 compared, 0 waiting',
      'frames: 0 compared, 0 identical, 0 masked, 0 different',
    ]);
  });
});
