/** iproute2's way with words: keywords and their values in any order, names cut short, and the kernel's answers. */

import type { Device, Namespace } from '../../engine/index.js';
import { Exit } from '../process.js';

export interface IpOptions {
  details: boolean;
  statistics: boolean;
  oneline: boolean;
  brief: boolean;
  family: 4 | 6 | undefined;
}

/** Verbs that show, cut short or not. */
export function shows(verb: string | undefined): boolean {
  return verb === undefined || ['show', 'list', 'lst', 'ls'].some((word) => word.startsWith(verb));
}

/** The full name of a verb. @throws Exit */
export function verbOf<T extends string>(object: string, verb: string, verbs: readonly T[]): T {
  const found = verbs.find((one) => one.startsWith(verb));
  if (found) return found;
  throw new Exit(255, `Command "${verb}" is unknown, try "ip ${object} help".`);
}

/** What the kernel says to a request it refuses. */
export function answers(error: string, status = 2): Exit {
  return new Exit(status, `RTNETLINK answers: ${error}`);
}

/** The kernel's own words for it (extended acknowledgement). */
export function refused(words: string): Exit {
  return new Exit(2, `Error: ${words}`);
}

type Read<T extends string> = { [K in T]?: string } & {
  /** The word that is neither a keyword nor the value of one. */
  operand?: string;
  flags: ReadonlySet<string>;
};

/** `dev eth0 lladdr … permanent` → { dev, lladdr, flags }. @throws Exit for a word too many, or a missing value */
export function keywords<T extends string>(
  words: readonly string[],
  names: readonly T[],
  flags: readonly string[] = [],
): Read<T> {
  const found: Partial<Record<string, string>> = {};
  const set = new Set<string>();
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? '';
    const name = names.find((one) => one === word);
    if (name !== undefined) {
      const value = words[++i];
      if (value === undefined) throw new Exit(255, 'Command line is not complete. Try option "help"');
      if (found[name] !== undefined) throw new Exit(255, `Error: duplicate "${name}": "${value}" is the second value.`);
      found[name] = value;
    } else if (flags.includes(word)) set.add(word);
    else if (found.operand === undefined) found.operand = word;
    else throw new Exit(255, `Error: either "to" is duplicate, or "${word}" is a garbage.`);
  }
  return { ...found, flags: set } as unknown as Read<T>;
}

/** @throws Exit */
export function deviceOf(namespace: Namespace, name: string): Device {
  const device = namespace.devices.get(name);
  if (!device) throw new Exit(1, `Cannot find device "${name}"`);
  return device;
}
