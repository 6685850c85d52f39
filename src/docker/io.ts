/**
 * A container's streams: standard input from whoever is attached, output to all who are attached and into the log. Without a
 * terminal, output is framed as the Engine API has it: [stream, 0, 0, 0, length (4 bytes, big endian)], then the bytes.
 */

import { joined } from '../bytes.js';
import { type Output, Pipe, Terminal } from '../programs/index.js';

export type StreamName = 'stdout' | 'stderr';

export interface LogEntry {
  stream: StreamName;
  /** ns since 1970 */
  time: bigint;
  data: Uint8Array;
}

/** Somebody who looks on. */
export interface Watcher {
  onOutput(entry: LogEntry): void;
  onEnd?(): void;
}

/** json-file's log of a container that never stops grows; only so many entries are kept. */
const KEPT = 20_000;
const STREAMS: Record<StreamName, number> = { stdout: 1, stderr: 2 };

export class ContainerIo {
  readonly log: LogEntry[] = [];
  readonly #watchers = new Set<Watcher>();
  stdin = new Pipe();
  #terminal: Terminal | undefined;
  #over = false;
  /** Ctrl-C on the terminal. */
  onInterrupt: () => void = () => {};
  readonly #last: Record<StreamName, Uint8Array> = { stdout: new Uint8Array(), stderr: new Uint8Array() };

  constructor(
    readonly tty: boolean,
    private readonly now: () => bigint,
  ) {
    this.#open();
  }

  /** The container starts. What was typed before its first start is there; what was left over from a life before is gone. */
  start(): void {
    if (!this.#over) return;
    this.#over = false;
    this.#open();
  }

  #open(): void {
    this.stdin = new Pipe();
    this.#terminal = this.tty
      ? new Terminal({ write: (data) => this.#emit('stdout', data) }, this.stdin, () => this.onInterrupt())
      : undefined;
  }

  output(stream: StreamName): Output {
    return this.#terminal ?? { write: (data) => this.#emit(stream, data) };
  }

  #emit(stream: StreamName, data: string | Uint8Array): void {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data.slice();
    if (bytes.length === 0) return;
    const entry = { stream, time: this.now(), data: bytes };
    for (const watcher of this.#watchers) watcher.onOutput(entry);
    this.#keep(entry);
  }

  /** A log entry is a line. */
  #keep({ stream, time, data }: LogEntry): void {
    let from = 0;
    const whole = joined([this.#last[stream], data]);
    for (let at = whole.indexOf(10); at >= 0; at = whole.indexOf(10, from)) {
      this.log.push({ stream, time, data: whole.subarray(from, at + 1) });
      from = at + 1;
    }
    this.#last[stream] = whole.slice(from);
    if (this.log.length > KEPT) this.log.splice(0, this.log.length - KEPT);
  }

  /** From a keyboard, or from a pipe. */
  type(data: Uint8Array): void {
    if (this.#terminal) this.#terminal.type(data);
    else this.stdin.write(data);
  }

  /** Whoever comes when the process has ended is told so at once. */
  watch(watcher: Watcher): () => void {
    if (this.#over) watcher.onEnd?.();
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** The process has ended. */
  end(): void {
    this.#over = true;
    for (const stream of ['stdout', 'stderr'] as const) {
      const rest = this.#last[stream];
      if (rest.length > 0) this.log.push({ stream, time: this.now(), data: rest });
      this.#last[stream] = new Uint8Array();
    }
    for (const { onEnd } of [...this.#watchers]) onEnd?.();
  }
}

/** As the client wants it on the wire. */
export function framed({ stream, data }: LogEntry, tty: boolean): Uint8Array {
  return tty ? data : frameOf(STREAMS[stream], data);
}

export function frameOf(stream: number, data: Uint8Array): Uint8Array {
  const frame = new Uint8Array(8 + data.length);
  frame[0] = stream;
  new DataView(frame.buffer).setUint32(4, data.length);
  frame.set(data, 8);
  return frame;
}
