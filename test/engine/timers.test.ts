/** Timers of what runs in JavaScript: they ring at their times, between the events of a run, in order. */

import { expect, test } from 'vitest';
import { pair } from './pair.js';

test('timers ring at their own times, in order of time and then of setting, and one that was called off does not', async () => {
  const { engine } = await pair();
  const rang: [string, number][] = [];
  const note = (name: string) => (time: number) => rang.push([name, time]);
  engine.at(3000, note('late'));
  engine.at(1000, note('first'));
  engine.at(1000, note('second'));
  const off = engine.at(2000, note('never'));
  engine.at(1500, (time) => engine.at(time + 100, note('set by another')));
  off();
  engine.run(2500);
  expect(rang).toEqual([
    ['first', 1000],
    ['second', 1000],
    ['set by another', 1600],
  ]);
  expect(engine.now).toBe(2500);
  engine.run(10_000);
  expect(rang.at(-1)).toEqual(['late', 3000]);
});

test('a timer for a time that is over rings at once, and the clock never goes back', async () => {
  const { engine } = await pair();
  engine.run(5000);
  const times: number[] = [];
  engine.at(1000, (time) => times.push(time, engine.now));
  engine.run(6000);
  expect(times).toEqual([5000, 5000]);
});

test('what a timer sends is on its way in the same run', async () => {
  const world = await pair();
  const { engine, sockets, client, server } = world;
  const got: number[] = [];
  sockets.openUdp(server, 53, ({ time }) => got.push(time));
  const socket = sockets.openUdp(client, 0, () => {});
  const to = server.device('eth0').addresses[0]?.address ?? '';
  engine.at(2_000_000_000, (time) => socket.send({ address: to, port: 53 }, new Uint8Array(4), time));
  world.run(5);
  expect(got).toHaveLength(1);
  expect(got[0]).toBeGreaterThan(2_000_000_000);
});
