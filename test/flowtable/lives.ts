/**
 * How many lives are drawn, and from where: `LIVES=50 SEED=7 npx vitest run test/flowtable` draws fifty times as many, others than
 * otherwise. A life that fails is named by the seed that fast-check prints.
 */

const times = Number(process.env.LIVES ?? 1);

export function lives(count: number, seed: number): { numRuns: number; seed: number; endOnFailure: boolean } {
  return { numRuns: Math.ceil(count * times), seed: Number(process.env.SEED ?? seed), endOnFailure: true };
}

/** So long may a test take, ms. */
export const PATIENCE = 300_000 * times;
