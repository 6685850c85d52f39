/** Fewer steps that still go wrong: the end of the life first, then whatever can be left out (delta debugging). */

import { type Life, relive, type Step } from './life.js';

export async function shrink(
  module: WebAssembly.Module,
  life: Life,
  steps: readonly Step[],
  budget = 60_000,
): Promise<{ steps: Step[]; what: string } | undefined> {
  const end = performance.now() + budget;
  let best: Step[] | undefined;
  let what = '';
  const fails = async (candidate: Step[]) => {
    const found = await relive(module, life, candidate);
    if (found === undefined) return false;
    best = candidate;
    what = found;
    return true;
  };
  for (let size = 1; ; size *= 4) {
    if (await fails(steps.slice(-size))) break;
    if (size >= steps.length || performance.now() > end) return undefined;
  }
  let part = Math.ceil((best?.length ?? 0) / 2);
  while (best && part >= 1 && performance.now() < end) {
    let smaller = false;
    for (let at = 0; at < best.length && performance.now() < end; ) {
      const without: Step[] = [...best.slice(0, at), ...best.slice(at + part)];
      if (without.length > 0 && (await fails(without))) smaller = true;
      else at += part;
    }
    if (part === 1 && !smaller) break;
    part = smaller ? Math.min(part, Math.ceil(best.length / 2)) : Math.floor(part / 2);
  }
  return best ? { steps: best, what } : undefined;
}

/** A step as a line that a test can be made of. */
export function inWords(step: Step, deviceNames: readonly string[], namespaceNames: readonly string[]): string {
  if (step.do === 'run') return `run ${step.time} ns`;
  if (step.do === 'say') return `say, seed ${step.seed}`;
  const place = step.do === 'socket' ? namespaceNames[step.at] : deviceNames[step.at];
  return `${step.do} at ${place}, ${step.frame.length} bytes: ${Buffer.from(step.frame).toString('hex')}`;
}
