/** ARP for IPv4 over Ethernet (RFC 826). */

import { describe, expect, it } from 'vitest';
import { POISON } from '../engine/checked.js';
import { address, headers, mac, placed } from '../engine/loaded.js';
import { recordedFrames } from '../engine/oracle.js';
import { ARP, hex, u16 } from '../engine/packets.js';

const engine = await headers();
/** A container on docker0 asks for its neighbour, and is answered; captured from Docker 20.10. */
const REQUEST = hex('0001 0800 06 04 0001  0242ac110002 ac110002  000000000000 ac110003');
const REPLY = hex('0001 0800 06 04 0002  0242ac110003 ac110003  0242ac110002 ac110002');
const [REQUESTS, REPLIES] = [0x0100, 0x0200];

describe('a request', () => {
  it('is read field by field', () => {
    const at = placed(engine, REQUEST);
    expect(engine.arpValid(at, 28)).toBe(1);
    expect(engine.arpOperation(at)).toBe(REQUESTS);
    expect(engine.arpSenderMac(at)).toBe(mac('02:42:ac:11:00:02'));
    expect(engine.arpSenderAddress(at) >>> 0).toBe(address('172.17.0.2'));
    expect(engine.arpTargetMac(at)).toBe(0n);
    expect(engine.arpTargetAddress(at) >>> 0).toBe(address('172.17.0.3'));
  });

  it('is written, all of its 28 bytes and no other', () => {
    const at = engine.poisoned(30);
    engine.arpEmit(at, REQUESTS, mac('02:42:ac:11:00:02'), address('172.17.0.2'), 0n, address('172.17.0.3'));
    expect(engine.get(at, 30)).toEqual(Uint8Array.of(...REQUEST, POISON, POISON));
  });
});

describe('a reply', () => {
  it('is read field by field', () => {
    const at = placed(engine, REPLY);
    expect(engine.arpOperation(at)).toBe(REPLIES);
    expect(engine.arpSenderMac(at)).toBe(mac('02:42:ac:11:00:03'));
    expect(engine.arpTargetMac(at)).toBe(mac('02:42:ac:11:00:02'));
  });

  it('is written', () => {
    const at = engine.poisoned(30);
    const [asked, asker] = [mac('02:42:ac:11:00:03'), mac('02:42:ac:11:00:02')];
    engine.arpEmit(at, REPLIES, asked, address('172.17.0.3'), asker, address('172.17.0.2'));
    expect(engine.get(at, 30)).toEqual(Uint8Array.of(...REPLY, POISON, POISON));
  });
});

it('writes nothing but the low 48 bits of a MAC', () => {
  const at = engine.poisoned(28);
  engine.arpEmit(
    at,
    REPLIES,
    0xffff_0300_11ac_4202n,
    address('172.17.0.3'),
    0xffff_0200_11ac_4202n,
    address('172.17.0.2'),
  );
  expect(engine.get(at, 28)).toEqual(REPLY);
});

it('is valid for IPv4 over Ethernet alone, and whole', () => {
  const valid = (at: number, value: number, length = 28) => {
    const bytes = REQUEST.slice();
    bytes[at] = value;
    return engine.arpValid(placed(engine, bytes), length) !== 0;
  };
  expect(valid(1, 1)).toBe(true);
  expect(valid(1, 6), 'hardware type IEEE 802').toBe(false);
  expect(valid(0, 1), 'hardware type 257').toBe(false);
  expect(valid(2, 0x86), 'protocol 8600').toBe(false);
  expect(valid(3, 6), 'protocol 0806').toBe(false);
  expect(valid(4, 8), 'hardware length 8').toBe(false);
  expect(valid(5, 16), 'protocol length 16').toBe(false);
  expect(valid(1, 1, 27), 'one byte short').toBe(false);
  expect(valid(1, 1, 46), 'padded to the shortest Ethernet frame').toBe(true);
});

it('writes every ARP message of a recorded tap as it was read', () => {
  const messages = recordedFrames('S6-ingress/node2.ov-ingress.br0').filter((frame) => u16(frame, 12) === ARP);
  expect(messages.length).toBeGreaterThan(3);
  for (const frame of messages) {
    const from = placed(engine, frame.subarray(14, 42));
    const to = engine.poisoned(28);
    engine.arpEmit(
      to,
      engine.arpOperation(from),
      engine.arpSenderMac(from),
      engine.arpSenderAddress(from),
      engine.arpTargetMac(from),
      engine.arpTargetAddress(from),
    );
    expect(engine.get(to, 28)).toEqual(frame.slice(14, 42));
  }
});
