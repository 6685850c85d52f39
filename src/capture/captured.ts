/** Frames kept in memory, for tests: fields by the names that Wireshark's display filters have for them. */

import { fieldsOf } from '../dissect/fields.js';
import { layersOf } from '../dissect/layers.js';
import { pcapngHeader } from './pcapng.js';
import { readCapture } from './read.js';

export class Captured {
  #fields: Map<string, string[]> | undefined;

  constructor(
    /** `node/namespace/device` */
    readonly tap: string,
    /** ns since 1970 */
    readonly time: bigint,
    readonly data: Uint8Array,
    readonly direction: 'received' | 'transmitted' | undefined,
  ) {}

  /** The layers from the outside in: `eth:ip:udp:vxlan:eth:ip:tcp`. */
  get protocols(): string {
    return layersOf(this.data)
      .map(({ name }) => name)
      .join(':');
  }

  /** The innermost value of a field (`ip.dst`, `vxlan.vni`, `tcp.dstport`), or undefined. */
  field(name: string): string | undefined {
    return this.all(name).at(-1);
  }

  /** Every value of a field, outermost first: `ip.src` of a VXLAN frame has two. */
  all(name: string): string[] {
    this.#fields ??= this.#read();
    return this.#fields.get(name) ?? [];
  }

  #read(): Map<string, string[]> {
    const found = new Map<string, string[]>();
    for (const { name, value } of fieldsOf(this.data, layersOf(this.data))) {
      if (value === undefined) continue;
      found.set(name, [...(found.get(name) ?? []), value]);
    }
    return found;
  }
}

/** Finished records as the engine hands them over, of taps with these names, in time order. */
export function capturedFrames(taps: readonly string[], records: readonly Uint8Array[]): Captured[] {
  const header = pcapngHeader(taps.map((name) => ({ name })));
  const bytes = new Uint8Array(records.reduce((sum, { length }) => sum + length, header.length));
  bytes.set(header);
  let at = header.length;
  for (const record of records) {
    bytes.set(record, at);
    at += record.length;
  }
  return readCapture(bytes)
    .frames.map((frame) => new Captured(taps[frame.interface] ?? '', frame.time, frame.data, frame.direction))
    .sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
}
