/** What the engine leaves for JavaScript to answer: records of assembly/stack/punts.ts, read out of their ring. */

import { Punt } from './generated/layout.js';
import { ipv4Text, port } from './wire.js';
import { ipv6TextAt } from './wire6.js';

export type Punted =
  | { kind: 'accepted'; time: number; socket: number; listener: number; remote: string; remotePort: number }
  | { kind: 'connected' | 'fin' | 'closed' | 'reset' | 'writable'; time: number; socket: number }
  | { kind: 'failed'; time: number; socket: number; reason: 'refused' | 'timeout' | 'unreachable' }
  | { kind: 'data'; time: number; socket: number; data: Uint8Array }
  | { kind: 'datagram'; time: number; socket: number; remote: string; remotePort: number; data: Uint8Array }
  | {
      kind: 'echo-reply';
      time: number;
      identifier: number;
      sequence: number;
      from: string;
      ttl: number;
      length: number;
    }
  | { kind: 'error'; time: number; socket: number; type: number; code: number; info: number; from: string }
  | {
      kind: 'echo-error';
      time: number;
      identifier: number;
      sequence: number;
      type: number;
      code: number;
      from: string;
    };

const REASONS = ['refused', 'refused', 'timeout', 'unreachable'] as const;

/** assembly/stack/punts.ts: V6_PUNT. The remote address is an IPv6 one, 16 bytes instead of 4. */
const OVER_IPV6 = 0x100;

/** `bytes` is a copy of the whole ring. */
export function readPunts(bytes: Uint8Array): Punted[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Punted[] = [];
  for (let at = 0; at < bytes.length; at += view.getUint32(at, true)) {
    const kind = view.getUint32(at + 4, true) & ~OVER_IPV6;
    const v6 = (view.getUint32(at + 4, true) & OVER_IPV6) !== 0;
    /** Where the remote address ends. */
    const end = at + 32 + (v6 ? 16 : 4);
    const time = Number(view.getBigUint64(at + 8, true));
    const socket = view.getUint32(at + 16, true);
    const length = view.getUint32(at + 20, true);
    const a = view.getUint32(at + 24, true);
    const b = view.getUint32(at + 28, true);
    const data = bytes.subarray(at + 32, at + 32 + length);
    const remote = () => (v6 ? ipv6TextAt(view, at + 32) : ipv4Text(view.getUint32(at + 32, true)));
    const remotePort = () => port(view.getUint16(end, true));
    switch (kind) {
      case Punt.ACCEPTED:
        found.push({ kind: 'accepted', time, socket, listener: a, remote: remote(), remotePort: remotePort() });
        break;
      case Punt.CONNECTED:
        found.push({ kind: 'connected', time, socket });
        break;
      case Punt.DATA:
        found.push({ kind: 'data', time, socket, data });
        break;
      case Punt.FIN:
        found.push({ kind: 'fin', time, socket });
        break;
      case Punt.CLOSED:
        found.push({ kind: 'closed', time, socket });
        break;
      case Punt.RESET:
        found.push({ kind: 'reset', time, socket });
        break;
      case Punt.WRITABLE:
        found.push({ kind: 'writable', time, socket });
        break;
      case Punt.FAILED:
        found.push({ kind: 'failed', time, socket, reason: REASONS[a] ?? 'unreachable' });
        break;
      case Punt.DATAGRAM:
        found.push({
          kind: 'datagram',
          time,
          socket,
          remote: remote(),
          remotePort: remotePort(),
          data: data.subarray(v6 ? 20 : 8),
        });
        break;
      case Punt.ECHO_REPLY:
        found.push({
          kind: 'echo-reply',
          time,
          identifier: a,
          sequence: b,
          from: remote(),
          ttl: view.getUint8(end),
          length: view.getUint32(end + 4, true),
        });
        break;
      case Punt.ERROR:
        found.push({
          kind: 'error',
          time,
          socket,
          type: a >>> 8,
          code: a & 255,
          info: b,
          from: v6 ? ipv6TextAt(view, end + 4) : ipv4Text(view.getUint32(end + 4, true)),
        });
        break;
      case Punt.ECHO_ERROR:
        found.push({
          kind: 'echo-error',
          time,
          identifier: view.getUint16(end, true),
          sequence: view.getUint32(end + (v6 ? 20 : 8), true),
          type: a >>> 8,
          code: a & 255,
          from: v6 ? ipv6TextAt(view, end + 4) : ipv4Text(view.getUint32(end + 4, true)),
        });
        break;
      default:
        throw new Error(`the engine punted a record of unknown kind ${kind}`);
    }
  }
  return found;
}
