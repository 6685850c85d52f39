/** Files in memory over those that Docker writes. A new one goes into a directory that there is. */

import type { Files } from './process.js';

const DIRECTORIES = 'bin dev etc home lib proc root run sbin sys tmp usr var'.split(' ').map((name) => `/${name}`);
const ETC = ['hostname', 'hosts', 'resolv.conf'];

export class MemoryFiles implements Files {
  readonly #own = new Map<string, Uint8Array>();
  readonly #directories: readonly string[];

  constructor(
    private readonly below: (path: string) => string | undefined,
    /** Beside those that every machine has. */
    directories: readonly string[] = [],
  ) {
    this.#directories = [...DIRECTORIES, ...directories];
  }

  read(path: string): string | undefined {
    const name = absolute(path);
    const own = this.#own.get(name);
    return own ? new TextDecoder().decode(own) : this.below(name);
  }

  /** As it was written. */
  bytes(path: string): Uint8Array | undefined {
    const text = this.below(absolute(path));
    return this.#own.get(absolute(path)) ?? (text === undefined ? undefined : new TextEncoder().encode(text));
  }

  write(path: string, data: string | Uint8Array): boolean {
    const name = absolute(path);
    const folder = name.slice(0, name.lastIndexOf('/'));
    if (this.list(folder || '/') === undefined || this.list(name) !== undefined) return false;
    this.#own.set(name, typeof data === 'string' ? new TextEncoder().encode(data) : data.slice());
    return true;
  }

  /** False: it was not there, or is not ours to remove. */
  remove(path: string): boolean {
    return this.#own.delete(absolute(path));
  }

  list(path: string): string[] | undefined {
    const name = absolute(path).replace(/(.)\/$/, '$1');
    if (name !== '/' && !this.#directories.includes(name)) return undefined;
    const prefix = name === '/' ? '/' : `${name}/`;
    const inside = [...this.#own.keys(), ...this.#directories]
      .filter((one) => one.startsWith(prefix))
      .map((one) => one.slice(prefix.length))
      .filter((one) => !one.includes('/'));
    return [...new Set([...inside, ...(name === '/etc' ? ETC : [])])].sort();
  }
}

function absolute(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}
