/**
 * What the reading of one file has to say: reasons to refuse it, and notices about keys that have no effect.
 * Problems are gathered, so that an author sees all of them at once.
 */
import type { EngineVersion } from '../topology/daemon.js';
import { type Notice, type Place, type Problem, StackFileError } from './error.js';
import { Places } from './places.js';

interface Collected {
  where: Place;
  why: string;
  owners: string[];
}

export class Findings {
  readonly places = new Places();
  /** Which engine the file is read for: what keys and options mean hangs on it. */
  engine: EngineVersion = '20.10';
  /** What was understood in another way than its author may expect: unset variables, host addresses of ports. */
  readonly warnings: Notice[] = [];
  readonly #file: string;
  readonly #problems: Problem[] = [];
  readonly #ignored = new Map<string, Collected>();
  readonly #unsupported = new Map<string, Collected>();

  constructor(file: string) {
    this.#file = file;
  }

  refuse(where: Place, message: string, hint?: string): void {
    this.#problems.push(hint === undefined ? { ...where, message } : { ...where, message, hint });
  }

  warn(key: string, where: Place, message: string): void {
    this.warnings.push({ key, where, message });
  }

  /** A key that a stack deployment ignores, or that has no bearing on a simulated network. Named once, with all its owners. */
  ignore(key: string, where: Place, why: string, owner?: string): void {
    collect(this.#ignored, key, where, why, owner);
  }

  /** A key that does bear on networks, and that swarmwire does not carry out yet. */
  unsupport(key: string, where: Place, why: string, owner?: string): void {
    collect(this.#unsupported, key, where, why, owner);
  }

  get ignored(): Notice[] {
    return notices(this.#ignored);
  }

  get unsupported(): Notice[] {
    return notices(this.#unsupported);
  }

  /** Goes on only if nothing was refused. @throws StackFileError */
  settle(): void {
    const [first, ...rest] = this.#problems;
    if (first !== undefined) throw new StackFileError(this.#file, [first, ...rest]);
  }

  /** Refuses at once, where reading on would make no sense. @throws StackFileError */
  stop(where: Place, message: string, hint?: string): never {
    this.refuse(where, message, hint);
    this.settle();
    throw new Error('unreachable: settle() throws when there is a problem');
  }
}

function collect(
  into: Map<string, Collected>,
  key: string,
  where: Place,
  why: string,
  owner: string | undefined,
): void {
  // A key may be without effect for two reasons (`ports.mode` of two kinds): each is said once.
  const id = `${key}\n${why}`;
  const known = into.get(id) ?? { where, why, owners: [] };
  if (owner !== undefined && !known.owners.includes(owner)) known.owners.push(owner);
  into.set(id, known);
}

function notices(from: Map<string, Collected>): Notice[] {
  return [...from].map(([id, { where, why, owners }]) => {
    const key = id.slice(0, id.indexOf('\n'));
    const of = owners.length === 0 ? '' : ` (${owners.join(', ')})`;
    return { key, where, message: `${key}${of}: ${why}` };
  });
}
