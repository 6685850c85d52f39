/** ESP between nodes: sealed as it must be around anything at all, or broken in one of the ways that it can be. */

import type { EspKey } from '../../src/capture/esp-keys.js';
import { cipherFor } from '../../src/crypto/gcm.js';
import { addressNumber, concat, ethernet, get32, ipv4, put32, TYPE_IPV4, UDP } from '../headers.js';
import type { Vocabulary } from './mutate.js';
import type { Random } from './random.js';

const ESP = 50;

/** A packet of an association that the swarm has: what it carries is `inner`, from its transport header on. */
export function esp(inner: Uint8Array, keys: readonly EspKey[], random: Random, words: Vocabulary): Uint8Array {
  const { source, destination, spi, key } = random.pick(keys);
  const right = -(inner.length + 2) & 3;
  const pad = random.chance(0.9) ? right : random.below(256);
  const filled = Uint8Array.from({ length: random.chance(0.9) ? pad : random.below(8) }, (_, i) => i + 1);
  const next = random.chance(0.85) ? UDP : random.below(256);
  const plain = concat(inner, filled, Uint8Array.of(pad, next)).slice(0, 65000);
  const head = new Uint8Array(8);
  put32(head, 0, random.chance(0.95) ? spi : random.bits());
  put32(head, 4, random.bits());
  const iv = random.fill(new Uint8Array(8));
  const icv = new Uint8Array(8);
  cipherFor(key.slice(0, 16)).seal(concat(key.slice(16), iv), head, plain, icv);
  const whole = concat(head, iv, plain, icv);
  const cut = random.chance(0.95) ? whole : whole.slice(0, random.below(whole.length + 1));
  if (random.chance(0.1) && cut.length > 0) flip(cut, random);
  const ends = { source: addressNumber(source), destination: addressNumber(destination), protocol: ESP };
  return ethernet(random.pick(words.macs), random.pick(words.macs), TYPE_IPV4, ipv4(ends, cut));
}

/** What a frame's IPv4 packet carries, or the frame itself. */
export function carried(frame: Uint8Array): Uint8Array {
  return frame.length > 34 && get32(frame, 12) >>> 16 === TYPE_IPV4 ? frame.slice(34) : frame;
}

function flip(bytes: Uint8Array, random: Random): void {
  const at = random.below(bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
}
