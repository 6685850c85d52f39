/** What stands where `swarmwire serve` is to have a socket. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { clear } from '../../src/cli/serve.js';

const directory = mkdtempSync(join(tmpdir(), 'swarmwire-'));
afterAll(() => rmSync(directory, { recursive: true }));

test('nothing is fine, a file and a directory stay, and so does a socket where somebody answers', async () => {
  await clear(join(directory, 'nothing.sock'));
  const file = join(directory, 'file.sock');
  writeFileSync(file, 'mine');
  symlinkSync(file, join(directory, 'link.sock'));
  for (const path of [file, join(directory, 'link.sock'), directory])
    await expect(clear(path)).rejects.toThrow(/^there is something that is no socket of ours/);
  expect(readFileSync(file, 'utf8')).toBe('mine');
  const socket = join(directory, 'live.sock');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  await expect(clear(socket)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  expect(existsSync(socket)).toBe(true);
  await new Promise((resolve) => server.close(resolve));
});

test('a socket that a server left behind goes', async () => {
  const socket = join(directory, 'left.sock');
  const script = `require('node:net').createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script]);
  expect(existsSync(socket)).toBe(true);
  await clear(socket);
  expect(existsSync(socket)).toBe(false);
});
