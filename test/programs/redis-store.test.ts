/** What redis-server answers, and how its protocol is read from segments that end anywhere. */

import { describe, expect, test } from 'vitest';
import { bytesIn, encoded, RedisStore, readCommand, shownReply } from '../../src/programs/redis-store.js';

const encoder = new TextEncoder();

describe('a command', () => {
  const whole = encoder.encode(encoded(['SET', 'name', 'Zoë €']));

  test('is not read before its last byte, wherever the segment ends', () => {
    for (let size = 0; size < whole.length; size++) expect(readCommand(whole.subarray(0, size))).toBeUndefined();
    const read = readCommand(new Uint8Array([...whole, ...encoder.encode('PI')]));
    expect(read?.command).toEqual(['SET', 'name', 'Zoë €']);
    expect(new TextDecoder().decode(read?.rest)).toBe('PI');
  });
});

test('a reply is shown when it is whole, in letters', () => {
  const reply = bytesIn(encoder.encode(encoded('Zoë €')));
  for (let size = 0; size < reply.length; size++) expect(shownReply(reply.slice(0, size), true)).toBeUndefined();
  expect(shownReply(reply, true)).toEqual({ shown: 'Zoë €', length: reply.length });
});

test('SET knows NX and XX, and refuses other options', () => {
  const store = new RedisStore();
  const set = (...words: string[]) => store.answer(['SET', 'a', ...words]);
  expect(set('1', 'XX')).toBeNull();
  expect(set('1', 'NX')).toEqual({ simple: 'OK' });
  expect(set('2', 'nx')).toBeNull();
  expect(set('3', 'XX')).toEqual({ simple: 'OK' });
  expect(set('4', 'EX', '10')).toEqual({ error: 'ERR syntax error' });
  expect(store.answer(['GET', 'a'])).toBe('3');
  expect(store.answer(['quit'])).toEqual({ simple: 'OK' });
});
