/** A guide's output and ours, line by line: the longest sequence that they share, and what is left of either. */

import { ADDRESS, plainForm } from './words.js';

export interface Row {
  theirs?: string;
  ours?: string;
  kind:
    | 'same'
    /** The guide leaves something out there. */
    | 'elided'
    | 'theirs'
    | 'ours';
}

/** `...`, `....`, `…`, `...truncated...`, `(output omitted)`. */
const ELISION = /^\s*(?:\[?\.{2,}.*|…+|.*\.{3}\s*,?|[（(].*(?:略|omitted|truncated|snip).*[)）])\s*$/i;

export function isElision(line: string): boolean {
  return ELISION.test(line) && !/\w{3,}.*\s\w{3,}.*\.{3}$/.test(line);
}

export function compare(theirs: readonly string[], ours: readonly string[]): Row[] {
  const left = theirs.filter((line) => line.trim() !== '');
  const right = ours.filter((line) => line.trim() !== '');
  const rows = aligned(left, right);
  pairMoved(rows);
  excuseElided(rows);
  return rows;
}

/** The longest common subsequence of what they are without ids and times. */
function aligned(left: readonly string[], right: readonly string[]): Row[] {
  const [a, b] = [left.map(plainForm), right.map(plainForm)];
  const lengths = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  const at = (i: number, j: number) => lengths[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--) {
    const row = lengths[i] as Uint32Array;
    for (let j = b.length - 1; j >= 0; j--)
      row[j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  }
  const rows: Row[] = [];
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    const [theirs, ours] = [left[i] ?? '', right[j] ?? ''];
    if (i < a.length && isElision(theirs)) {
      rows.push({ theirs, kind: 'elided' });
      i++;
    } else if (i < a.length && j < b.length && a[i] === b[j]) {
      rows.push({ theirs, ours, kind: 'same' });
      i++;
      j++;
    } else if (j >= b.length || (i < a.length && at(i + 1, j) >= at(i, j + 1))) {
      rows.push({ theirs, kind: 'theirs' });
      i++;
    } else {
      rows.push({ ours, kind: 'ours' });
      j++;
    }
  }
  return rows;
}

/** Lists stand in the order of ids and names that are drawn: a line that stands elsewhere is there all the same. */
function pairMoved(rows: Row[]): void {
  for (const row of rows.filter(({ kind }) => kind === 'theirs')) {
    const form = plainForm(row.theirs ?? '');
    const other = rows.find(({ kind, ours }) => kind === 'ours' && plainForm(ours ?? '') === form);
    if (!other) continue;
    row.ours = other.ours ?? '';
    row.kind = 'same';
    rows.splice(rows.indexOf(other), 1);
  }
}

/** What of ours stands next to an elision is what the guide leaves out. */
function excuseElided(rows: Row[]): void {
  if (!rows.some(({ kind }) => kind === 'elided')) return;
  for (const row of rows) if (row.kind === 'ours') row.kind = 'elided';
}

/** The same address of theirs cannot mean two of ours within one output. */
export function contradicts(rows: readonly Row[]): string | undefined {
  const seen = new Map<string, string>();
  for (const { kind, theirs = '', ours = '' } of rows) {
    if (kind !== 'same') continue;
    const [left, right] = [theirs.match(ADDRESS) ?? [], ours.match(ADDRESS) ?? []];
    for (const [i, address] of left.entries()) {
      const other = right[i] ?? '';
      const before = seen.get(address);
      if (before !== undefined && before !== other) return `${address} stands for ${before} and for ${other}`;
      seen.set(address, other);
    }
  }
  return undefined;
}
