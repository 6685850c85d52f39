/** Engines of a simulated swarm, served on free ports of loopback, and clients that speak to them. */

import { execFile } from 'node:child_process';
import { request as httpRequest } from 'node:http';
import { emptyStack } from '../../src/cli/serve.js';
import { startOnNode } from '../../src/docker/node-exec.js';
import { type Listening, listen } from '../../src/docker/server.js';
import { World } from '../../src/docker/world.js';
import { parseStackFile } from '../../src/stack-file/index.js';
import type { EngineVersion } from '../../src/topology/daemon.js';

/** What a command prints on a node, and its status. */
export async function on(world: World, node: string, line: string): Promise<{ status: number; out: string }> {
  const decoder = new TextDecoder();
  let out = '';
  const command = startOnNode(world, node, { Cmd: ['sh', '-c', line] }, (io) =>
    io.watch({ onOutput: ({ data }) => (out += decoder.decode(data, { stream: true })) }),
  );
  await world.until(() => command.status() !== undefined);
  return { status: command.status() ?? -1, out };
}

export interface Ended {
  status: number | null;
  out: string;
  err: string;
}

export class Served {
  private constructor(
    readonly world: World,
    readonly engines: readonly Listening[],
  ) {}

  static async of(nodes: number, stack?: string, version?: EngineVersion): Promise<Served> {
    const spec =
      stack === undefined ? emptyStack(nodes, version) : parseStackFile(stack, { file: 'serve', nodes }).spec;
    const world = await World.create(spec, { seed: 1 });
    const engines: Listening[] = [];
    for (const { name } of spec.nodes) engines.push(await listen(world, name, { host: '127.0.0.1', port: 0 }));
    world.open();
    return new Served(world, engines);
  }

  url(node = 1): string {
    const engine = this.engines[node - 1];
    if (!engine) throw new Error(`there is no node ${node}`);
    return engine.url.replace('tcp:', 'http:');
  }

  close(): void {
    this.world.close();
    for (const { server } of this.engines) {
      server.close();
      server.closeAllConnections();
    }
  }

  /** A command of a real client, on a node. */
  client(
    program: string,
    args: readonly string[],
    {
      node = 1,
      typed,
      seconds = 30,
      environment = {},
    }: { node?: number; typed?: string; seconds?: number; environment?: Record<string, string> } = {},
  ): Promise<Ended> {
    return new Promise((resolve) => {
      const child = execFile(
        program,
        [...args],
        {
          env: { ...process.env, DOCKER_HOST: this.engines[node - 1]?.url ?? '', ...environment },
          timeout: seconds * 1000,
          killSignal: 'SIGKILL',
          maxBuffer: 16 << 20,
        },
        (error, out, err) =>
          resolve({ status: error ? (typeof error.code === 'number' ? error.code : null) : 0, out, err }),
      );
      child.stdin?.end(typed ?? '');
    });
  }

  /** One request; a body is sent as JSON, or as it is if it is a string. */
  ask(
    method: string,
    path: string,
    body?: unknown,
    node = 1,
  ): Promise<{ status: number; json: unknown; text: string }> {
    return new Promise((resolve, reject) => {
      const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
      const request = httpRequest(
        `${this.url(node)}${path}`,
        { method, headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) } },
        (response) => {
          const pieces: Buffer[] = [];
          response.on('data', (piece: Buffer) => pieces.push(piece));
          response.on('end', () => {
            const got = Buffer.concat(pieces).toString();
            let json: unknown;
            try {
              json = JSON.parse(got);
            } catch {
              json = undefined;
            }
            resolve({ status: response.statusCode ?? 0, json, text: got });
          });
          response.on('error', reject);
        },
      );
      request.on('error', reject);
      request.end(text);
    });
  }
}
