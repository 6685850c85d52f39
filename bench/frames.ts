/** The frames of the benchmark, byte by byte: what a client sends to a published port, and what a task's node sends back. */

import { concat, ethernet, get16, get32, ipv4, put16, put32, sealAll, TCP, TYPE_IPV4, UDP, udp } from './headers.js';

export const FIN = 1;
export const SYN = 2;
export const ACK = 16;

export interface Flow {
  protocol: 'tcp' | 'udp';
  /** Client's address and port; node's address and published port. */
  source: number;
  sport: number;
  destination: number;
  dport: number;
}

/** A frame of `size` bytes of this flow, padded behind the packet where headers alone are shorter (as a short frame is). */
export function fromClient(
  flow: Flow,
  macs: { to: Uint8Array; from: Uint8Array },
  size: number,
  flags: number,
): Uint8Array {
  const header = flow.protocol === 'tcp' ? 20 : 8;
  const data = new Uint8Array(flags & SYN ? 0 : Math.max(0, size - 14 - 20 - header)).fill(0x78);
  const payload =
    flow.protocol === 'udp' ? udp(flow.sport, flow.dport, data) : segment(flow, 1, flags & SYN ? 0 : 1, flags, data);
  const protocol = flow.protocol === 'udp' ? UDP : TCP;
  const packet = ipv4({ source: flow.source, destination: flow.destination, protocol, fragment: 0x4000 }, payload);
  const frame = ethernet(macs.to, macs.from, TYPE_IPV4, packet);
  return frame.length < size ? concat(frame, new Uint8Array(size - frame.length)) : frame;
}

export function segment(
  flow: Pick<Flow, 'sport' | 'dport'>,
  sequence: number,
  acknowledgment: number,
  flags: number,
  data: Uint8Array,
): Uint8Array {
  const bytes = concat(new Uint8Array(20), data);
  put16(bytes, 0, flow.sport);
  put16(bytes, 2, flow.dport);
  put32(bytes, 4, flags & SYN ? 0 : sequence);
  put32(bytes, 8, acknowledgment);
  bytes[12] = 5 << 4;
  bytes[13] = flags;
  put16(bytes, 14, 65535);
  return bytes;
}

const OUTER = 14 + 20 + 8 + 8;
const INNER_IP = OUTER + 14;
const INNER_L4 = INNER_IP + 20;

/**
 * What answers an encapsulated frame that left the node: the other way through the tunnel, with `size` bytes in the inner
 * frame. The task's number begins at 0, as the client's does.
 */
export function answerTo(sent: Uint8Array, size: number, flags: number): Uint8Array {
  const tcp = sent[INNER_IP + 9] === TCP;
  const headers = 14 + 20 + (tcp ? 20 : 8);
  const data = new Uint8Array(flags & SYN ? 0 : Math.max(0, size - headers)).fill(0x79);
  const inner = Math.max(headers + data.length, size);
  const frame = new Uint8Array(OUTER + inner);
  frame.set(sent.subarray(0, OUTER + headers));
  frame.set(data, OUTER + headers);
  for (const [a, b, bytes] of [
    [0, 6, 6],
    [26, 30, 4],
    [OUTER, OUTER + 6, 6],
    [INNER_IP + 12, INNER_IP + 16, 4],
    [INNER_L4, INNER_L4 + 2, 2],
  ] as const) {
    frame.set(sent.subarray(a, a + bytes), b);
    frame.set(sent.subarray(b, b + bytes), a);
  }
  put16(frame, 16, frame.length - 14);
  put16(frame, 38, frame.length - 34);
  put16(frame, 18, 0);
  // The other node's own choice for this flow; the destination is VXLAN's on either way.
  put16(frame, 34, 32768 + ((get16(sent, INNER_L4) * 40503 + (sent[INNER_IP + 19] ?? 0)) % 28231));
  put16(frame, 36, 4789);
  put16(frame, INNER_IP + 2, headers - 14 + data.length);
  frame[INNER_IP + 8] = 64;
  if (tcp) {
    put32(frame, INNER_L4 + 4, flags & SYN ? 0 : 1);
    put32(frame, INNER_L4 + 8, 1);
    frame[INNER_L4 + 12] = 5 << 4;
    frame[INNER_L4 + 13] = flags;
    put16(frame, INNER_L4 + 14, 65535);
  } else put16(frame, INNER_L4 + 4, 8 + data.length);
  return sealAll(frame);
}

/** What an encapsulated frame says of its flow. */
export function insideOf(frame: Uint8Array): { task: number; sport: number; dport: number; vni: number } {
  return {
    task: get32(frame, INNER_IP + 16),
    sport: get16(frame, INNER_L4),
    dport: get16(frame, INNER_L4 + 2),
    vni: get32(frame, OUTER - 4) >>> 8,
  };
}

/** Are all checksums of a frame right, and those of the frame inside? */
export function sound(frame: Uint8Array): boolean {
  const again = sealAll(frame.slice());
  return again.every((byte, at) => byte === frame[at]);
}

/** Masked as `npm run conformance` does: an outer packet's id and source port, with the checksums over them. */
export function masked(frame: Uint8Array): Uint8Array {
  const copy = frame.slice();
  for (const at of [18, 24, 34, 40]) copy.fill(0, at, at + 2);
  return copy;
}

/** How many bytes at the beginning tell one flow's frames from another's. */
export const HEADERS = { out: 14 + 20 + 20, back: INNER_L4 + 20 };

/** Moves a TCP segment on by `by` bytes in its stream; the checksum follows (RFC 1624). `l4` is where the segment begins. */
export function advance(bytes: Uint8Array, l4: number, by: number): void {
  const before = get16(bytes, l4 + 6);
  const after = (before + by) & 0xffff;
  put16(bytes, l4 + 6, after);
  let sum = (~get16(bytes, l4 + 16) & 0xffff) + (~before & 0xffff) + after;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  put16(bytes, l4 + 16, ~sum & 0xffff);
}
export const SEGMENT = { out: 14 + 20, back: INNER_L4 };

/** A segment without data. */
export function control(flow: Flow, macs: { to: Uint8Array; from: Uint8Array }, flags: number): Uint8Array {
  return fromClient(flow, macs, HEADERS.out, flags);
}
/** What answers an encapsulated frame, without data. */
export function controlBack(sent: Uint8Array, flags: number): Uint8Array {
  return answerTo(sent, HEADERS.out, flags);
}
