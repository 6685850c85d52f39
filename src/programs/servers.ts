/** Programs that wait to be asked: nginx and its kin, httpd, redis-server. They run until they are stopped. */

import { joined } from '../bytes.js';
import { answer, isHttp, isWhole } from '../traffic/http.js';
import * as redis from '../traffic/redis.js';
import { readOptions, wholeNumber } from './arguments.js';
import { Exit, type Process, type Program } from './process.js';
import { type Steps, until } from './steps.js';

/** `GET / HTTP/1.1`, as access logs quote it. */
function requestLine(received: Uint8Array): string {
  return new TextDecoder().decode(received).split('\r\n')[0] ?? '';
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
        const date = new Date(Number(engine.epoch / 1_000_000n) + time / 1e6)
          .toISOString()
          .slice(0, 19)
          .replace('T', ' ');
        stdout.write(`${connection.remote.address} - - [${date} +0000] "${requestLine(received)}" 200 -\n`);
        answer(connection, received, machine.hostname, page(software, machine.hostname), sockets.after(time));
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
  let close: () => void;
  try {
    close = listenAtAll(process, port, (connection) => {
      let received: Uint8Array = new Uint8Array();
      connection.onData = (piece, time) => {
        const grown = joined([received, piece]);
        received = redis.answer(connection, grown, sockets.after(time)) ? new Uint8Array() : grown;
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
