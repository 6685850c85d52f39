/** A frame in tcpdump's words (print-*.c): one line, and one more for what VXLAN carries. Names of hosts are not looked up (`-n`). */

import { type Layer, layersOf, u16, u32 } from '../dissect/layers.js';
import { ipv4, ipv6, mac } from '../dissect/notation.js';
import { RCODE, readQuery, readResponse } from '../dns/message.js';

export interface LineOptions {
  /** `-e`: the Ethernet header, too. */
  link: boolean;
  time: boolean;
  /** Behind the time: where it was seen, with many interfaces. */
  place?: string;
}

/** First sequence numbers by direction: later ones are shown relative to them. */
export type Sequences = Map<string, number>;

export function frameLines(
  frame: Uint8Array,
  time: bigint,
  options: LineOptions,
  sequences: Sequences = new Map(),
): string {
  const layers = layersOf(frame);
  const stamp = options.time ? `${clock(time)} ` : '';
  return `${stamp}${options.place ?? ''}${options.link ? linkText(frame) : ''}${packet(frame, layers, 0, sequences)}\n`;
}

/** `04:27:59.184691`, UTC */
function clock(time: bigint): string {
  const day = new Date(Number(time / 1_000_000n)).toISOString().slice(11, 19);
  return `${day}.${String((time / 1000n) % 1_000_000n).padStart(6, '0')}`;
}

const ETHERTYPES: Record<number, string> = { 2048: 'IPv4', 2054: 'ARP', 34525: 'IPv6', 33024: '802.1Q' };

function linkText(frame: Uint8Array): string {
  const type = u16(frame, 12);
  const destination = mac(frame, 0);
  const name = ETHERTYPES[type] ?? 'Unknown';
  return `${mac(frame, 6)} > ${destination === 'ff:ff:ff:ff:ff:ff' ? 'Broadcast' : destination}, ethertype ${name} (0x${type.toString(16).padStart(4, '0')}), length ${frame.length}: `;
}

function packet(frame: Uint8Array, layers: readonly Layer[], depth: number, sequences: Sequences): string {
  const mine = layers.filter((layer) => layer.depth === depth && !layer.quoted);
  const vlan = mine.find(({ name }) => name === 'vlan');
  const tag = vlan ? `vlan ${u16(frame, vlan.start) & 0x0fff}, p ${(frame[vlan.start] ?? 0) >> 5}, ` : '';
  const arp = mine.find(({ name }) => name === 'arp');
  if (arp) return `${tag}${arpText(frame, arp)}`;
  const ip = mine.find(({ name }) => name === 'ip' || name === 'ipv6');
  if (!ip) return `${tag}ethertype Unknown, length ${frame.length}`;
  const six = ip.name === 'ipv6';
  const source = six ? ipv6(frame, ip.start + 8) : ipv4(frame, ip.start + 12);
  const destination = six ? ipv6(frame, ip.start + 24) : ipv4(frame, ip.start + 16);
  const head = `${tag}${six ? 'IP6' : 'IP'} `;
  const between = mine[mine.indexOf(ip) + 1];
  const length = ip.end - ip.body;
  const later = !six && (u16(frame, ip.start + 6) & 0x1fff) !== 0;
  if (later || !between)
    return `${head}${source} > ${destination}: ${later ? protocolName(frame[ip.start + 9] ?? 0) : 'ip-proto'}${later ? '' : ` ${frame[ip.start + 9]}`}`;
  const last = mine.find(({ name }) => ['tcp', 'udp', 'icmp', 'icmpv6', 'esp'].includes(name));
  if (!last) {
    const fragment = mine.find(({ name }) => name === 'ipv6-fragment');
    if (fragment)
      return `${head}${source} > ${destination}: frag (${u16(frame, fragment.start + 2) & 0xfff8}|${fragment.end - fragment.body})`;
    return `${head}${source} > ${destination}: ip-proto-${frame[ip.start + (six ? 6 : 9)]} ${length}`;
  }
  if (last.name === 'icmp') return `${head}${source} > ${destination}: ${icmpText(frame, last)}`;
  if (last.name === 'icmpv6') return `${head}${source} > ${destination}: ${icmp6Text(frame, last)}`;
  if (last.name === 'esp') {
    return `${head}${source} > ${destination}: ESP(spi=0x${hex(u32(frame, last.start))},seq=0x${u32(frame, last.start + 4).toString(16)}), length ${last.end - last.start}`;
  }
  const [from, to] = [u16(frame, last.start), u16(frame, last.start + 2)];
  const ends = `${head}${source}.${from} > ${destination}.${to}: `;
  if (last.name === 'tcp')
    return `${ends}${tcpText(frame, last, `${source}.${from} ${destination}.${to}`, `${destination}.${to} ${source}.${from}`, sequences)}`;
  const vxlan =
    mine.find(({ name }) => name === 'vxlan') ??
    layers.find(({ name, start }) => name === 'vxlan' && start === last.body);
  if (vxlan) {
    const flags = frame[vxlan.start] ?? 0;
    return `${ends}VXLAN, flags [${flags & 8 ? 'I' : '.'}] (0x${flags.toString(16).padStart(2, '0')}), vni ${u32(frame, vxlan.start + 4) >>> 8}\n${packet(frame, layers, depth + 1, sequences)}`;
  }
  if (from === 53 || to === 53) {
    const text = dnsText(frame.subarray(last.body, last.end));
    if (text) return `${ends}${text}`;
  }
  return `${ends}UDP, length ${last.end - last.body}`;
}

