/**
 * The C reference, bench/native/mesh.c: built with the system's compiler where there is one, and driven by lines. It stages
 * the same traffic as bench/steady.ts, and times it itself.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { masked } from './frames.js';

const COMPILERS = ['cc', 'gcc', 'clang'];
const FLAGS = ['-O3', '-march=native'];

function root(folder: string): string {
  return existsSync(join(folder, 'asconfig.json')) ? folder : root(dirname(folder));
}

/** The built program, or why there is none. */
export function build(): { program: string } | { skipped: string } {
  const top = root(dirname(fileURLToPath(import.meta.url)));
  const source = join(top, 'bench/native/mesh.c');
  const program = join(top, 'build/native/mesh');
  if (process.arch !== 'x64') return { skipped: `it is written for x64, and this is ${process.arch}` };
  const newest = Math.max(...readdirSync(dirname(source)).map((name) => statSync(join(dirname(source), name)).mtimeMs));
  if (existsSync(program) && statSync(program).mtimeMs > newest) return { program };
  mkdirSync(dirname(program), { recursive: true });
  for (const compiler of COMPILERS) {
    try {
      execFileSync(compiler, [...FLAGS, '-o', program, source], { stdio: 'pipe' });
      return { program };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return { skipped: String((error as Error).message) };
    }
  }
  return { skipped: `there is no C compiler (${COMPILERS.join(', ')})` };
}

export interface NativeBooks {
  /** Digests of the frames that went in, and of those that left, masked. */
  in: string;
  out: string;
  drops: number;
  inPackets: number;
  outPackets: number;
  opened: number;
}

/** One row's traffic over the flows that a C reference has. */
export interface NativeRow {
  /** Least and median time of so many batches, ns. */
  run(batches: number): Promise<{ least: number; median: number }>;
  verify(batches: number): Promise<NativeBooks>;
}

export class Native {
  #rows = 0;
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = [];

  constructor(program: string) {
    this.#child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    this.#lines.on('line', (line) => this.#waiting.shift()?.resolve(line));
    this.#child.on('exit', (code) => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(`the C reference ended with ${code}`));
    });
  }

  #ask(line: string, ...bytes: Uint8Array[]): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#child.stdin?.write(`${line}\n`);
      for (const piece of bytes) this.#child.stdin?.write(piece);
    });
  }

  async configure(numbers: (number | bigint)[]): Promise<void> {
    await this.#ask(`config ${numbers.join(' ')}`);
  }
  /** Established flows, the order in which their data comes, and the headers of each. */
  async flows(size: number, back: boolean, step: number, order: Uint32Array, headers: Uint8Array): Promise<NativeRow> {
    const row = this.#rows++;
    const bytes = new Uint8Array(order.buffer, order.byteOffset, order.byteLength);
    await this.#ask(`flows ${row} ${order.length} ${size} ${back ? 1 : 0} ${step}`, bytes, headers);
    return { run: (batches) => this.#run(row, batches), verify: (batches) => this.#verify(row, batches) };
  }
  /** Untimed frames, as they are; the digest of what leaves. */
  pass(frames: readonly Uint8Array[], back: boolean): Promise<string> {
    const lengths = frames.map(({ length }) => new Uint8Array(Uint32Array.of(length).buffer));
    return this.#ask(
      `pass ${frames.length} ${back ? 1 : 0}`,
      ...frames.flatMap((frame, i) => [lengths[i] ?? frame, frame]),
    );
  }
  async #run(row: number, batches: number): Promise<{ least: number; median: number }> {
    const answer = await this.#ask(`run ${row} ${batches}`);
    const [least = Number.NaN, median = Number.NaN] = answer.split(' ').map(Number);
    return { least, median };
  }
  async #verify(row: number, batches: number): Promise<NativeBooks> {
    const answer = await this.#ask(`verify ${row} ${batches}`);
    const [into = '', out = '', drops, inPackets, outPackets, opened] = answer.split(' ');
    return {
      in: into,
      out,
      drops: Number(drops),
      inPackets: Number(inPackets),
      outPackets: Number(outPackets),
      opened: Number(opened),
    };
  }
  end(): void {
    this.#child.removeAllListeners('exit');
    this.#child.stdin?.end();
  }
}

/** FNV-1a, 64 bits, byte by byte, as mesh.c has it. */
export class Digest {
  #high = 0xcbf29ce4;
  #low = 0x84222325;

  add(bytes: Uint8Array): void {
    // × 0x100000001b3 by halves: 2^40 and 0x1b3.
    let high = this.#high;
    let low = this.#low;
    for (const byte of bytes) {
      low = (low ^ byte) >>> 0;
      const product = low * 0x1b3;
      high = (Math.imul(high, 0x1b3) + Math.floor(product / 4294967296) + (low << 8)) >>> 0;
      low = product >>> 0;
    }
    this.#high = high;
    this.#low = low;
  }
  addOut(frame: Uint8Array, encapsulated: boolean): void {
    this.add(encapsulated ? masked(frame) : frame);
  }
  toString(): string {
    return this.#high.toString(16).padStart(8, '0') + this.#low.toString(16).padStart(8, '0');
  }
}
