/** The recorded scenarios, replayed: nothing differs; and whatever is broken on purpose turns up. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { conform } from '../../src/replay/conformance.js';
import type { PlayOptions } from '../../src/replay/replay.js';
import type { ReadFile } from '../../src/replay/scenario.js';
import { renderTable, type ScenarioComparison, totalsOf, type WaitingScenario } from '../../src/replay/table.js';

const ORACLE = new URL('../oracle/', import.meta.url);

function reader(scenario: string): ReadFile {
  return (name) => {
    const path = new URL(`${scenario}/${name}`, ORACLE);
    return existsSync(path) ? readFileSync(path) : undefined;
  };
}

/** How many frames differ in S6, in both modes. */
async function differences(read: ReadFile, options: PlayOptions = {}): Promise<number> {
  const { compared } = await conform('S6-ingress', read, ['path', 'stack'], options);
  return totalsOf(compared.flatMap(({ taps }) => taps)).different;
}

describe('conformance', () => {
  test('finds no difference in any scenario, and the README says the figure', async () => {
    const compared: ScenarioComparison[] = [];
    const waiting: WaitingScenario[] = [];
    for (const entry of readdirSync(ORACLE, { withFileTypes: true }).sort((a, b) => a.name.localeCompare(b.name))) {
      if (!entry.isDirectory()) continue;
      const result = await conform(entry.name, reader(entry.name));
      compared.push(...result.compared);
      waiting.push(...result.waiting);
    }
    const table = renderTable(compared, waiting);
    expect(totalsOf(compared.flatMap(({ taps }) => taps)).different, table).toBe(0);
    const lines = table.split('\n').slice(-2).join('\n');
    expect(readFileSync(new URL('../../README.md', import.meta.url), 'utf8')).toContain(lines);
  });

  test('another seed draws other ports and ids, and differs in nothing else', async () => {
    expect(await differences(reader('S6-ingress'), { seed: 99 })).toBe(0);
  });
});

describe('what is broken on purpose turns up:', () => {
  test('two destinations of a balancer swapped', async () => {
    const swapped: ReadFile = (name) => {
      const bytes = reader('S6-ingress')(name);
      if (name !== 'inputs.json' || !bytes) return bytes;
      const text = new TextDecoder().decode(bytes);
      const at = '"10.0.0.11", "10.0.0.10", "10.0.0.9"';
      const flat = text.replace(/\s+/g, ' ').replace('[ ', '[').replace(/\[ /g, '[').replace(/ \]/g, ']');
      expect(flat).toContain(at);
      return new TextEncoder().encode(flat.replace(at, '"10.0.0.11", "10.0.0.9", "10.0.0.10"'));
    };
    expect(await differences(swapped)).toBeGreaterThan(0);
  });

  test('a rule that a driver programs, removed', async () => {
    const removed = await differences(reader('S6-ingress'), {
      prepare: ({ namespaces }) => {
        const chain = namespaces.get('node1/ingress_sbox')?.iptables.chain('nat', 'POSTROUTING');
        const rule = chain?.rules.find(({ spec }) => spec.target === 'SNAT' && spec.ipvs);
        expect(rule).toBeDefined();
        rule?.remove();
      },
    });
    expect(removed).toBeGreaterThan(0);
  });

  test('a rule with another mark', async () => {
    const changed = await differences(reader('S6-ingress'), {
      prepare: ({ namespaces }) => {
        const sandbox = namespaces.get('node1/ingress_sbox');
        sandbox?.iptables.append('mangle', 'PREROUTING', { protocol: 'tcp', dport: 8080, target: 'MARK', value: 1 });
      },
    });
    expect(changed).toBeGreaterThan(0);
  });

  test('a forwarding entry of a vxlan device, removed', async () => {
    const removed = await differences(reader('S6-ingress'), {
      prepare: ({ namespaces }) => {
        const overlay = namespaces.get('node1/ov-ingress');
        expect(overlay?.removeFdb(overlay.device('vxlan0'), '02:42:0a:00:00:0b')).toBe(true);
      },
    });
    expect(removed).toBeGreaterThan(0);
  });
});
