/** ICMP (RFC 792, RFC 1191). */

import { describe, expect, it } from 'vitest';
import { POISON } from '../engine/checked.js';
import { headers, placed, word } from '../engine/loaded.js';
import { checksum, concat, hex } from '../engine/packets.js';

const engine = await headers();
/** BusyBox pings its neighbour on docker0: identifier 7, sequence 0, 56 bytes of data; captured from Docker 20.10. */
const ECHO = concat(hex('08 00 0cc1 0007 0000  6b038034'), new Uint8Array(52));
/** "Host unreachable", which quotes 84 bytes; captured from Docker 20.10. */
const UNREACHABLE = concat(
  hex('03 01 fcfe 00000000'),
  hex('45000054 3240 4000 4001 afe1 ac110002 ac110063  08000de9 002d0000 4fb49a35'),
  new Uint8Array(52),
);

describe('an echo request', () => {
  it('is read field by field', () => {
    const at = placed(engine, ECHO);
    expect(engine.icmpType(at)).toBe(8);
    expect(engine.icmpCode(at)).toBe(0);
    expect(engine.icmpIdentifier(at)).toBe(word(7));
    expect(engine.icmpSequence(at)).toBe(0);
  });

  it('is written and sealed as it was captured: eight bytes of header, the data untouched', () => {
    const at = engine.poisoned(66);
    engine.icmpEmit(at, 8, 0, word(7));
    expect(engine.get(at, 10)).toEqual(concat(hex('08 00 00 00 00 07 00 00'), Uint8Array.of(POISON, POISON)));
    engine.put(at + 8, ECHO.subarray(8));
    engine.icmpSeal(at, 64);
    expect(engine.get(at, 66)).toEqual(concat(ECHO, Uint8Array.of(POISON, POISON)));
  });

  it('has its sequence in the low half of the rest', () => {
    expect(engine.icmpSequence(placed(engine, hex('08 00 0000 1234 5678')))).toBe(0x5678);
    expect(engine.icmpIdentifier(placed(engine, hex('08 00 0000 1234 5678')))).toBe(word(0x1234));
  });
});

describe('an error', () => {
  it('is written and sealed as it was captured', () => {
    const at = engine.poisoned(94);
    engine.icmpEmit(at, 3, 1, 0);
    engine.put(at + 8, UNREACHABLE.subarray(8));
    engine.icmpSeal(at, 92);
    expect(engine.get(at, 94)).toEqual(concat(UNREACHABLE, Uint8Array.of(POISON, POISON)));
  });

  it('of the kind "fragmentation needed" carries the next hop’s MTU in its last two bytes (RFC 1191, section 4)', () => {
    expect(engine.icmpMtu(placed(engine, hex('03 04 0000 0000 05aa')))).toBe(1450);
  });

  it('is what quotes a packet: 3, 4, 5, 11 and 12 (RFC 1122, section 3.2.2)', () => {
    const errors = Array.from({ length: 256 }, (_, type) => type).filter((type) => engine.icmpIsError(type));
    expect(errors).toEqual([3, 4, 5, 11, 12]);
  });
});

it('is sealed over an odd number of bytes, whatever stood in its checksum', () => {
  for (let length = 8; length < 80; length++) {
    const message = Uint8Array.from({ length }, (_, i) => (i * 37 + length) & 255);
    const at = placed(engine, message);
    engine.icmpSeal(at, length);
    const sealed = engine.get(at, length);
    expect(checksum(sealed), `${length} bytes`).toBe(0);
    message.set(sealed.subarray(2, 4), 2);
    expect(sealed).toEqual(message);
  }
});
