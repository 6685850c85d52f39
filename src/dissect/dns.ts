/** DNS messages (RFC 1035, section 4; RFC 6891): header, questions, records, names with their compression. Only looks. */

import { u16 } from './layers.js';
import { hexNumber, ipv4, ipv6 } from './notation.js';
import { type Found, hex8, hex16, number8, number16, number32, raw, type Shape, type Show, taken } from './shape.js';

export const DNS_PORT = 53;
const HEADER_LENGTH = 12;

const TYPES: Readonly<Record<number, string>> = {
  1: 'A',
  2: 'NS',
  5: 'CNAME',
  6: 'SOA',
  12: 'PTR',
  15: 'MX',
  16: 'TXT',
  28: 'AAAA',
  33: 'SRV',
  41: 'OPT',
  255: 'ANY',
};
const type: Show = (bytes, at) => {
  const number = u16(bytes, at);
  const name = TYPES[number];
  return name === undefined ? String(number) : `${name} (${number})`;
};

const HEADER: readonly Shape[] = [
  ['dns.id', 0, 2, hex16],
  ['dns.flags', 2, 2, hex16],
  ['dns.count.queries', 4, 2, number16],
  ['dns.count.answers', 6, 2, number16],
  ['dns.count.auth_rr', 8, 2, number16],
  ['dns.count.add_rr', 10, 2, number16],
];
const QUESTION: readonly Shape[] = [
  ['dns.qry.type', 0, 2, type],
  ['dns.qry.class', 2, 2, hex16],
];
const RECORD: readonly Shape[] = [
  ['dns.resp.type', 0, 2, type],
  ['dns.resp.class', 2, 2, hex16],
  ['dns.resp.ttl', 4, 4, number32],
  ['dns.resp.len', 8, 2, number16],
];
const OPT: readonly Shape[] = [
  ['dns.resp.type', 0, 2, type],
  ['dns.rr.udp_payload_size', 2, 2, number16],
  ['dns.resp.ext_rcode', 4, 1, hex8],
  ['dns.resp.edns0_version', 5, 1, number8],
  ['dns.resp.z', 6, 2, hex16],
  ['dns.resp.len', 8, 2, number16],
];
const RECORD_LENGTH = 10;
const PREFERENCE: readonly Shape[] = [['dns.mx.preference', 0, 2, number16]];

const A = 1;
const MX = 15;
const AAAA = 28;
const OPT_TYPE = 41;
/** Record data that is a name. */
const NAMES: Readonly<Record<number, string>> = { 2: 'dns.ns', 5: 'dns.cname', 12: 'dns.ptr.domain_name' };

/** All names that fields of a message can have. */
export const DNS_NAMES: readonly string[] = [
  ...[HEADER, QUESTION, RECORD, OPT, PREFERENCE].flat().map(([name]) => name),
  ...['dns.qry.name', 'dns.resp.name', 'dns.a', 'dns.aaaa', 'dns.mx.mail_exchange', 'dns.data'],
  ...Object.values(NAMES),
];

/** The fields of the message from `start` to `end`; what cannot be read is `dns.data`. */
export function* dnsFields(bytes: Uint8Array, start: number, end: number): Generator<Found> {
  const message = new Message(bytes, start, end);
  yield* message.fields();
  yield* raw('dns.data', message.at, end);
}

class Message {
  /** What has been read so far. */
  at: number;

  constructor(
    readonly bytes: Uint8Array,
    readonly start: number,
    readonly end: number,
  ) {
    this.at = start;
  }

  *fields(): Generator<Found> {
    const { bytes, start, end } = this;
    if (end - start < HEADER_LENGTH) return;
    yield* taken(HEADER, bytes, start);
    this.at += HEADER_LENGTH;
    for (let left = u16(bytes, start + 4); left > 0; left -= 1) {
      const name = this.#nameAt(this.at, end);
      if (!name || name.end + 4 > end) return;
      yield { name: 'dns.qry.name', start: this.at, end: name.end, value: name.text };
      yield* taken(QUESTION, bytes, name.end);
      this.at = name.end + 4;
    }
    for (let left = u16(bytes, start + 6) + u16(bytes, start + 8) + u16(bytes, start + 10); left > 0; left -= 1) {
      const name = this.#nameAt(this.at, end);
      if (!name || name.end + RECORD_LENGTH > end) return;
      const data = name.end + RECORD_LENGTH;
      const dataEnd = data + u16(bytes, name.end + 8);
      if (dataEnd > end) return;
      yield { name: 'dns.resp.name', start: this.at, end: name.end, value: name.text };
      const kind = u16(bytes, name.end);
      yield* taken(kind === OPT_TYPE ? OPT : RECORD, bytes, name.end);
      yield* this.#data(kind, data, dataEnd);
      this.at = dataEnd;
    }
  }

  *#data(kind: number, start: number, end: number): Generator<Found> {
    const { bytes } = this;
    if (kind === A && end - start === 4) yield { name: 'dns.a', start, end, value: ipv4(bytes, start) };
    else if (kind === AAAA && end - start === 16) yield { name: 'dns.aaaa', start, end, value: ipv6(bytes, start) };
    else {
      const exchange = kind === MX ? 2 : 0;
      const field = kind === MX ? 'dns.mx.mail_exchange' : NAMES[kind];
      const name = field === undefined ? undefined : this.#nameAt(start + exchange, end);
      if (field === undefined || name?.end !== end) {
        yield* raw('dns.data', start, end);
        return;
      }
      if (exchange) yield* taken(PREFERENCE, bytes, start);
      yield { name: field, start: start + exchange, end, value: name.text };
    }
  }

  /**
   * The name at a place, and where it ends there. As exact as its bytes: a pointer is told with its place, other characters than
   * letters, digits, `-` and `_` by their numbers.
   */
  #nameAt(at: number, limit: number): { text: string; end: number } | undefined {
    const labels: string[] = [];
    const pointers: number[] = [];
    let end: number | undefined;
    let place = at;
    while (place < (end === undefined ? limit : this.end)) {
      const length = this.bytes[place] ?? 0;
      if (length === 0) {
        const told = pointers.map((one) => ` (at ${one})`).join('');
        return { text: `${labels.join('.') || '<Root>'}${told}`, end: end ?? place + 1 };
      }
      if (length >= 0xc0) {
        const target = u16(this.bytes, place) & 0x3fff;
        // A pointer leads back (RFC 1035, section 4.1.4), so there is an end of them.
        if (place + 2 > this.end || this.start + target >= place || target < HEADER_LENGTH) return undefined;
        end ??= place + 2;
        pointers.push(target);
        place = this.start + target;
        continue;
      }
      if (length > 63 || place + 1 + length > this.end) return undefined;
      labels.push(Array.from(this.bytes.subarray(place + 1, place + 1 + length), character).join(''));
      place += 1 + length;
    }
    return undefined;
  }
}

function character(byte: number): string {
  const text = String.fromCharCode(byte);
  return /[\w-]/.test(text) ? text : `\\${hexNumber(byte, 2)}`;
}
