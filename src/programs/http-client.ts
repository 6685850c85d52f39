/** One HTTP request over the engine's TCP, for wget and curl. RFC 9112. */

import { joined } from '../bytes.js';
import type { TcpConnection } from '../engine/index.js';
import { now, type Process, SECOND } from './process.js';
import { Mailbox, type Steps } from './steps.js';

export interface Url {
  host: string;
  port: number;
  path: string;
}

export interface Response {
  status: number;
  /** With `HTTP/1.1` before and the reason behind. */
  statusLine: string;
  headers: Map<string, string>;
  /** As they came, with the empty line. */
  head: string;
  body: Uint8Array;
  /** Virtual time, ns. */
  time: number;
}

export type Fetched =
  | { kind: 'response'; response: Response }
  | { kind: 'refused' | 'timeout' | 'unreachable' | 'reset' | 'empty'; time: number };

/** Undefined: not http. */
export function readUrl(text: string): Url | undefined {
  const match = /^(?:http:\/\/)?(\[[0-9a-f:]+\]|[^/:?#]+)(?::(\d+))?([/?][^#]*)?(?:#.*)?$/i.exec(text);
  if (!match || /^[a-z]+:\/\//i.test(text.replace(/^http:\/\//i, ''))) return undefined;
  const [, host = '', port, path = '/'] = match;
  return {
    host: host.replace(/^\[|\]$/g, ''),
    port: port ? Number(port) : 80,
    path: path.startsWith('/') ? path : `/${path}`,
  };
}

type Letter =
  | { kind: 'connected' | 'end'; time: number }
  | { kind: 'data'; data: Uint8Array; time: number }
  | { kind: 'refused' | 'timeout' | 'unreachable' | 'reset'; time: number };

/** `head` is the request up to and with its empty line. `patience` in ns. */
export function* fetchHttp(
  process: Process,
  to: { address: string; port: number },
  request: Uint8Array,
  {
    patience = 130 * SECOND,
    headOnly = false,
    onConnect,
  }: { patience?: number; headOnly?: boolean; onConnect?: (connection: TcpConnection) => void } = {},
): Steps<Fetched> {
  const { sockets, namespace } = process.machine;
  const { engine } = namespace;
  const letters = new Mailbox<Letter>();
  const connection = sockets.connect(namespace, to, now(process));
  if (!connection) return { kind: 'unreachable', time: now(process) };
  connection.onConnected = (time) => letters.put({ kind: 'connected', time });
  connection.onData = (data, time) => letters.put({ kind: 'data', data, time });
  connection.onEnd = (time) => letters.put({ kind: 'end', time });
  connection.onFailed = (kind, time) => letters.put({ kind, time });
  const callOff = engine.at(now(process) + patience, (time) => letters.put({ kind: 'timeout', time }));
  let whole = new Uint8Array();
  let open = true;
  try {
    while (true) {
      const letter = yield* letters.take();
      if (letter.kind === 'connected') {
        onConnect?.(connection);
        connection.write(request, sockets.after(letter.time));
      } else if (letter.kind === 'data') {
        whole = joined([whole, letter.data]);
        const response = parse(whole, letter.time, false, headOnly);
        if (response) return { kind: 'response', response };
      } else if (letter.kind === 'end') {
        const response = parse(whole, letter.time, true, headOnly);
        return response ? { kind: 'response', response } : { kind: 'empty', time: letter.time };
      } else {
        open = letter.kind === 'timeout';
        return { kind: letter.kind, time: letter.time };
      }
    }
  } finally {
    callOff();
    if (open) connection.close(now(process));
  }
}

/** Undefined while it is not whole. */
function parse(bytes: Uint8Array, time: number, ended: boolean, headOnly: boolean): Response | undefined {
  const text = new TextDecoder('latin1').decode(bytes);
  const at = text.indexOf('\r\n\r\n');
  if (at < 0 || !/^HTTP\/1\.[01] \d{3}/.test(text)) return undefined;
  const [statusLine = '', ...lines] = text.slice(0, at).split('\r\n');
  const headers = new Map(
    lines.map((line): [string, string] => {
      const [name = '', ...value] = line.split(':');
      return [name.toLowerCase(), value.join(':').trim()];
    }),
  );
  const status = Number(statusLine.split(' ')[1]);
  const length = headers.get('content-length');
  const none = headOnly || status === 204 || status === 304;
  const wanted = none ? 0 : length === undefined ? undefined : Number(length);
  const have = bytes.length - at - 4;
  if (wanted === undefined ? !ended : have < wanted && !ended) return undefined;
  return {
    status,
    statusLine,
    headers,
    head: text.slice(0, at + 4),
    body: bytes.slice(at + 4, wanted === undefined ? undefined : at + 4 + wanted),
    time,
  };
}
