/** Connections that are taken over, as packets bring them: a request's head and its body may come one by one. */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { frameOf } from '../../src/docker/io.js';
import { STATUS, STDIN } from '../../src/docker/node-exec.js';
import { Served } from './served.js';

let served: Served;
beforeAll(async () => {
  served = await Served.of(1);
  await served.ask('POST', '/images/create?fromImage=alpine&tag=latest');
  await served.ask('POST', '/containers/create?name=box', { Image: 'alpine', Cmd: ['sleep', 'infinity'] });
  await served.ask('POST', '/containers/box/start');
}, 60_000);
afterAll(() => served.close());

/** Both ends of one, and what the client has heard. */
class Taken {
  heard = '';
  #stirred: () => void = () => {};

  private constructor(
    readonly client: Socket,
    readonly closed: Promise<unknown>,
  ) {}

  /** The body follows in so many pieces once the server has read the head; 0: it is in the same packet. `rest` is in its last one. */
  static async by(path: string, body: string, pieces: number, rest = '', length = body.length): Promise<Taken> {
    const [engine] = served.engines;
    if (!engine) throw new Error('nobody listens');
    const { port } = new URL(served.url());
    const client = connect({ port: Number(port), host: '127.0.0.1', noDelay: true });
    const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;
    const upgraded = once(engine.server, 'upgrade') as Promise<[unknown, Socket]>;
    client.write(pieces === 0 ? head + body + rest : head);
    const [, socket] = await upgraded;
    const taken = new Taken(client, once(socket, 'close'));
    client.on('data', (data) => {
      taken.heard += data.toString('latin1');
      taken.#stirred();
    });
    for (let i = 0; i < pieces; i++) {
      const [from, to] = [i, i + 1].map((n) => Math.floor((body.length * n) / pieces));
      client.write(body.slice(from, to) + (i === pieces - 1 ? rest : ''));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return taken;
  }

  async hears(words: string): Promise<void> {
    while (!this.heard.includes(words)) await new Promise<void>((resolve) => (this.#stirred = resolve));
  }
}

async function execOf(Cmd: readonly string[], Tty: boolean): Promise<string> {
  const wish = { Cmd, Tty, AttachStdin: true, AttachStdout: true };
  const { json } = await served.ask('POST', '/containers/box/exec', wish);
  return `/exec/${(json as { Id: string }).Id}/start`;
}

describe.each([
  ['with its head', 0],
  ['after its head', 1],
  ['in twenty pieces', 20],
])('a body that comes %s', (_, pieces) => {
  test('leaves a terminal that reads what is typed, and closes when its shell has ended', async () => {
    const taken = await Taken.by(await execOf(['sh'], true), '{"Detach":false,"Tty":true}', pieces);
    await taken.hears('\r\n\r\n/ # ');
    taken.client.write('hostname -i\n');
    await taken.hears('172.17.0.2\r\n/ # ');
    taken.client.write('exit\n');
    await taken.closed;
  });

  test('may have input in its last packet', async () => {
    const taken = await Taken.by(await execOf(['cat'], false), '{"Detach":false,"Tty":false}', pieces, 'early\n');
    await taken.hears('early\n');
    taken.client.end('late\n');
    await taken.hears('late\n');
    await taken.closed;
  });

  test('may be that of a command on a node', async () => {
    const taken = await Taken.by('/swarmwire/nodes/node1/exec', '{"Cmd":["cat"]}', pieces);
    const words = frameOf(STDIN, Buffer.from('typed\n'));
    taken.client.write(Buffer.concat([words, frameOf(STDIN, new Uint8Array())]));
    await taken.hears('typed\n');
    await taken.hears(Buffer.from(frameOf(STATUS, new Uint8Array(4))).toString('latin1'));
    await taken.closed;
  });

  test('may be refused', async () => {
    const taken = await Taken.by('/exec/none/start', '{"Detach":false,"Tty":false}', pieces);
    await taken.hears('No such exec instance: none');
    await taken.closed;
  });
});

test.each([0, 1])('a client that is done in the middle of its body has asked for nothing (%i)', async (pieces) => {
  const taken = await Taken.by(await execOf(['true'], false), '{"Detach":false}', pieces, '', 100);
  taken.client.end();
  await taken.closed;
  expect(taken.heard).toBe('');
});
