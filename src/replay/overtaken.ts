/**
 * A reply that is injected before the frame that it answers has arrived. Links of a replay take no time, so an answer that
 * was sent in reality comes late enough here; should it overtake its question all the same, connections and neighbours on the
 * way meet the two in the wrong order, and what the taps then see says nothing about the engine: it is the replay's own error.
 *
 * What a frame answers, the real capture of the device where it is injected shows: the frame before it that came the other
 * way between the same two addresses. Whatever a stack had taken in before it spoke must have arrived here too.
 */

import { type Layer, layersOf, u16 } from '../dissect/layers.js';
import { ipv4, ipv6 } from '../dissect/notation.js';
import type { RealTap, TapComparison, TapFrame } from './compare.js';
import type { Stimulus } from './scenario.js';

export interface Overtaking {
  /** `namespace/device`, where the reply is injected. */
  tap: string;
  /** Number of the reply, and of the frame that it answers, in the real capture. */
  reply: number;
  answered: number;
  /** When the reply was injected, ns, and how much later the frame that it answers arrived. */
  time: number;
  late: number;
}

/** Replies among what was injected that overtook the frames that they answer. `sights` are those of the comparison. */
export function overtakings(
  injected: readonly Stimulus[],
  start: bigint,
  compared: readonly { real: RealTap; ours: readonly TapFrame[]; sights: TapComparison['sights'] }[],
): Overtaking[] {
  const found: Overtaking[] = [];
  for (const { real, ours, sights } of compared) {
    const replies = new Map<number, Stimulus>();
    for (const stimulus of injected) if (stimulus.pcap === real.pcap) replies.set(stimulus.frame, stimulus);
    if (replies.size === 0) continue;
    /** Conversation and side → the last frame from that side. */
    const last = new Map<string, number>();
    for (const [index, { data }] of real.frames.entries()) {
      const number = index + 1;
      const conversation = conversationOf(data);
      if (conversation === undefined) continue;
      const { from, to } = conversation;
      const reply = replies.get(number);
      const answered = last.get(`${to} ${from}`);
      last.set(`${from} ${to}`, number);
      if (reply === undefined || answered === undefined) continue;
      const sight = ours[(sights.get(answered) ?? 0) - 1];
      if (sight === undefined) continue;
      const late = Number(sight.time - start) - reply.time;
      if (late > 0) found.push({ tap: real.tap, reply: number, answered, time: reply.time, late });
    }
  }
  return found.sort((one, other) => one.time - other.time);
}

/** Who speaks to whom, of a frame without a tunnel. */
function conversationOf(data: Uint8Array): { from: string; to: string } | undefined {
  const [, layer, ...rest] = layersOf(data).filter(({ name }) => name !== 'vlan');
  switch (layer?.name) {
    case 'arp':
      // A conversation of its own: what a socket says is not the answer to an ARP reply, but what asked for it.
      return { from: `arp ${ipv4(data, layer.start + 14)}`, to: `arp ${ipv4(data, layer.start + 24)}` };
    case 'ip':
    case 'ipv6': {
      // An error answers whoever sent what it quotes, whichever address it comes from.
      const ends = solicitation(data, rest[0]) ? soliciting(data, layer) : undefined;
      if (ends) return ends;
      const quoted = rest.find(({ name, quoted }) => quoted && (name === 'ip' || name === 'ipv6'));
      return quoted === undefined ? endsOf(data, layer, rest[0]) : turned(endsOf(data, quoted, undefined));
    }
    default:
      return undefined;
  }
}

/** Solicitations and advertisements are a conversation of their own, as ARP is. */
function solicitation(data: Uint8Array, header: Layer | undefined): boolean {
  const type = header?.name === 'icmpv6' ? data[header.start] : 0;
  return type === 135 || type === 136;
}
function soliciting(data: Uint8Array, ip: Layer): { from: string; to: string } {
  return { from: `nd ${ipv6(data, ip.start + 8)}`, to: `nd ${ipv6(data, ip.start + 24)}` };
}

function turned({ from, to }: { from: string; to: string }): { from: string; to: string } {
  return { from: to, to: from };
}

/** A host that speaks to itself is told from itself by its port. */
function endsOf(data: Uint8Array, ip: Layer, next: Layer | undefined): { from: string; to: string } {
  const address = ip.name === 'ip' ? ipv4 : ipv6;
  const [source, destination] = ip.name === 'ip' ? [12, 16] : [8, 24];
  const [from, to] = [address(data, ip.start + source), address(data, ip.start + destination)];
  const ports = next?.name === 'tcp' || next?.name === 'udp';
  if (from !== to || !ports) return { from, to };
  return { from: `${from}:${u16(data, next.start)}`, to: `${to}:${u16(data, next.start + 2)}` };
}

/** `node1.host/eth0: frame 7 was injected 1.2 ms after the start, but frame 6, which it answers, arrived 40 µs later …` */
export function describeOvertaking({ tap, reply, answered, time, late }: Overtaking): string {
  return (
    `${tap}: frame ${reply}, injected ${(time / 1e6).toFixed(3)} ms after the first one, would overtake frame ${answered}, ` +
    `which it answers and which arrived there ${(late / 1e3).toFixed(3)} µs later`
  );
}
