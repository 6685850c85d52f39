/** Programs that wait to be asked: nginx and its kin, httpd, redis-server. They run until they are stopped. */

import { joined } from '../bytes.js';
import { answer, isHttp, isWhole } from '../traffic/http.js';
import { readOptions, wholeNumber } from './arguments.js';
import { Exit, type Process, type Program } from './process.js';
import { encoded, RedisStore, readCommand } from './redis-store.js';
import { type Steps, until } from './steps.js';

/** `GET / HTTP/1.1`, as access logs quote it. */
function requestLine(received: Uint8Array): string {
  return new TextDecoder().decode(received).split('\r\n')[0] ?? '';
}

const SOFTWARE: Record<string, string> = {
  nginx: 'nginx/1.25.3',
  httpd: 'Apache/2.4.58 (Unix)',
  SimpleHTTP: 'SimpleHTTP/0.6 Python/3.11.2',
};
const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

/** A line of an access log behind whom it was from: nginx's "main" format, Apache's common one, http.server's. */
function logged(software: string, date: Date, received: Uint8Array, body: string): string {
  const [day, month, time] = [date.getUTCDate(), MONTHS[date.getUTCMonth()], date.toISOString().slice(11, 19)];
  const place = `${String(day).padStart(2, '0')}/${month}/${date.getUTCFullYear()}`;
  const request = `"${requestLine(received)}" 200`;
  if (software === 'SimpleHTTP') return `[${place} ${time}] ${request} -`;
  const agent = /^user-agent: *(.*?)\r?$/im.exec(new TextDecoder().decode(received))?.[1] ?? '-';
  const sent = requestLine(received).startsWith('HEAD ') ? 0 : body.length;
  const common = `[${place}:${time} +0000] ${request} ${sent}`;
  return software === 'nginx' ? `${common} "-" "${agent}" "-"` : common;
}

function* serveHttp(process: Process, port: number, software: string): Steps<number> {
  const { machine, stdout } = process;
  const { sockets } = machine;
  const { engine } = machine.namespace;
  let close: () => void;
  try {
    close = listenAtAll(process, port, (connection) => {
      let received: Uint8Array = new Uint8Array();
      connection.onData = (piece, time) => {
        received = joined([received, piece]);
        if (!isHttp(received)) {
          connection.abort(sockets.after(time));
          return;
        }
        if (!isWhole(received)) return;
        const body = page(software, machine.hostname);
        const date = new Date(Number(engine.epoch / 1_000_000n) + time / 1e6);
        stdout.write(`${connection.remote.address} - - ${logged(software, date, received, body)}\n`);
        answer(connection, received, machine.hostname, body, sockets.after(time), {
          Server: SOFTWARE[software] ?? software,
          Date: date.toUTCString(),
          'Content-Type': 'text/html',
        });
        received = new Uint8Array();
      };
      connection.onEnd = (time) => connection.close(sockets.after(time));
    });
  } catch {
    throw new Exit(1, `${software}: bind() to 0.0.0.0:${port} failed (98: Address already in use)`);
  }
  try {
    return yield* until<number>(() => undefined);
  } finally {
    close();
  }
}

/** At every address of both families; returns what ends it. @throws if the port is taken */
function listenAtAll(
  process: Process,
  port: number,
  accept: Parameters<Process['machine']['sockets']['listen']>[2],
): () => void {
  const { machine } = process;
  const { sockets, namespace } = machine;
  const listeners: ReturnType<typeof sockets.listen>[] = [];
  const close = () => {
    for (const listener of listeners) sockets.endListener(listener, namespace.engine.now);
  };
  try {
    for (const address of ['0.0.0.0', '::']) {
      const listener = sockets.listen(namespace, port, accept, address);
      listeners.push(listener);
      machine.owns(process, listener.socket);
    }
  } catch (error) {
    close();
    throw error;
  }
  return close;
}

function page(software: string, host: string): string {
  return `<!DOCTYPE html>\n<html>\n<head><title>Welcome to ${software}!</title></head>\n<body>\n<h1>Welcome to ${software}!</h1>\n<p>Served by ${host}.</p>\n</body>\n</html>\n`;
}

function* nginx(process: Process): Steps<number> {
  return yield* serveHttp(process, 80, 'nginx');
}

function* httpd(process: Process): Steps<number> {
  const options = readOptions('httpd', process.argv.slice(1), { short: 'fp:h:v', long: ['DFOREGROUND'] });
  return yield* serveHttp(process, wholeNumber('httpd', options.value('p')?.split(':').pop(), 80), 'httpd');
}

/** `python3 -m http.server [PORT]` */
function* python(process: Process): Steps<number> {
  const [, flag, module, port] = process.argv;
  if (flag !== '-m' || (module !== 'http.server' && module !== 'SimpleHTTPServer')) {
    throw new Exit(2, `${process.argv[0]}: swarmwire runs "-m http.server [PORT]" and nothing else`);
  }
  return yield* serveHttp(process, wholeNumber('python3', port, 8000), 'SimpleHTTP');
}

function* redisServer(process: Process): Steps<number> {
  const options = readOptions('redis-server', process.argv.slice(1), {
    long: ['port=', 'appendonly=', 'save=', 'protected-mode='],
  });
  const { sockets } = process.machine;
  const port = wholeNumber('redis-server', options.value('port'), 6379);
  const store = new RedisStore();
  let close: () => void;
  try {
    close = listenAtAll(process, port, (connection) => {
      let received: Uint8Array = new Uint8Array();
      connection.onData = (piece, time) => {
        received = joined([received, piece]);
        for (let read = readCommand(received); read; read = readCommand(received)) {
          received = read.rest;
          if (read.command.length === 0) continue;
          connection.write(new TextEncoder().encode(encoded(store.answer(read.command))), sockets.after(time));
          if (read.command[0]?.toUpperCase() !== 'QUIT') continue;
          received = new Uint8Array();
          connection.onData = () => {};
          connection.close(sockets.after(time));
        }
      };
      connection.onEnd = (time) => connection.close(sockets.after(time));
    });
  } catch {
    throw new Exit(1, `Could not create server TCP listening socket *:${port}: bind: Address already in use`);
  }
  process.stdout.write(`1:M * Ready to accept connections tcp\n`);
  try {
    return yield* until<number>(() => undefined);
  } finally {
    close();
  }
}

/** `nginx -g 'daemon off;'` and a bare `nginx` alike: it stays. */
export const SERVERS: Record<string, Program> = {
  nginx,
  httpd,
  'httpd-foreground': httpd,
  python,
  python3: python,
  'redis-server': redisServer,
};
