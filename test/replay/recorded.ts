/** The recorded scenarios of `test/oracle/`, opened from the disk; and frames of theirs with something changed. */

import { existsSync, readFileSync } from 'node:fs';
import type { RealTap, TapFrame, TapFrames } from '../../src/replay/compare.js';
import { loadScenario, type ReadFile, type Scenario } from '../../src/replay/scenario.js';

export const SCENARIOS = ['S6-ingress', 'S7-ingress-one'] as const;

export function filesOf(name: string): ReadFile {
  const folder = new URL(`../oracle/${name}/`, import.meta.url);
  return (file) => {
    const path = new URL(file, folder);
    return existsSync(path) ? readFileSync(path) : undefined;
  };
}

export function recorded(name: string): Scenario {
  return loadScenario(name, filesOf(name));
}

/** One tap of a scenario. */
export function tapOf(scenario: string, tap: string): RealTap {
  const found = recorded(scenario)
    .realTaps()
    .find((candidate) => candidate.tap === tap);
  if (found === undefined) throw new Error(`no tap ${tap} in ${scenario}`);
  return found;
}

/** The frames of a tap, as if ours had seen the same. */
export function sameAs(real: RealTap): { tap: string; frames: TapFrame[] } & TapFrames {
  return { tap: real.tap, frames: real.frames.map((frame) => ({ ...frame, data: new Uint8Array(frame.data) })) };
}

export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value & 0xff;
}

export function get16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

/** RFC 1071 in its plainest form. */
function complement(bytes: Uint8Array, start: number, end: number, initial: number): number {
  let sum = initial;
  for (let at = start; at < end; at += 2) sum += ((bytes[at] ?? 0) << 8) | (at + 1 < end ? (bytes[at + 1] ?? 0) : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Sets the IPv4 header checksum and the TCP, UDP or ICMP checksum of a packet whose header is at `ip`, 20 bytes long. */
export function withChecksums(bytes: Uint8Array, ip = 14): Uint8Array {
  put16(bytes, ip + 10, 0);
  put16(bytes, ip + 10, complement(bytes, ip, ip + 20, 0));
  const start = ip + 20;
  const end = ip + get16(bytes, ip + 2);
  const protocol = bytes[ip + 9] ?? 0;
  const at = start + ({ 6: 16, 17: 6, 1: 2 }[protocol] ?? 0);
  put16(bytes, at, 0);
  let pseudo = 0;
  if (protocol !== 1) {
    for (let word = ip + 12; word < ip + 20; word += 2) pseudo += get16(bytes, word);
    pseudo += protocol + (end - start);
  }
  put16(bytes, at, complement(bytes, start, end, pseudo));
  return bytes;
}

/** A copy of a frame with bytes written over it. */
export function changed(frame: Uint8Array, change: (bytes: Uint8Array) => void): Uint8Array {
  const bytes = new Uint8Array(frame);
  change(bytes);
  return bytes;
}

/** The recording, but for its first SYN-ACK, which now left so much earlier: in `inputs.json` and in its capture. */
export function withEarlySynAck(read: ReadFile, earlier: number): ReadFile {
  const text = new TextDecoder().decode(read('inputs.json'));
  const [line = '', time, pcap = '', number] =
    /\{"time": (\d+), "pcap": "([^"]+)", "frame": (\d+),[^}]*"tcp-synack"/.exec(text) ?? [''];
  const start = BigInt(/"start": (\d+)/.exec(text)?.[1] ?? 0);
  const when = Number(time) - earlier;
  return (name) => {
    if (name === 'inputs.json') return new TextEncoder().encode(text.replace(line, line.replace(`${time}`, `${when}`)));
    const bytes = read(name);
    if (name !== pcap || bytes === undefined) return bytes;
    const changed = new Uint8Array(bytes);
    const view = new DataView(changed.buffer);
    let at = 24;
    for (let frame = 1; frame < Number(number); frame += 1) at += 16 + view.getUint32(at + 8, true);
    view.setUint32(at, Number((start + BigInt(when)) / 1_000_000_000n), true);
    view.setUint32(at + 4, Number((start + BigInt(when)) % 1_000_000_000n), true);
    return changed;
  };
}
