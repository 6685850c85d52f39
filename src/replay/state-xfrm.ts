/** Security associations, policies and their counters of one namespace, compared with `ip xfrm` of the real one. */

import type { Namespace } from '../engine/index.js';
import { ipXfrmPolicy, ipXfrmState } from '../views/index.js';
import type { Inputs } from './inputs.js';
import type { StateDifferences } from './state-difference.js';
import type { Dump } from './state-dump.js';

export function compareXfrm(namespace: Namespace, dump: Dump, found: StateDifferences, inputs: Inputs): void {
  const encrypted = inputs.networks.some((network) => network.encrypted);
  const outlived = haveOutlived(inputs);
  for (const [title, text] of [
    ['ip xfrm state', ipXfrmState(namespace)],
    ['ip xfrm policy', ipXfrmPolicy(namespace)],
  ] as const) {
    const lines = dump.section(title);
    if (!lines) continue;
    const real = entries(lines);
    if (!encrypted) {
      found.leaveOut(`${title}: N entries that an encrypted overlay of another scenario left behind`, real.length);
      continue;
    }
    const ours = entries(text.split('\n').filter(Boolean));
    const dates = real.flat().filter((line) => DATES.test(line)).length;
    found.leaveOut(`${title}: N lines that say when an association was made and first used: when, not whether`, dates);
    if (!outlived) {
      const whole = (all: readonly string[][]) => all.flatMap((entry) => entry.map(withoutDates));
      found.inOrder(dump.namespace, title, 'line', whole(real), whole(ours));
      continue;
    }
    found.leaveOut(
      `${title}: the place, bytes and packets of N entries that an earlier scenario had made and used`,
      real.length,
    );
    const bare = (all: readonly string[][]) =>
      all.map((entry) => entry.filter((line) => !COUNTED.test(line) && !DATES.test(line)).join('; '));
    found.inAnyOrder(dump.namespace, title, bare(real), bare(ours));
  }
}

/** Lines of each association or policy: its first one is not indented. */
function entries(lines: readonly string[]): string[][] {
  const found: string[][] = [];
  for (const line of lines) {
    if (line.startsWith('src ')) found.push([]);
    found.at(-1)?.push(line);
  }
  return found;
}

const DATES = /^\t {2}add \S+ \S+ use (-|\S+ \S+)$/;
const COUNTED = /^\t {2}\d+\(bytes\), \d+\(packets\)$/;

function withoutDates(line: string): string {
  return line.replace(DATES, (_, use) => `\t  add … use ${use === '-' ? '-' : '…'}`);
}

/** Are associations from before this scenario: was the first packet here not the first one? */
function haveOutlived({ encryption }: Inputs): boolean {
  const all = Object.values(encryption?.associations ?? {}).flat();
  return all.some(({ firstSequence = 1 }) => firstSequence > 1);
}
