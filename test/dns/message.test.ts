/** DNS messages (RFC 1035): what is taken as a query, what answers look like, and that no bytes break anything. */

import packet from 'dns-packet';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  type Answer,
  Deframer,
  FLAG,
  framed,
  isName,
  lengthOf,
  type Query,
  query,
  RCODE,
  readQuery,
  readResponse,
  repacked,
  reply,
} from '../../src/dns/message.js';

const u16 = (bytes: Uint8Array, at: number) => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);

function read(bytes: Uint8Array): Query {
  const found = readQuery(bytes);
  if (!('query' in found)) throw new Error(`no query: ${found.reason}`);
  return found.query;
}

const label = fc.stringMatching(/^[a-z0-9_]([a-z0-9_-]{0,20}[a-z0-9])?$/);
const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join('.'));
const address = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)).map((bytes) => bytes.join('.'));
const records = (owner: string, addresses: string[]): Answer[] =>
  addresses.map((data) => ({ name: owner, type: 'A', ttl: 600, class: 'IN', data }));

test('a query is read as it was asked', () => {
  const got = read(query(0xabcd, 'Web.my-net', 'AAAA'));
  expect(got).toMatchObject({ id: 0xabcd, flags: FLAG.RD, name: 'Web.my-net', type: 'AAAA', class: 'IN', plain: true });
  expect(got.udpSize).toBeUndefined();
  expect(read(query(1, 'web', 'A', { udpSize: 1232 })).udpSize).toBe(1232);
});

test.each([
  ['a response', (bytes: Uint8Array) => bytes.with(2, 0x80), 'no query', undefined],
  ['an update', (bytes: Uint8Array) => bytes.with(2, 0x28), 'opcode', RCODE.NOTIMP],
  ['two questions', (bytes: Uint8Array) => bytes.with(5, 2), 'counts', RCODE.FORMERR],
  ['no question', (bytes: Uint8Array) => bytes.with(5, 0), 'counts', RCODE.FORMERR],
  ['two answers', (bytes: Uint8Array) => bytes.with(7, 2), 'counts', RCODE.FORMERR],
  ['a name that is cut off', (bytes: Uint8Array) => bytes.slice(0, 15), 'malformed', RCODE.FORMERR],
  [
    'a name that points to itself',
    (bytes: Uint8Array) => bytes.with(12, 0xc0).with(13, 12),
    'malformed',
    RCODE.FORMERR,
  ],
  ['half a header', (bytes: Uint8Array) => bytes.slice(0, 11), 'too short', undefined],
] as const)('%s is no query, and is answered as miekg/dns does', (_what, change, reason, rcode) => {
  const got = readQuery(change(query(7, 'web', 'A')));
  expect(got).toMatchObject({ reason });
  const answer = 'reply' in got ? got.reply : undefined;
  expect(answer && u16(answer, 2) & 15).toBe(rcode);
  if (answer) expect([u16(answer, 0), answer.length, (answer[2] ?? 0) & 0x80]).toEqual([7, 12, 0x80]);
});

test('any bytes are a query, an error or nothing, and never an exception', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      const got = readQuery(bytes);
      expect('query' in got || typeof got.reason === 'string').toBe(true);
      readResponse(bytes);
      expect(repacked(bytes, true)).toBeInstanceOf(Uint8Array);
    }),
    { numRuns: 500 },
  );
});

test('a query with a byte changed anywhere is never an exception', () => {
  fc.assert(
    fc.property(name, fc.nat(1000), fc.nat(255), (owner, at, value) => {
      const bytes = query(1, owner, 'A', { udpSize: 4096 });
      bytes[at % bytes.length] = value;
      const got = readQuery(bytes);
      if ('query' in got) reply(got.query, { flags: FLAG.RA, answers: [] });
      readResponse(bytes);
    }),
    { numRuns: 500 },
  );
});

test('what is asked is what a reader of another make reads, and so is what is answered', () => {
  fc.assert(
    fc.property(
      name,
      fc.array(address, { maxLength: 8 }),
      fc.boolean(),
      fc.nat(0xffff),
      (owner, addresses, compress, id) => {
        const asked = read(query(id, owner, 'A'));
        expect([asked.name, asked.id]).toEqual([owner, id]);
        const bytes = reply(asked, { flags: FLAG.RA, answers: records(owner, addresses), compress });
        const got = packet.decode(Buffer.from(bytes));
        expect(got.questions?.[0]?.name).toBe(owner);
        expect(got.answers?.map((one) => [one.name, 'data' in one && one.data])).toEqual(
          addresses.map((one) => [owner, one]),
        );
        if (!compress) expect(bytes.length).toBe(lengthOf(asked, records(owner, addresses)));
      },
    ),
  );
});

test('compression says the same in fewer bytes, names in data included', () => {
  fc.assert(
    fc.property(name, name, (owner, target) => {
      const asked = read(query(1, owner, 'A'));
      const answers: Answer[] = [
        { name: owner, type: 'CNAME', ttl: 60, class: 'IN', data: target },
        { name: target, type: 'A', ttl: 60, class: 'IN', data: '10.0.0.1' },
        { name: owner, type: 'MX', ttl: 60, class: 'IN', data: { preference: 10, exchange: `mail.${target}` } },
        { name: owner, type: 'TXT', ttl: 60, class: 'IN', data: [Buffer.from('words')] },
      ];
      const plain = reply(asked, { answers });
      const short = reply(asked, { answers, compress: true });
      expect(short.length).toBeLessThan(plain.length);
      const values = (bytes: Uint8Array) => packet.decode(Buffer.from(bytes)).answers;
      expect(values(short)).toEqual(values(plain));
      // Packing it again, either way, changes nothing that it says.
      expect(repacked(plain, true)).toEqual(short);
      expect(repacked(short, false)).toEqual(plain);
    }),
  );
});

describe('names', () => {
  it('have labels of 63 bytes and 253 in all at the most, and none that is empty', () => {
    expect(isName('a'.repeat(63))).toBe(true);
    expect(isName('a'.repeat(64))).toBe(false);
    expect(isName(`${'a.'.repeat(126)}a`)).toBe(true);
    expect(isName(`${'a.'.repeat(127)}a`)).toBe(false);
    expect([isName('web.'), isName('a..b'), isName('.a'), isName('')]).toEqual([true, false, false, false]);
  });

  it('with a dot inside a label, or bytes that are no text, are known as such', () => {
    const asked = query(1, 'a.b', 'A');
    const glued = Uint8Array.from([...asked.subarray(0, 12), 3, 97, 46, 98, 0, 0, 1, 0, 1]);
    expect(read(asked).plain).toBe(true);
    expect(read(glued)).toMatchObject({ name: 'a.b', plain: false });
    expect(read(Uint8Array.from([...asked.subarray(0, 12), 1, 0xff, 0, 0, 1, 0, 1])).plain).toBe(false);
    // The answer's question is the one that was asked, to the byte.
    expect(reply(read(glued), { rcode: RCODE.NXDOMAIN }).subarray(12)).toEqual(glued.subarray(12));
  });
});

test('a stream is cut into its messages, however it comes', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }),
      fc.integer({ min: 1, max: 50 }),
      (all, step) => {
        const wire = all.flatMap((message) => [...framed(message)]);
        const stream = new Deframer();
        const got: Uint8Array[] = [];
        for (let at = 0; at < wire.length; at += step)
          got.push(...stream.take(Uint8Array.from(wire.slice(at, at + step))));
        expect(got.map((message) => [...message])).toEqual(all.map((message) => [...message]));
      },
    ),
  );
});
