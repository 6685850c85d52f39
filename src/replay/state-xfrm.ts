/** Security associations, policies and their counters of one namespace, compared with `ip xfrm` of the real one. */

import type { Namespace } from '../engine/index.js';
import { ipXfrmPolicy, ipXfrmState } from '../views/index.js';
import type { Inputs } from './inputs.js';
import type { StateDifferences } from './state-difference.js';
import type { Dump } from './state-dump.js';

export function compareXfrm(namespace: Namespace, dump: Dump, found: StateDifferences, inputs: Inputs): void {
  const encrypted = inputs.networks.some((network) => network.encrypted);
  const used = usedBefore(inputs);
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
    const comparable = (all: readonly string[][]) => all.flatMap((entry) => withoutDates(entry, used));
    const dates = real.flat().filter((line) => DATES.test(line)).length;
    found.leaveOut(`${title}: N lines that say when an association was made and first used: when, not whether`, dates);
    found.leaveOut(
      `${title}: N lines of bytes and packets of associations that an earlier scenario had used`,
      real.filter((entry) => used(entry)).length,
    );
    found.inOrder(
      dump.namespace,
      title,
      'line',
      comparable(real),
      comparable(entries(text.split('\n').filter(Boolean))),
    );
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

function withoutDates(entry: readonly string[], used: (entry: readonly string[]) => boolean): string[] {
  const counted = used(entry);
  return entry
    .filter((line) => !(counted && COUNTED.test(line)))
    .map((line) => line.replace(DATES, (_, use) => `\t  add … use ${use === '-' ? '-' : '…'}`));
}

/** Associations whose first packet here was not their first one. */
function usedBefore({ encryption }: Inputs): (entry: readonly string[]) => boolean {
  const all = Object.values(encryption?.associations ?? {}).flat();
  const spis = new Set(all.filter(({ firstSequence = 1 }) => firstSequence > 1).map(({ spi }) => Number(spi)));
  return (entry) => spis.has(Number(/ spi (0x[0-9a-f]+)\(/.exec(entry[1] ?? '')?.[1]));
}
