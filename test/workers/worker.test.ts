/** What a worker tells the others, whatever they do. This thread stands for it here. */

import { EventEmitter } from 'node:events';
import { beforeEach, expect, it, vi } from 'vitest';
import { compile } from '../../src/engine/compile.js';
import { parseStackFile } from '../../src/index.js';
import { Signals } from '../../src/workers/stream.js';
import type { Job, Told } from '../../src/workers/worker.js';

const threads = vi.hoisted(() => ({ parentPort: undefined as unknown }));
vi.mock('node:worker_threads', () => threads);

beforeEach(() => vi.resetModules());

const { spec } = parseStackFile(
  `services: { web: { image: nginx, ports: ["80:80"] } }
x-swarmwire: { traffic: [{ http: { to: "node1:80" } }, { http: { to: "node1:80" } }] }`,
  { file: 'web.yml' },
);

/** All that it tells until it is done; when it leaves off, it hears `answer`. */
async function working(signals: Signals, answer: number): Promise<Told[]> {
  const told: Told[] = [];
  const common = { spec, seed: 1, comments: false, drivers: [], index: 0, count: 2, records: undefined };
  const job: Job = { ...common, module: await compile(), signals: signals.shared };
  await new Promise<void>((resolve) => {
    const port = Object.assign(new EventEmitter(), {
      postMessage(message: Told) {
        told.push(message);
        if (message.kind === 'left' && message.progress) queueMicrotask(() => port.emit('message', answer));
        if (message.kind === 'done' || message.kind === 'failed') resolve();
      },
    });
    threads.parentPort = port;
    void import('../../src/workers/worker.js').then(() => port.emit('message', job));
  });
  return told.filter(({ kind }) => kind !== 'progress');
}

it('says when its play is over, before others could wait for it', async () => {
  expect(await working(Signals.for(2), 0)).toMatchObject([{ kind: 'left', steps: Infinity }, { kind: 'done' }]);
});

it.each([
  ['to the end', Infinity, 2],
  ['no further', 1, 1],
])('says once how far it has come when it is to leave off, and goes on %s', async (_, answer, flows) => {
  const signals = Signals.for(2);
  signals.leave();
  const [left, done, ...more] = await working(signals, answer);
  expect([left, done, more]).toMatchObject([{ kind: 'left', steps: 1 }, { kind: 'done' }, []]);
  expect(done?.kind === 'done' && done.done.counts.flows.length).toBe(flows);
});