function arpText(frame: Uint8Array, { start }: Layer): string {
  const [sender, target] = [ipv4(frame, start + 14), ipv4(frame, start + 24)];
  if (u16(frame, start + 6) === 1) return `ARP, Request who-has ${target} tell ${sender}, length 28`;
  return `ARP, Reply ${sender} is-at ${mac(frame, start + 8)}, length 28`;
}

function icmpText(frame: Uint8Array, { start, end }: Layer): string {
  const [type, code] = [frame[start] ?? 0, frame[start + 1] ?? 0];
  const length = `length ${end - start}`;
  if (type === 8 || type === 0)
    return `ICMP echo ${type === 8 ? 'request' : 'reply'}, id ${u16(frame, start + 4)}, seq ${u16(frame, start + 6)}, ${length}`;
  const quoted = start + 8;
  const about = ipv4(frame, quoted + 16);
  if (type === 11) return `ICMP ${code === 0 ? 'time exceeded in-transit' : 'ip reassembly time exceeded'}, ${length}`;
  if (type === 5) return `ICMP redirect ${about} to host ${ipv4(frame, start + 4)}, ${length}`;
  if (type !== 3) return `ICMP type-#${type}, ${length}`;
  const protocol = frame[quoted + 9] ?? 0;
  const port = u16(frame, quoted + ((frame[quoted] ?? 0) & 15) * 4 + 2);
  const words: Record<number, string> = {
    0: `net ${about} unreachable`,
    1: `host ${about} unreachable`,
    2: `${about} protocol ${protocol} unreachable`,
    3: `${about} ${protocolName(protocol)} port ${port} unreachable`,
    4: `${about} unreachable - need to frag (mtu ${u16(frame, start + 6)})`,
    13: `host ${about} unreachable - admin prohibited filter`,
  };
  return `ICMP ${words[code] ?? `${about} unreachable - #${code}`}, ${length}`;
}

function icmp6Text(frame: Uint8Array, { start, end }: Layer): string {
  const type = frame[start] ?? 0;
  const length = `length ${end - start}`;
  if (type === 128 || type === 129)
    return `ICMP6, echo ${type === 128 ? 'request' : 'reply'}, id ${u16(frame, start + 4)}, seq ${u16(frame, start + 6)}, ${length}`;
  const words: Record<number, string> = {
    1: 'destination unreachable',
    2: `packet too big, mtu ${u32(frame, start + 4)}`,
    3: 'time exceeded in-transit',
    133: 'router solicitation',
    134: 'router advertisement',
    135: `neighbor solicitation, who has ${ipv6(frame, start + 8)}`,
    136: `neighbor advertisement, tgt is ${ipv6(frame, start + 8)}`,
    143: 'multicast listener report v2',
  };
  return `ICMP6, ${words[type] ?? `type-#${type}`}, ${length}`;
}

