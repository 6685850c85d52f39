/** HTTP/1.1 as far as a request and its answer need it (RFC 9112): one exchange a connection, closed by the server. */

import { joined } from '../bytes.js';
import type { Namespace, Sockets, TcpConnection } from '../engine/index.js';
import { dial, type Exchange } from './exchange.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** Says in an answer which task gave it. */
const ANSWERED_BY = 'X-Answered-By';

/** GET `path`; resolves by `done` with who answered. */
export function get(
  sockets: Sockets,
  from: Namespace,
  to: { address: string; port: number },
  { host, path, at, hold = 0 }: { host: string; path: string; at: number; hold?: number },
  done: (result: Exchange) => void,
): void {
  const request = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: swarmwire\r\nAccept: */*\r\nConnection: close\r\n\r\n`;
  const finished = (result: Exchange) => {
    if (!result.ok) {
      done(result);
      return;
    }
    const text = decoder.decode(result.data);
    const [status = ''] = text.split('\r\n');
    const by = new RegExp(`^${ANSWERED_BY}: (.*)\\r$`, 'm').exec(text)?.[1];
    const ok = / 200 /.test(status);
    done({ ...result, ok, detail: status.replace(/^HTTP\/1\.1 /, ''), ...(by ? { answeredBy: by } : {}) });
  };
  dial(sockets, from, to, encoder.encode(request), at, finished, () => false, hold);
}

/** Answers a whole request on `connection`, then closes; `own` headers are told as well. Returns false while the request is not whole yet. */
export function answer(
  connection: TcpConnection,
  received: Uint8Array,
  name: string,
  body: string,
  time: number,
  own: Readonly<Record<string, string>> = {},
): boolean {
  if (!isWhole(received)) return false;
  const content = encoder.encode(body);
  const head = [
    'HTTP/1.1 200 OK',
    ...Object.entries({ Server: 'swarmwire', 'Content-Type': 'text/plain', ...own }).map(
      ([key, value]) => `${key}: ${value}`,
    ),
    `Content-Length: ${content.length}`,
    `${ANSWERED_BY}: ${name}`,
    'Connection: close',
    '',
    '',
  ].join('\r\n');
  const isHead = decoder.decode(received.subarray(0, 5)) === 'HEAD ';
  connection.write(isHead ? encoder.encode(head) : joined([encoder.encode(head), content]), time);
  connection.close(time);
  return true;
}

export function isHttp(received: Uint8Array): boolean {
  return /^(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH) /.test(decoder.decode(received.subarray(0, 8)));
}

export function isWhole(received: Uint8Array): boolean {
  return decoder.decode(received).includes('\r\n\r\n');
}
