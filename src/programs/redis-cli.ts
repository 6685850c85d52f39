/** redis-cli: one command of its arguments, or a line each from standard input. */

import { readOptions, wholeNumber } from './arguments.js';
import { Exit, now, type Process } from './process.js';
import { bytesIn, encoded, shownReply } from './redis-store.js';
import { addressOf } from './resolve.js';
import { Mailbox, type Steps } from './steps.js';

type Letter = { kind: 'connected' | 'end' | 'failed'; time: number } | { kind: 'data'; text: string; time: number };

export function* redisCli(process: Process): Steps<number> {
  const options = readOptions('redis-cli', process.argv.slice(1), { short: 'h:p:n:a:', strict: true });
  const host = options.value('h') ?? '127.0.0.1';
  const port = wholeNumber('redis-cli', options.value('p'), 6379);
  const refused = (why: string) => new Exit(1, `Could not connect to Redis at ${host}:${port}: ${why}`);
  const address = yield* addressOf(process, host, 0, refused('Name or service not known').words);
  const { sockets, namespace } = process.machine;
  const letters = new Mailbox<Letter>();
  const connection = sockets.connect(namespace, { address, port }, now(process));
  if (!connection) throw refused('Network is unreachable');
  connection.onConnected = (time) => letters.put({ kind: 'connected', time });
  connection.onData = (data, time) => letters.put({ kind: 'data', text: bytesIn(data), time });
  connection.onEnd = (time) => letters.put({ kind: 'end', time });
  connection.onFailed = (_, time) => letters.put({ kind: 'failed', time });
  process.onInterrupt = () => letters.put({ kind: 'end', time: now(process) });
  let open = false;
  function* ask(words: readonly string[]): Steps<boolean> {
    connection?.write(new TextEncoder().encode(encoded([...words])), sockets.after(now(process)));
    let text = '';
    while (true) {
      const reply = text === '' ? undefined : shownReply(text, !process.terminal);
      if (reply) {
        process.stdout.write(`${reply.shown}\n`);
        return true;
      }
      const letter = yield* letters.take();
      if (letter.kind !== 'data') return false;
      text += letter.text;
    }
  }
  try {
    if ((yield* letters.take()).kind !== 'connected') throw refused('Connection refused');
    open = true;
    if (options.operands.length > 0) return (yield* ask(options.operands)) ? 0 : 1;
    while (true) {
      if (process.terminal) process.stdout.write(`${host}:${port}> `);
      const line = yield* process.stdin.line();
      if (line === undefined || /^\s*(?:exit|quit)\s*$/i.test(line)) return 0;
      const words = [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? '');
      if (words.length > 0 && !(yield* ask(words))) return 1;
    }
  } finally {
    if (open) connection.close(now(process));
  }
}