/** In tcpdump's order; a lone ACK is a dot. */
const FLAGS: readonly [number, string][] = [
  [1, 'F'],
  [2, 'S'],
  [4, 'R'],
  [8, 'P'],
  [16, '.'],
  [32, 'U'],
];

function tcpText(
  frame: Uint8Array,
  { start, body, end }: Layer,
  flow: string,
  back: string,
  sequences: Sequences,
): string {
  const bits = frame[start + 13] ?? 0;
  const flags = FLAGS.filter(([bit]) => bits & bit)
    .map(([, letter]) => letter)
    .join('');
  const length = end - body;
  const [sequence, acknowledged] = [u32(frame, start + 4), u32(frame, start + 8)];
  const syn = (bits & 2) !== 0;
  if (syn) sequences.set(flow, sequence);
  const first = sequences.get(flow);
  const other = sequences.get(back);
  const shown = syn || first === undefined ? sequence : (sequence - first) >>> 0;
  const parts = [`Flags [${flags}]`];
  if (syn || length > 0 || bits & 5) parts.push(length > 0 ? `seq ${shown}:${(shown + length) >>> 0}` : `seq ${shown}`);
  if (bits & 16) parts.push(`ack ${syn || other === undefined ? acknowledged : (acknowledged - other) >>> 0}`);
  parts.push(`win ${u16(frame, start + 14)}`);
  const options = tcpOptions(frame, start + 20, body);
  if (options.length > 0) parts.push(`options [${options.join(',')}]`);
  parts.push(`length ${length}`);
  const line = new TextDecoder('latin1').decode(frame.subarray(body, Math.min(end, body + 200))).split('\r\n')[0] ?? '';
  const http = /^(GET|HEAD|POST|PUT|DELETE) \S+ HTTP\/1\.|^HTTP\/1\.[01] \d{3}/.test(line);
  return `${parts.join(', ')}${http ? `: HTTP: ${line}` : ''}`;
}

function tcpOptions(frame: Uint8Array, from: number, to: number): string[] {
  const found: string[] = [];
  for (let at = from; at < to; ) {
    const kind = frame[at] ?? 0;
    if (kind === 0) {
      found.push('eol');
      break;
    }
    if (kind === 1) {
      found.push('nop');
      at++;
      continue;
    }
    const length = frame[at + 1] ?? 0;
    if (length < 2) break;
    if (kind === 2) found.push(`mss ${u16(frame, at + 2)}`);
    else if (kind === 3) found.push(`wscale ${frame[at + 2]}`);
    else if (kind === 4) found.push('sackOK');
    else if (kind === 8) found.push(`TS val ${u32(frame, at + 2)} ecr ${u32(frame, at + 6)}`);
    else if (kind === 5) found.push(`sack ${(length - 2) / 8}`);
    else found.push(`unknown-${kind}`);
    at += length;
  }
  return found;
}

/** `1234+ A? web. (21)`, `1234 1/0/0 A 10.0.1.2 (37)` */
function dnsText(bytes: Uint8Array): string | undefined {
  const asked = readQuery(bytes);
  if ('query' in asked) {
    const { id, flags, type, name } = asked.query;
    return `${id}${flags & 0x0100 ? '+' : ''} ${type}? ${name}. (${bytes.length})`;
  }
  const answer = readResponse(bytes);
  if (!answer) return undefined;
  const failed = answer.rcode === RCODE.NOERROR ? '' : answer.rcode === RCODE.NXDOMAIN ? ' NXDomain' : ` ServFail`;
  const data = answer.answers.map((one) => `${one.type} ${(one as { data?: unknown }).data}`);
  const list = data.length > 0 ? ` ${data.join(', ')}` : '';
  return `${answer.id}${failed}${answer.authoritative ? '*' : ''} ${data.length}/0/0${list} (${bytes.length})`;
}

function protocolName(number: number): string {
  return { 1: 'icmp', 6: 'tcp', 17: 'udp', 50: 'esp' }[number] ?? `ip-proto-${number}`;
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}
