/**
 * Rules name interfaces (`-i`, `-o`), whether or not there are such devices at the moment: as devices come, go and change their
 * names, the records of rules are made to point to whoever has the name, or to nobody.
 */

import { Rule as RuleLayout } from './generated/layout.js';
import type { Namespace } from './namespace.js';
import type { Rule, RuleSpec } from './rules.js';

/** By its name: a device is one, too. */
export interface InterfaceName {
  readonly name: string;
}

/** What no device's record is at. */
export const NOBODY = 1;

export function recordOf({ devices }: Namespace, { name }: InterfaceName): number {
  return devices.get(name)?.at ?? NOBODY;
}

/** Rules of one family's tables by the interfaces that they name. */
export class RuleInterfaces {
  #rules: Map<string, Set<Rule>> | undefined;

  note(rule: Rule): void {
    for (const { name } of namesIn(rule.spec)) {
      this.#rules ??= new Map();
      const known = this.#rules.get(name) ?? new Set();
      this.#rules.set(name, known.add(rule));
    }
  }

  forget(rule: Rule): void {
    for (const { name } of namesIn(rule.spec)) {
      const known = this.#rules?.get(name);
      known?.delete(rule);
      if (known?.size === 0) this.#rules?.delete(name);
    }
  }

  /** A device of that name came or went. */
  changed(namespace: Namespace, name: string): void {
    const { memory } = namespace.engine;
    for (const { spec, at } of this.#rules?.get(name) ?? []) {
      const way = spec.in ?? spec.notIn;
      const out = spec.out ?? spec.notOut;
      if (way) memory.set(at, RuleLayout.in, recordOf(namespace, way));
      if (out) memory.set(at, RuleLayout.out, recordOf(namespace, out));
    }
  }
}

function namesIn({ in: way, notIn, out, notOut }: RuleSpec): readonly InterfaceName[] {
  if (!way && !notIn && !out && !notOut) return NOBODYS;
  return [way, notIn, out, notOut].flatMap((one) => one ?? []);
}
const NOBODYS: readonly InterfaceName[] = [];
