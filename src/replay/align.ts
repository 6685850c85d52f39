/**
 * Two lists of frames side by side, in order: which of one goes with which of the other, which are missing, which are extra.
 * The shortest way to turn one list into the other (Wagner and Fischer 1974), where a frame changed costs more the less the
 * two have in common. Long equal beginnings and ends are taken off first, and the search keeps to a band round the diagonal,
 * so that a capture of many thousand frames is no trouble.
 */

/** A pair, or one alone. */
export interface Aligned<R, O> {
  real?: R;
  ours?: O;
}

const ALONE = 1;
const BAND = 64;
/** Beyond this many, the lists differ so much that a search would explain nothing. */
const MOST_CELLS = 50_000_000;
const PAIR = 0;
const MISSING = 1;
const EXTRA = 2;

/**
 * Aligns two lists. `distance` is 0 for equal frames, between 1 and 2 for frames that may be one frame changed (less is more
 * alike), and Infinity for frames that have nothing to do with each other.
 */
export function align<R, O>(
  real: readonly R[],
  ours: readonly O[],
  distance: (real: R, ours: O) => number,
): Aligned<R, O>[] {
  let before = 0;
  const shorter = Math.min(real.length, ours.length);
  while (before < shorter && distance(real[before] as R, ours[before] as O) === 0) before += 1;
  let after = 0;
  while (
    after < shorter - before &&
    distance(real[real.length - 1 - after] as R, ours[ours.length - 1 - after] as O) === 0
  ) {
    after += 1;
  }
  const pairs: Aligned<R, O>[] = [];
  for (let at = 0; at < before; at += 1) pairs.push({ real: real[at] as R, ours: ours[at] as O });
  pairs.push(
    ...alignMiddle(real.slice(before, real.length - after), ours.slice(before, ours.length - after), distance),
  );
  for (let at = after; at > 0; at -= 1) {
    pairs.push({ real: real[real.length - at] as R, ours: ours[ours.length - at] as O });
  }
  return pairs;
}

function alignMiddle<R, O>(
  real: readonly R[],
  ours: readonly O[],
  distance: (real: R, ours: O) => number,
): Aligned<R, O>[] {
  // Row i, column j: the cheapest way to align the first i real frames with the first j of ours. A row holds the columns from
  // i - left to i + right only: the band that has both corners and some room on either side.
  const left = Math.max(0, real.length - ours.length) + BAND;
  const right = Math.max(0, ours.length - real.length) + BAND;
  const width = left + right + 1;
  if (real.length === 0 || ours.length === 0 || real.length * width > MOST_CELLS) return inTurn(real, ours, distance);
  const steps = new Uint8Array((real.length + 1) * width);
  let previous = new Float64Array(width).fill(Number.POSITIVE_INFINITY);
  let current = new Float64Array(width);
  for (let i = 0; i <= real.length; i += 1) {
    current.fill(Number.POSITIVE_INFINITY);
    for (let column = Math.max(0, left - i); column < width; column += 1) {
      const j = i + column - left;
      if (j > ours.length) break;
      let cost = i === 0 && j === 0 ? 0 : Number.POSITIVE_INFINITY;
      let step = PAIR;
      const diagonal = previous[column] ?? Number.POSITIVE_INFINITY;
      if (i > 0 && j > 0 && diagonal < Number.POSITIVE_INFINITY) {
        cost = diagonal + distance(real[i - 1] as R, ours[j - 1] as O);
      }
      const missing = i > 0 && column + 1 < width ? (previous[column + 1] ?? 0) + ALONE : Number.POSITIVE_INFINITY;
      if (missing < cost) {
        cost = missing;
        step = MISSING;
      }
      const extra = j > 0 && column > 0 ? (current[column - 1] ?? 0) + ALONE : Number.POSITIVE_INFINITY;
      if (extra < cost) {
        cost = extra;
        step = EXTRA;
      }
      current[column] = cost;
      steps[i * width + column] = step;
    }
    [previous, current] = [current, previous];
  }
  const pairs: Aligned<R, O>[] = [];
  let i = real.length;
  let j = ours.length;
  while (i > 0 || j > 0) {
    const step = steps[i * width + (j - i + left)];
    if (step === MISSING) pairs.push({ real: real[--i] as R });
    else if (step === EXTRA) pairs.push({ ours: ours[--j] as O });
    else pairs.push({ real: real[--i] as R, ours: ours[--j] as O });
  }
  return pairs.reverse();
}

/** Without a search: first with first, second with second, while they have anything in common. */
function inTurn<R, O>(real: readonly R[], ours: readonly O[], distance: (real: R, ours: O) => number): Aligned<R, O>[] {
  const pairs: Aligned<R, O>[] = [];
  for (let at = 0; at < Math.max(real.length, ours.length); at += 1) {
    const pair: Aligned<R, O> = {};
    if (at < real.length) pair.real = real[at] as R;
    if (at < ours.length) pair.ours = ours[at] as O;
    const both = at < real.length && at < ours.length;
    if (both && distance(real[at] as R, ours[at] as O) === Number.POSITIVE_INFINITY) {
      pairs.push({ real: real[at] as R }, { ours: ours[at] as O });
    } else pairs.push(pair);
  }
  return pairs;
}
