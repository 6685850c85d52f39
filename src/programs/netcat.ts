/** nc as busybox does it (networking/nc_bloaty.c): a client, `-l` a server, `-z` a look whether a port is open, `-u` UDP. */

import type { TcpConnection } from '../engine/index.js';
import { readOptions, wholeNumber } from './arguments.js';
import { Exit, now, type Process, SECOND } from './process.js';
import { addressOf } from './resolve.js';
import { Mailbox, type Steps, Task } from './steps.js';

type Letter =
  | { kind: 'connected' | 'end' | 'timeout' | 'eof'; time: number }
  | { kind: 'accepted'; connection: TcpConnection; time: number }
  | { kind: 'data'; data: Uint8Array; time: number }
  | { kind: 'failed'; reason: string; time: number }
  | { kind: 'typed'; data: Uint8Array };

const REASONS: Record<string, string> = {
  refused: 'Connection refused',
  timeout: 'Operation timed out',
  unreachable: 'Host is unreachable',
  reset: 'Connection reset by peer',
};

export function* nc(process: Process): Steps<number> {
  const [program = 'nc', ...args] = process.argv;
  const options = readOptions(program, args, { short: 'lp:zw:uvnke:i:' });
  const [host, portText] = options.operands;
  const patience = options.value('w') === undefined ? undefined : wholeNumber(program, options.value('w'), 0) * SECOND;
  if (options.has('l')) {
    const port = wholeNumber(program, options.value('p') ?? portText ?? host, 0);
    return yield* serve(process, port, options.has('k'), options.has('u'));
  }
  if (host === undefined || portText === undefined) throw new Exit(1, `Usage: ${program} [OPTIONS] HOST PORT`);
  const port = wholeNumber(program, portText, 0);
  const address = yield* addressOf(process, host, 0, `${program}: bad address '${host}'`);
  if (options.has('u')) return yield* datagrams(process, { address, port }, patience);
  return yield* dial(
    process,
    { address, port },
    {
      look: options.has('z'),
      verbose: options.has('v'),
      name: `${host} (${address}:${port})`,
      program,
      patience,
    },
  );
}

/** Standard input, letter by letter; its reader is stopped with the program. */
function reader(process: Process, letters: Mailbox<Letter>): Task {
  function* read(): Steps {
    while (true) {
      const data = yield* process.stdin.read();
      if (data === undefined) break;
      letters.put({ kind: 'typed', data });
    }
    letters.put({ kind: 'eof', time: now(process) });
  }
  return new Task(read());
}

function attend(connection: TcpConnection, letters: Mailbox<Letter>): void {
  connection.onConnected = (time) => letters.put({ kind: 'connected', time });
  connection.onData = (data, time) => letters.put({ kind: 'data', data, time });
  connection.onEnd = (time) => letters.put({ kind: 'end', time });
  connection.onFailed = (reason, time) => letters.put({ kind: 'failed', reason, time });
}

function* dial(
  process: Process,
  to: { address: string; port: number },
  {
    look,
    verbose,
    name,
    program,
    patience,
  }: { look: boolean; verbose: boolean; name: string; program: string; patience: number | undefined },
): Steps<number> {
  const { sockets, namespace } = process.machine;
  const letters = new Mailbox<Letter>();
  const connection = sockets.connect(namespace, to, now(process));
  const failed = (words: string) =>
    new Exit(
      1,
      look && !verbose ? '' : `${program}: ${name.replace(/ \(.*/, '')} (${to.address}:${to.port}): ${words}`,
    );
  if (!connection) throw failed('Network unreachable');
  attend(connection, letters);
  const callOff =
    patience === undefined
      ? undefined
      : namespace.engine.at(now(process) + patience, (time) => letters.put({ kind: 'timeout', time }));
  let typing: Task | undefined;
  let open = true;
  try {
    while (true) {
      const letter = yield* letters.take();
      if (letter.kind === 'connected') {
        callOff?.();
        if (verbose) process.stderr.write(`${name} open\n`);
        if (look) return 0;
        typing = reader(process, letters);
      } else if (letter.kind === 'typed') connection.write(letter.data, now(process));
      else if (letter.kind === 'data') process.stdout.write(letter.data);
      else if (letter.kind === 'eof') connection.shutdown(now(process));
      else if (letter.kind === 'end') return 0;
      else if (letter.kind === 'timeout') throw failed('Operation timed out');
      else if (letter.kind === 'failed') {
        open = false;
        if (typing && letter.reason === 'reset') return 1;
        throw failed(REASONS[letter.reason] ?? letter.reason);
      }
    }
  } finally {
    callOff?.();
    typing?.stop();
    if (open) connection.close(now(process));
  }
}

function* serve(process: Process, port: number, stays: boolean, udp: boolean): Steps<number> {
  const { sockets, namespace } = process.machine;
  const letters = new Mailbox<Letter>();
  if (udp) {
    const socket = sockets.openUdp(namespace, port, ({ data, time }) => letters.put({ kind: 'data', data, time }));
    try {
      while (true) {
        const letter = yield* letters.take();
        if (letter.kind === 'data') process.stdout.write(letter.data);
      }
    } finally {
      sockets.closeUdp(socket);
    }
  }
  const listener = sockets.listen(namespace, port, (connection, time) =>
    letters.put({ kind: 'accepted', connection, time }),
  );
  process.machine.owns(process, listener.socket);
  let current: TcpConnection | undefined;
  let typing: Task | undefined;
  try {
    while (true) {
      const letter = yield* letters.take();
      if (letter.kind === 'accepted') {
        if (current) {
          letter.connection.abort(now(process));
          continue;
        }
        current = letter.connection;
        attend(current, letters);
        typing = reader(process, letters);
      } else if (letter.kind === 'data') process.stdout.write(letter.data);
      else if (letter.kind === 'typed') current?.write(letter.data, now(process));
      else if (letter.kind === 'eof') current?.shutdown(now(process));
      else if (letter.kind === 'end' || letter.kind === 'failed') {
        typing?.stop();
        if (letter.kind === 'end') current?.close(now(process));
        current = undefined;
        if (!stays) return 0;
      }
    }
  } finally {
    typing?.stop();
    current?.close(now(process));
    sockets.closeListener(listener);
  }
}

function* datagrams(
  process: Process,
  to: { address: string; port: number },
  patience: number | undefined,
): Steps<number> {
  const { sockets, namespace } = process.machine;
  const letters = new Mailbox<Letter>();
  const socket = sockets.openUdp(
    namespace,
    0,
    ({ data, time }) => letters.put({ kind: 'data', data, time }),
    (_type, _code, time) => letters.put({ kind: 'failed', reason: 'refused', time }),
  );
  socket.connect(to);
  const typing = reader(process, letters);
  let callOff: (() => void) | undefined;
  try {
    while (true) {
      const letter = yield* letters.take();
      if (letter.kind === 'typed') socket.send(to, letter.data, now(process));
      else if (letter.kind === 'data') process.stdout.write(letter.data);
      else if (letter.kind === 'failed') throw new Exit(1, `nc: read error: ${REASONS.refused}`);
      else if (letter.kind === 'timeout') return 0;
      else if (letter.kind === 'eof' && patience !== undefined) {
        callOff = namespace.engine.at(now(process) + patience, (time) => letters.put({ kind: 'timeout', time }));
      }
    }
  } finally {
    callOff?.();
    typing.stop();
    sockets.closeUdp(socket);
  }
}
