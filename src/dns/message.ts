/**
 * DNS messages (RFC 1035 section 4), made and read by `dns-packet`, with what it leaves to its user: which queries a server
 * takes at all (miekg/dns, acceptfunc.go), the exact bytes of a question, compression (section 4.1.4), and what is cut off
 * an answer that is too long.
 *
 * `dns-packet` works on Buffers. Node has them; a bundle for a browser takes them from the package `buffer`. Here nothing
 * imports them: what `dns-packet` gives shows which ones it uses.
 */

import packet from 'dns-packet';
import { joined } from '../bytes.js';

/** RFC 1035, section 4.1.1. */
export const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;
/** Bits of the header's second word. */
export const FLAG = { QR: 0x8000, AA: 0x0400, TC: 0x0200, RD: 0x0100, RA: 0x0080, CD: 0x0010 } as const;
const OPCODE = 0x7800;
const NOTIFY = 4;

/** A UDP message is no longer without EDNS0 (RFC 1035, section 2.3.4), and a TCP one never (section 4.2.2). */
export const UDP_SIZE = 512;
export const TCP_SIZE = 65_535;
const HEADER = 12;
const LONGEST_LABEL = 63;
const LONGEST_NAME = 253;

export type RecordType = packet.RecordType;
export type Answer = packet.Answer;

export interface Query {
  id: number;
  flags: number;
  /** As it was asked, without the dot at the end; `.` is the root. */
  name: string;
  /** The name says all that the question's bytes say. False: it has a label with a dot in it, or with bytes that are no text. */
  plain: boolean;
  type: RecordType | string;
  class: string;
  /** Largest answer that the client takes over UDP, if it said so (EDNS0, RFC 6891). */
  udpSize?: number;
  /** The question's own bytes, name, type and class. */
  question: Uint8Array;
  /** The whole message. */
  bytes: Uint8Array;
}

/** A query, an error that answers it, or nothing; with the reason, where it is none. */
export type Read =
  | { query: Query }
  | { reason: 'too short' | 'no query' }
  | { reason: 'opcode' | 'counts' | 'malformed'; reply: Uint8Array };

type Bytes = Parameters<typeof packet.decode>[0];

/** Codecs of a message's parts, which dns-packet has and its types leave out. */
const { name: nameCodec, answer: answerCodec } = packet as unknown as {
  name: { encode(name: string): Bytes; decode(bytes: Bytes, at: number): string };
  answer: { encode(answer: Answer): Bytes; encodingLength(answer: Answer): number };
};

const BufferOfPacket = packet.encode({ questions: [] }).constructor as unknown as {
  from(buffer: ArrayBufferLike, offset: number, length: number): Bytes;
};

