/** Differences between what our tables hold and what a real namespace's dump shows, in words, and how many things were compared. */

import { align } from './align.js';

export interface StateDifference {
  /** The recording's name of the namespace. */
  where: string;
  /** `iptables nat DOCKER-INGRESS`, `ip route`, `conntrack events` */
  what: string;
  /** `rule 2: real "…", ours "…"` */
  words: string;
}

/** `node1.host iptables nat DOCKER-INGRESS: rule 2: real "…", ours "…"` */
export function describeState({ where, what, words }: StateDifference): string {
  return `${where} ${what}: ${words}`;
}

/** One scenario in one mode. */
export interface StateComparison {
  /** Lines of dumps, in the sense of the thing compared: an address, a rule, an event. */
  compared: number;
  different: StateDifference[];
  /** What was not compared, by name, with how many of it there were: the first number in each. */
  leftOut: string[];
}

/** What several comparisons left out, each thing once, with the sum of its numbers. */
export function sumLeftOut(lists: readonly (readonly string[])[]): string[] {
  const sums = new Map<string, number>();
  for (const words of lists.flat()) {
    const times = Number(/\b\d+\b/.exec(words)?.[0] ?? 1);
    const name = words.replace(/\b\d+\b/, 'N');
    sums.set(name, (sums.get(name) ?? 0) + times);
  }
  return [...sums].map(([name, times]) => name.replace(/\bN\b/, `${times}`));
}

/** A changed line, next to a missing one with an extra one: it is told as changed. */
const CHANGED = 1.5;

export class StateDifferences {
  compared = 0;
  readonly different: StateDifference[] = [];
  readonly #leftOut = new Map<string, number>();

  /** `words` says what, with `N` for how many; the same words are told once, with their sum. */
  leaveOut(words: string, times = 1): void {
    if (times > 0) this.#leftOut.set(words, (this.#leftOut.get(words) ?? 0) + times);
  }

  get leftOut(): string[] {
    return [...this.#leftOut].map(([words, times]) => words.replace(/\bN\b/, `${times}`));
  }

  /** One thing, in words on both sides; undefined where there is none. */
  same(where: string, what: string, name: string, real: string | undefined, ours: string | undefined): void {
    this.compared += 1;
    if (real === ours) return;
    const words =
      real === undefined
        ? `not in the real one: ours "${ours}"`
        : ours === undefined
          ? `missing: real "${real}"`
          : `real "${real}", ours "${ours}"`;
    this.different.push({ where, what, words: name ? `${name}: ${words}` : words });
  }

  /** Lines whose order matters; `item` is what one is called (`rule`), counted from 1. */
  inOrder(where: string, what: string, item: string, real: readonly string[], ours: readonly string[]): void {
    let number = 0;
    let own = 0;
    for (const pair of align(real, ours, (a, b) => (a === b ? 0 : CHANGED))) {
      if (pair.real !== undefined) number += 1;
      if (pair.ours !== undefined) own += 1;
      this.same(
        where,
        what,
        pair.real === undefined ? `${item} ${own} of ours` : `${item} ${number}`,
        pair.real,
        pair.ours,
      );
    }
  }

  /** Lines in any order; a line may be there several times. */
  inAnyOrder(where: string, what: string, real: readonly string[], ours: readonly string[]): void {
    const left = [...ours];
    for (const line of real) {
      const at = left.indexOf(line);
      if (at >= 0) left.splice(at, 1);
      this.same(where, what, '', line, at >= 0 ? line : undefined);
    }
    for (const line of left) this.same(where, what, '', undefined, line);
  }
}
