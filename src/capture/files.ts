/**
 * Capture files on disk: one pcapng that holds every tap, or a pcap a tap. Node only; what is in the files is `pcapng.ts`'s and
 * `pcap.ts`'s business.
 *
 * Bytes go to a temporary name beside the goal (`.NAME.PID.part`) and get the real name when all is written, so that nobody
 * meets half a capture. Frames are written as they come: a file may be larger than memory.
 */

import { appendFileSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { OrderedSink } from './ordered.js';
import type { PacketBlock } from './packet-block.js';
import { pcapHeader, pcapRecord } from './pcap.js';
import { pcapngHeader, type TapDescription } from './pcapng.js';
import type { CaptureSink } from './recording.js';
import { type ByteFile, WriteBehind, WriteThrough } from './write-behind.js';

export type CaptureFormat = 'pcapng' | 'pcap';

/** A file or its folder cannot be written. */
export class CaptureFileError extends Error {
  override name = 'CaptureFileError';
}

export interface WrittenFile {
  path: string;
  bytes: number;
  frames: number;
  /** `node/namespace/device`, of a file that holds one tap. */
  tap?: string;
}

export interface CaptureFile extends CaptureSink {
  /** Bytes that the system has still to write, and until `most` are left: only in the background are there any. */
  readonly waiting: number;
  settle(most?: number): Promise<void>;
  /** Completes what was written and gives it its name. */
  finish(): WrittenFile[];
  /** Leaves nothing behind, and takes nothing more. */
  discard(): Promise<void>;
}

/** As many bytes gather before they are written. */
const CHUNK = 1 << 20;

/**
 * Opens `DIRECTORY/NAME.pcapng`, or the folder `DIRECTORY/NAME/` for pcap files; `directory` is made if it is not there.
 * `taps` gives the engine's taps as they are at the time: their number may grow while frames come. In the `background` the
 * system writes a pcapng while frames are made, and `settle` must come before `finish`.
 * @throws CaptureFileError
 */
export function openCapture(
  format: CaptureFormat,
  directory: string,
  name: string,
  taps: () => readonly TapDescription[],
  { background = false } = {},
): CaptureFile {
  return attempt(directory, () => {
    makeDirectory(directory);
    return format === 'pcapng'
      ? new PcapngFile(join(directory, `${name}.pcapng`), taps, background)
      : new PcapFolder(join(directory, name), taps);
  });
}

/** `node1/host/eth0` → `node1.host.eth0.pcap`, as the captures of a real swarm in `test/oracle` are named. */
export function pcapName(tap: string): string {
  return `${tap.replaceAll('/', '.').replace(/[^\p{L}\p{N}._@-]/gu, '_')}.pcap`;
}

/** Writes one tap's frames, in the order given, under a temporary name first. @throws CaptureFileError */
export function writePcap(path: string, frames: readonly { time: bigint; data: Uint8Array }[]): WrittenFile {
  return attempt(path, () => {
    makeDirectory(dirname(path));
    const part = temporary(path);
    appendFileSync(part, Buffer.concat([pcapHeader(), ...frames.map(pcapRecord)]));
    renameSync(part, path);
    return { path, bytes: statSync(path).size, frames: frames.length };
  });
}

export class PcapngFile implements CaptureFile, OrderedSink {
  readonly #path: string;
  readonly #part: string;
  readonly #file: ByteFile;
  readonly #taps: () => readonly TapDescription[];
  #chunks: Uint8Array[] = [];
  #gathered = 0;
  /** Interfaces that the file describes so far. */
  #described = 0;
  #frames = 0;
  #bytes = 0;

  constructor(path: string, taps: () => readonly TapDescription[], background: boolean) {
    this.#path = path;
    this.#part = temporary(path);
    this.#taps = taps;
    this.#file = background ? new WriteBehind(this.#part) : new WriteThrough(this.#part);
    this.#put(pcapngHeader([]));
  }

  write(block: PacketBlock): void {
    if (block.interface >= this.#described) this.#describe();
    this.#put(block.bytes);
    this.#frames++;
  }

  writeOrdered(records: Uint8Array, frames: number): void {
    this.#describe();
    this.#flush();
    attempt(this.#path, () => this.#file.write(records));
    this.#bytes += records.length;
    this.#frames += frames;
  }

  /** Records may be put into these pieces, by whoever lends them (write-behind.ts): before all frames, and in the background only. */
  borrow(pieces: readonly Uint8Array[]): void {
    this.#behind.borrow(pieces);
  }

  /**
   * `put` gets the place where the next records go, in a piece that was lent, and how many bytes are wanted there; it says what it has
   * put there, whose last record may be longer.
   */
  fill(put: (rest: Uint8Array, wanted: number) => { bytes: number; frames: number }): void {
    this.#describe();
    this.#flush();
    const file = this.#behind;
    const { bytes, frames } = put(file.rest, file.wanted);
    attempt(this.#path, () => file.added(bytes));
    this.#bytes += bytes;
    this.#frames += frames;
  }

  get #behind(): WriteBehind {
    if (this.#file instanceof WriteBehind) return this.#file;
    throw new Error('only a capture that is written in the background takes records in pieces that were lent');
  }

  /** An interface must be described before its first frame, not before everything else: taps may be added in a run. */
  #describe(): void {
    const taps = this.#taps();
    if (taps.length === this.#described) return;
    const added = taps.slice(this.#described);
    this.#put(pcapngHeader(added).subarray(pcapngHeader([]).length));
    this.#described = taps.length;
  }

  #put(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.#gathered += bytes.length;
    if (this.#gathered >= CHUNK) this.#flush();
  }

  #flush(): void {
    if (this.#gathered === 0) return;
    attempt(this.#path, () => this.#file.write(Buffer.concat(this.#chunks)));
    this.#bytes += this.#gathered;
    this.#chunks = [];
    this.#gathered = 0;
  }

  get waiting(): number {
    return this.#file.waiting;
  }

  async settle(most?: number): Promise<void> {
    if (most === undefined) {
      this.#describe();
      this.#flush();
    }
    await this.#file.settle(most).catch((error) => {
      throw refused(this.#path, error);
    });
  }

  finish(): WrittenFile[] {
    this.#describe();
    this.#flush();
    return attempt(this.#path, () => {
      this.#file.close();
      renameSync(this.#part, this.#path);
      return [{ path: this.#path, bytes: this.#bytes, frames: this.#frames }];
    });
  }

  async discard(): Promise<void> {
    await this.#file.discard();
    rmSync(this.#part, { force: true });
  }
}

interface PcapPart {
  tap: string;
  chunks: Uint8Array[];
  gathered: number;
  bytes: number;
  frames: number;
}

/** A file per tap that saw frames. Files are opened to append only, so that their number is no matter. */
class PcapFolder implements CaptureFile {
  readonly waiting = 0;
  readonly #folder: string;
  readonly #part: string;
  readonly #taps: () => readonly TapDescription[];
  /** By interface. */
  readonly #files = new Map<number, PcapPart>();

  constructor(folder: string, taps: () => readonly TapDescription[]) {
    this.#folder = folder;
    this.#part = temporary(folder);
    this.#taps = taps;
    // What another run of this process number left behind when it was killed.
    rmSync(this.#part, { recursive: true, force: true });
    mkdirSync(this.#part);
  }

  write(block: PacketBlock): void {
    let file = this.#files.get(block.interface);
    if (!file) {
      const tap = this.#taps()[block.interface]?.name ?? `tap-${block.interface}`;
      file = { tap, chunks: [], gathered: 0, bytes: 0, frames: 0 };
      this.#files.set(block.interface, file);
      this.#put(file, pcapHeader());
    }
    this.#put(file, pcapRecord(block));
    file.frames++;
  }

  #put(file: PcapPart, bytes: Uint8Array): void {
    file.chunks.push(bytes);
    file.gathered += bytes.length;
    if (file.gathered >= CHUNK) this.#flush(file);
  }

  #flush(file: PcapPart): void {
    attempt(this.#folder, () => appendFileSync(join(this.#part, pcapName(file.tap)), Buffer.concat(file.chunks)));
    file.bytes += file.gathered;
    file.chunks = [];
    file.gathered = 0;
  }

  finish(): WrittenFile[] {
    for (const file of this.#files.values()) this.#flush(file);
    return attempt(this.#folder, () => {
      makeDirectory(this.#folder);
      // An earlier run's capture of a tap that saw nothing this time would pass for this run's. Other files stay.
      const ours = new Set(this.#taps().map(({ name }) => pcapName(name)));
      for (const old of readdirSync(this.#folder)) if (ours.has(old)) rmSync(join(this.#folder, old));
      const written = [...this.#files.values()].map(({ tap, bytes, frames }) => {
        const path = join(this.#folder, pcapName(tap));
        renameSync(join(this.#part, pcapName(tap)), path);
        return { path, bytes, frames, tap };
      });
      rmSync(this.#part, { recursive: true });
      return written.sort((a, b) => (a.path < b.path ? -1 : 1));
    });
  }

  async settle(): Promise<void> {}

  async discard(): Promise<void> {
    rmSync(this.#part, { recursive: true, force: true });
  }
}

/** With its parents. (Node's own `recursive` does not come back where a parent takes no entries, as in /proc.) */
export function makeDirectory(path: string): string {
  if (isDirectory(path)) return path;
  if (dirname(path) !== path) makeDirectory(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    // Another process may have been quicker.
    if (!isDirectory(path)) throw error;
  }
  return path;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function temporary(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}.part`);
}

const REASONS: Record<string, string> = {
  EACCES: 'permission denied',
  EEXIST: 'a file of that name is in the way',
  EISDIR: 'a directory of that name is in the way',
  ENOENT: 'no such directory, and none can be made there',
  ENOTDIR: 'part of the path is a file, not a directory',
  ENOSPC: 'no space is left on the disk',
  EROFS: 'the file system is read-only',
};

/** What the system refuses becomes a sentence about `path`. */
function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw refused(path, error as NodeJS.ErrnoException);
  }
}

function refused(path: string, error: NodeJS.ErrnoException): Error {
  if (error.code === undefined) return error;
  return new CaptureFileError(`cannot write ${path}: ${REASONS[error.code] ?? error.message}`, { cause: error });
}
