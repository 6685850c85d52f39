/**
 * ESP opened with known keys, so that two frames are compared inside: a copy of the frame in which the ciphertext has become
 * the plaintext. Header, IV, padding and ICV stay where they are. A frame whose ICV is wrong is not opened.
 */

import { cipherFor } from '../crypto/gcm.js';
import { type Cipher, ICV_LENGTH } from '../crypto/index.js';
import { type Layer, layersOf, u32 } from '../dissect/layers.js';
import { ipv4, ipv6 } from '../dissect/notation.js';
import type { Inputs } from './inputs.js';

const HEADER = 8;
const HEAD = 16;

/** Opens a frame that carries ESP; undefined for any other, and where the key or the ICV is wrong. */
export type OpenEsp = (frame: Uint8Array) => Uint8Array | undefined;

/** A security association as a capture's reader knows it. `key` has 16 bytes and the salt's 4. */
export interface KnownAssociation {
  destination: string;
  spi: number;
  key: Uint8Array;
}

export function espOpener(associations: readonly KnownAssociation[]): OpenEsp {
  const known = new Map<string, { cipher: Cipher; salt: Uint8Array }>();
  for (const { destination, spi, key } of associations) {
    known.set(`${destination} ${spi}`, { cipher: cipherFor(key.subarray(0, 16)), salt: key.slice(16) });
  }
  return (frame) => {
    const layers = layersOf(frame);
    const index = layers.findIndex(({ name, quoted }) => name === 'esp' && !quoted);
    const [esp, ip]: (Layer | undefined)[] = [layers[index], layers[index - 1]];
    if (esp === undefined || ip === undefined || esp.end - esp.start < HEAD + ICV_LENGTH + 2) return undefined;
    const to = ip.name === 'ip' ? ipv4(frame, ip.start + 16) : ip.name === 'ipv6' ? ipv6(frame, ip.start + 24) : '';
    const association = known.get(`${to} ${u32(frame, esp.start)}`);
    if (association === undefined) return undefined;
    const copy = new Uint8Array(frame);
    const nonce = new Uint8Array(12);
    nonce.set(association.salt);
    nonce.set(copy.subarray(esp.start + HEADER, esp.start + HEAD), 4);
    const end = esp.end - ICV_LENGTH;
    const associated = copy.subarray(esp.start, esp.start + HEADER);
    const right = association.cipher.open(
      nonce,
      associated,
      copy.subarray(esp.start + HEAD, end),
      copy.subarray(end, esp.end),
    );
    return right ? copy : undefined;
  };
}

/** With the keys that a recording names. */
export function openerOf({ encryption }: Inputs): OpenEsp {
  const all = Object.values(encryption?.associations ?? {}).flat();
  return espOpener(
    all.map(({ dst, spi, key }) => ({
      destination: dst,
      spi: Number(spi),
      key: Uint8Array.from(key.replace(/^0x/, '').match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)),
    })),
  );
}
