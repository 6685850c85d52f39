/**
 * The words of hints: which known name was meant, and how names are listed.
 */

/** The known name that is a slip of the pen away from `word`: two letters at most, and fewer in a short word. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.min(2, Math.floor(word.length / 2)) + 1;
  for (const name of known) {
    const slips = distance(word.toLowerCase(), name.toLowerCase(), least);
    if (slips < least) {
      least = slips;
      best = name;
    }
  }
  return best;
}

/** Damerau and Levenshtein's distance, where two neighbours that changed places count once; `limit` when it is not below that. */
function distance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      next.push(cost);
    }
    before = row;
    row = next;
  }
  return Math.min(row[b.length] ?? limit, limit);
}

/** `"a", "b" or "c"` */
export function quotedList(names: readonly string[]): string {
  const quoted = names.map((name) => `"${name}"`);
  return quoted.length < 2 ? (quoted[0] ?? 'nothing') : `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`;
}

/** The hint for a name that is not known. Long lists are cut: a hint is one line. */
export function knownNames(word: string, known: readonly string[]): string {
  const meant = nearest(word, known);
  if (meant !== undefined) return `did you mean "${meant}"?`;
  const shown = known.slice(0, 8).join(', ');
  return known.length === 0 ? 'there are none' : `known here: ${shown}${known.length > 8 ? ', …' : ''}`;
}