function buffer(bytes: Uint8Array): Bytes {
  return BufferOfPacket.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

/** What a server makes of a message that it got: `defaultMsgAcceptFunc` and serveDNS of miekg/dns. Never throws. */
export function readQuery(bytes: Uint8Array): Read {
  if (bytes.length < HEADER) return { reason: 'too short' };
  const flags = word(bytes, 2);
  if (flags & FLAG.QR) return { reason: 'no query' };
  const opcode = (flags & OPCODE) >> 11;
  if (opcode !== 0 && opcode !== NOTIFY) return { reason: 'opcode', reply: refusal(bytes, RCODE.NOTIMP) };
  if (word(bytes, 4) !== 1 || word(bytes, 6) > 1 || word(bytes, 8) > 1 || word(bytes, 10) > 2)
    return { reason: 'counts', reply: refusal(bytes, RCODE.FORMERR) };
  try {
    const end = nameEnd(bytes, HEADER) + 4;
    const read = packet.decode(buffer(bytes));
    const [question] = read.questions ?? [];
    if (!question || end > bytes.length) return { reason: 'malformed', reply: refusal(bytes, RCODE.FORMERR) };
    const edns = read.additionals?.find((one) => one.type === 'OPT');
    return {
      query: {
        id: read.id ?? 0,
        flags,
        name: question.name,
        plain: sameBytes(nameCodec.encode(question.name), bytes.subarray(HEADER, end - 4)),
        type: question.type,
        class: question.class ?? 'IN',
        ...(edns?.type === 'OPT' ? { udpSize: edns.udpPayloadSize } : {}),
        question: bytes.slice(HEADER, end),
        bytes,
      },
    };
  } catch {
    return { reason: 'malformed', reply: refusal(bytes, RCODE.FORMERR) };
  }
}

/** Where the name that starts at `at` is over. Throws on one that is cut off, or that points elsewhere: no question does. */
function nameEnd(bytes: Uint8Array, at: number): number {
  let end = at;
  for (;;) {
    const length = bytes[end];
    if (length === undefined || length > LONGEST_LABEL) throw new RangeError('no name');
    end += length + 1;
    if (length === 0) return end;
  }
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}

/** The answer to what is no proper query: its header alone, with the error. */
function refusal(bytes: Uint8Array, rcode: number): Uint8Array {
  const reply = new Uint8Array(HEADER);
  reply.set(bytes.subarray(0, 2));
  const flags = FLAG.QR | (word(bytes, 2) & (rcode === RCODE.NOTIMP ? OPCODE | FLAG.RD : FLAG.RD)) | rcode;
  reply[2] = flags >> 8;
  reply[3] = flags & 0xff;
  return reply;
}

export interface ReplyOptions {
  /** Flags that are set beside QR and those that the query hands down (opcode, RD, CD). */
  flags?: number;
  rcode?: number;
  answers?: Answer[];
  additionals?: Answer[];
  compress?: boolean;
}

/** A reply to `query`, its question first and to the byte as it was asked. */
export function reply(query: Query, options: ReplyOptions = {}): Uint8Array {
  const { answers = [], additionals = [], compress = false } = options;
  const flags =
    FLAG.QR | (query.flags & (OPCODE | FLAG.RD | FLAG.CD)) | (options.flags ?? 0) | (options.rcode ?? RCODE.NOERROR);
  const head = new Uint8Array(HEADER + query.question.length);
  const view = new DataView(head.buffer);
  view.setUint16(0, query.id);
  view.setUint16(2, flags);
  view.setUint16(4, 1);
  view.setUint16(6, answers.length);
  view.setUint16(10, additionals.length);
  head.set(query.question, HEADER);
  return withRecords(head, [...answers, ...additionals], compress);
}

/** A query of our own. */
export function query(
  id: number,
  name: string,
  type: RecordType,
  options: { recursion?: boolean; udpSize?: number } = {},
): Uint8Array {
  const { recursion = true, udpSize } = options;
  const made = packet.encode({
    id,
    type: 'query',
    flags: recursion ? FLAG.RD : 0,
    questions: [{ name: checkedName(name), type, class: 'IN' }],
    ...(udpSize === undefined
      ? {}
      : {
          additionals: [
            {
              type: 'OPT',
              name: '.',
              udpPayloadSize: udpSize,
              flags: 0,
              extendedRcode: 0,
              ednsVersion: 0,
              flag_do: false,
              options: [],
            },
          ],
        }),
  });
  return new Uint8Array(made);
}

/** Can this be asked for at all? (RFC 1035, section 2.3.4.) */
export function isName(name: string): boolean {
  const bare = name.endsWith('.') ? name.slice(0, -1) : name;
  const encoder = new TextEncoder();
  return (
    encoder.encode(bare).length <= LONGEST_NAME &&
    bare.split('.').every((label) => label !== '' && encoder.encode(label).length <= LONGEST_LABEL)
  );
}

function checkedName(name: string): string {
  if (!isName(name)) throw new RangeError(`"${name}" is no name that DNS can ask for`);
  return name;
}

/** A response, as far as a client or a forwarder needs it. */
export interface Response {
  id: number;
  flags: number;
  rcode: number;
  truncated: boolean;
  authoritative: boolean;
  question?: { name: string; type: string };
  answers: Answer[];
}

/** Undefined: this is no response, or it cannot be read. */
export function readResponse(bytes: Uint8Array): Response | undefined {
  const flags = word(bytes, 2);
  if (bytes.length < HEADER || !(flags & FLAG.QR)) return undefined;
  try {
    const read = packet.decode(buffer(bytes));
    const [question] = read.questions ?? [];
    return {
      id: read.id ?? 0,
      flags,
      rcode: flags & 15,
      truncated: (flags & FLAG.TC) !== 0,
      authoritative: (flags & FLAG.AA) !== 0,
      ...(question ? { question: { name: question.name, type: question.type } } : {}),
      answers: read.answers ?? [],
    };
  } catch {
    return undefined;
  }
}

/** A response that was read and is written anew, as a forwarder does; as it is where that cannot be done. */
export function repacked(bytes: Uint8Array, compress: boolean): Uint8Array {
  try {
    const read = packet.decode(buffer(bytes));
    const end = nameEnd(bytes, HEADER) + 4;
    if (read.questions?.length !== 1 || end > bytes.length) return bytes;
    const records = [...(read.answers ?? []), ...(read.authorities ?? []), ...(read.additionals ?? [])];
    return withRecords(bytes.slice(0, end), records, compress);
  } catch {
    return bytes;
  }
}

/** How many bytes the reply takes without compression (`Msg.Len`). */
export function lengthOf(query: Query, answers: readonly Answer[], additionals: readonly Answer[] = []): number {
  const records = [...answers, ...additionals].map((one) => answerCodec.encodingLength(one));
  return HEADER + query.question.length + records.reduce((sum, length) => sum + length, 0);
}

// --- Compression ---

/** Types of RFC 1035 whose data is a name, or begins with this many bytes and then has one; only those are compressed (RFC 3597, section 4). */
const NAMES_IN_DATA: Record<string, number> = { CNAME: 0, NS: 0, PTR: 0, MX: 2 };

/** `head` with its question, and then the records. */
function withRecords(head: Uint8Array, records: readonly Answer[], compress: boolean): Uint8Array {
  const pieces: Uint8Array[] = [head];
  let length = head.length;
  const known = new Map<string, number>();
  if (compress) remember(head, known);
  for (const record of records) {
    const piece = compress ? compressed(record, length, known) : new Uint8Array(answerCodec.encode(record));
    pieces.push(piece);
    length += piece.length;
  }
  return joined(pieces);
}

/** Where the question's name and what it ends with stand. */
function remember(head: Uint8Array, known: Map<string, number>): void {
  const name = nameCodec.decode(buffer(head), HEADER);
  const labels = name.split('.');
  let at = HEADER;
  for (let i = 0; i < labels.length && name !== '.'; i++) {
    known.set(labels.slice(i).join('.'), at);
    at += (head[at] ?? 0) + 1;
  }
}

function compressed(record: Answer, at: number, known: Map<string, number>): Uint8Array {
  const owner = shortName(record.name, at, known);
  const plain = new Uint8Array(answerCodec.encode({ ...record, name: '.' }));
  // Behind the root's one byte: type, class, lifetime, and the length of the data, which comes last.
  const fixed = plain.subarray(1, 9);
  let data = plain.subarray(11);
  const skip = NAMES_IN_DATA[record.type];
  if (skip !== undefined) {
    const target = nameCodec.decode(buffer(data), skip);
    const short = shortName(target, at + owner.length + 10 + skip, known);
    data = joined([data.subarray(0, skip), short]);
  }
  return joined([owner, fixed, Uint8Array.of(data.length >> 8, data.length & 0xff), data]);
}

/** A name with a pointer in place of the longest end that stands elsewhere already. */
function shortName(name: string, at: number, known: Map<string, number>): Uint8Array {
  const labels = name === '.' ? [] : name.replace(/\.$/, '').split('.');
  const bytes: number[] = [];
  for (let i = 0; i < labels.length; i++) {
    const rest = labels.slice(i).join('.');
    const where = known.get(rest);
    if (where !== undefined) return Uint8Array.from([...bytes, 0xc0 | (where >> 8), where & 0xff]);
    if (at + bytes.length < 0x4000) known.set(rest, at + bytes.length);
    const label = new TextEncoder().encode(labels[i] ?? '');
    bytes.push(label.length, ...label);
  }
  return Uint8Array.from([...bytes, 0]);
}

// --- TCP (RFC 1035, section 4.2.2) ---

/** The message behind its length. */
export function framed(message: Uint8Array): Uint8Array {
  return joined([Uint8Array.of(message.length >> 8, message.length & 0xff), message]);
}

/** Cuts a stream into messages. */
export class Deframer {
  #rest = new Uint8Array(0);

  /** The messages that are whole now. */
  take(piece: Uint8Array): Uint8Array[] {
    this.#rest = joined([this.#rest, piece]);
    const messages: Uint8Array[] = [];
    while (this.#rest.length >= 2) {
      const length = word(this.#rest, 0);
      if (this.#rest.length < 2 + length) break;
      messages.push(this.#rest.slice(2, 2 + length));
      this.#rest = this.#rest.slice(2 + length);
    }
    return messages;
  }
}
