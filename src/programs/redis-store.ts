/** What redis-server keeps and answers (RESP2): the commands that tutorials type. */

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Bytes, a letter each: sizes count bytes, and a segment may end within a letter. */
export function bytesIn(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function letters(bytes: string): string {
  return decoder.decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)));
}

export type Value = string | number | null | { simple: string } | { error: string } | readonly Value[];

export function encoded(value: Value): string {
  if (value === null) return '$-1\r\n';
  if (typeof value === 'number') return `:${value}\r\n`;
  if (typeof value === 'string') return `$${encoder.encode(value).length}\r\n${value}\r\n`;
  if ('simple' in value) return `+${value.simple}\r\n`;
  if ('error' in value) return `-${value.error}\r\n`;
  return `*${value.length}\r\n${value.map(encoded).join('')}`;
}

export class RedisStore {
  readonly #values = new Map<string, string>();

  answer([name = '', ...args]: readonly string[]): Value {
    const command = name.toUpperCase();
    const [key = '', value = ''] = args;
    const least = LEAST[command];
    if (least === undefined) {
      const rest = args.map((arg) => `'${arg}' `).join('');
      return { error: `ERR unknown command '${name}', with args beginning with: ${rest}` };
    }
    if (args.length < least) return { error: `ERR wrong number of arguments for '${name.toLowerCase()}' command` };
    switch (command) {
      case 'PING':
        return args.length > 0 ? key : { simple: 'PONG' };
      case 'ECHO':
        return key;
      case 'SET': {
        const options = args.slice(2).map((one) => one.toUpperCase());
        // Nothing expires here: EX and its like are refused.
        if (options.length > 1 || !['NX', 'XX', undefined].includes(options[0])) return { error: 'ERR syntax error' };
        if (options.length > 0 && this.#values.has(key) === (options[0] === 'NX')) return null;
        this.#values.set(key, value);
        return { simple: 'OK' };
      }
      case 'QUIT':
        return { simple: 'OK' };
      case 'GET':
        return this.#values.get(key) ?? null;
      case 'DEL':
        return args.filter((one) => this.#values.delete(one)).length;
      case 'EXISTS':
        return args.filter((one) => this.#values.has(one)).length;
      case 'INCR':
      case 'DECR': {
        const before = this.#values.get(key) ?? '0';
        if (!/^-?\d+$/.test(before)) return { error: 'ERR value is not an integer or out of range' };
        const after = Number(before) + (command === 'INCR' ? 1 : -1);
        this.#values.set(key, String(after));
        return after;
      }
      case 'KEYS': {
        const like = new RegExp(
          `^${key
            .replaceAll(/[.+^${}()|\\]/g, '\\$&')
            .replaceAll('*', '.*')
            .replaceAll('?', '.')}$`,
        );
        return [...this.#values.keys()].filter((one) => like.test(one));
      }
      case 'DBSIZE':
        return this.#values.size;
      case 'FLUSHALL':
        this.#values.clear();
        return { simple: 'OK' };
      case 'INFO':
        return '# Server\r\nredis_version:7.2.4\r\nredis_mode:standalone\r\nos:swarmwire\r\n';
      default:
        return [];
    }
  }
}

/** How many arguments a command has at least. */
const LEAST: Record<string, number> = {
  PING: 0,
  ECHO: 1,
  SET: 2,
  GET: 1,
  DEL: 1,
  EXISTS: 1,
  INCR: 1,
  DECR: 1,
  KEYS: 1,
  DBSIZE: 0,
  FLUSHALL: 0,
  INFO: 0,
  COMMAND: 0,
  QUIT: 0,
};

/** One command from the front of what was received, an array of bulk strings or a line; undefined: it is not whole. */
export function readCommand(bytes: Uint8Array): { command: string[]; rest: Uint8Array } | undefined {
  const text = bytesIn(bytes);
  const end = text.indexOf('\n');
  if (end < 0) return undefined;
  if (!text.startsWith('*'))
    return {
      command: letters(text.slice(0, end))
        .trim()
        .split(/\s+/)
        .filter((word) => word !== ''),
      rest: bytes.slice(end + 1),
    };
  const command: string[] = [];
  let at = end + 1;
  for (let i = Number(text.slice(1, end)); i > 0; i--) {
    const [head = '', size = ''] = /^\$(\d+)\r\n/.exec(text.slice(at)) ?? [];
    const from = at + head.length;
    at = from + Number(size) + 2;
    if (head === '' || text.length < at) return undefined;
    command.push(letters(text.slice(from, at - 2)));
  }
  return { command, rest: bytes.slice(at) };
}

/**
 * A reply (of bytes, a letter each) as redis-cli shows it, and how long it is; undefined: it is not whole. `raw`: nobody reads it on a
 * terminal.
 */
export function shownReply(text: string, raw: boolean): { shown: string; length: number } | undefined {
  const end = text.indexOf('\r\n');
  if (end < 0) return undefined;
  const line = letters(text.slice(1, end));
  const after = end + 2;
  switch (text[0]) {
    case '+':
      return { shown: line, length: after };
    case '-':
      return { shown: raw ? line : `(error) ${line}`, length: after };
    case ':':
      return { shown: raw ? line : `(integer) ${line}`, length: after };
    case '$': {
      const size = Number(line);
      if (size < 0) return { shown: raw ? '' : '(nil)', length: after };
      const length = after + size + 2;
      if (text.length < length) return undefined;
      const bulk = letters(text.slice(after, after + size));
      return { shown: raw ? bulk : JSON.stringify(bulk), length };
    }
    case '*': {
      const items: string[] = [];
      let at = after;
      for (let i = 1; i <= Number(line); i++) {
        const item = shownReply(text.slice(at), raw);
        if (!item) return undefined;
        items.push(raw ? item.shown : `${i}) ${item.shown}`);
        at += item.length;
      }
      return { shown: items.length === 0 ? (raw ? '' : '(empty array)') : items.join('\n'), length: at };
    }
    default:
      return { shown: `Error: Protocol error, got ${JSON.stringify(text[0])} as reply type byte`, length: text.length };
  }
}
