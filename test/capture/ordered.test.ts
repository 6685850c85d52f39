/** Records that the engine puts in order itself are the ones that `Recording` makes, byte for byte. */

import { expect, test } from 'vitest';
import { OrderedRecording } from '../../src/capture/ordered.js';
import { Recording } from '../../src/capture/recording.js';
import { parseStackFile } from '../../src/stack-file/index.js';
import { Swarm } from '../../src/swarm/swarm.js';

const STACK =
  'services: { web: { image: nginx, ports: ["1080:80"], deploy: { replicas: 3 } }, echo: { image: e, ports: ["99:99/udp"] } }';

async function recorded(inEngine: boolean, captureBuffer: number, hop: number, stack = STACK) {
  const { spec } = parseStackFile(stack, { file: 'stack.yml', nodes: 2 });
  const swarm = await Swarm.create(spec, { seed: 3, captureBuffer });
  swarm.engine.exports.setHopDelay(hop);
  swarm.tapEverything();
  const { engine } = swarm;
  engine.onCapture = undefined;
  const pieces: Buffer[] = [];
  const write = (bytes: Uint8Array) => void pieces.push(Buffer.from(bytes));
  const recording = inEngine
    ? new OrderedRecording(engine, { writeOrdered: write })
    : new Recording(engine, { write: ({ bytes }) => write(bytes) });
  swarm.play();
  recording.finish();
  const { frames, late } = recording;
  return {
    bytes: Buffer.concat(pieces),
    frames,
    late,
    taps: engine.taps.map((_, tap) => recording.framesAt(tap)),
    missed: engine.exports.missed(),
    captured: engine.exports.captured(),
  };
}

test.each([
  [4 << 20, 1000],
  [4 << 20, 0],
  [256 << 10, 1000],
])('with a buffer of %i bytes and %i ns a hop', async (buffer, hop) => {
  const here = await recorded(true, buffer, hop);
  const there = await recorded(false, buffer, hop);
  expect(here.frames).toBeGreaterThan(300);
  expect(here.bytes.equals(there.bytes)).toBe(true);
  expect({ ...here, bytes: 0 }).toEqual({ ...there, bytes: 0 });
  expect(here.late).toBe(0);
  expect(here.missed).toBe(0);
});

// Slow: records follow each other as they were written. Fast: they are mixed, since many packets are on their way at once. Then
// slow again, in one run.
test.each(['10kpps', '100kpps', '2000kpps', '2000kpps, 10kpps, 2000kpps'])('loads at %s', async (rates) => {
  const loads = rates
    .split(', ')
    .map((rate) => `{ load: { to: "node1:1080", flows: 20, packets: 3000, rate: ${rate} } }`);
  const stack = `services: { web: { image: nginx, ports: ["1080:80"], deploy: { replicas: 3 } } }
x-swarmwire: { traffic: [ ${loads.join(', ')} ] }`;
  const here = await recorded(true, 4 << 20, 1000, stack);
  const there = await recorded(false, 4 << 20, 1000, stack);
  expect(here.frames).toBeGreaterThan(40_000);
  expect(here.bytes.equals(there.bytes)).toBe(true);
  expect({ ...here, bytes: 0 }).toEqual({ ...there, bytes: 0 });
  expect(here.late).toBe(0);
});

test('the buffer grows where more waits than it holds', async () => {
  const large = await recorded(true, 4 << 20, 1000);
  const small = await recorded(true, 32 << 10, 1000);
  expect(small.missed).toBe(0);
  expect(small.bytes.equals(large.bytes)).toBe(true);
});

test('records are handed on by half megabytes, while they are in the cache', async () => {
  const { spec } = parseStackFile(
    `services: { web: { image: nginx, ports: ["8080:80/udp"], deploy: { replicas: 3 } } }
x-swarmwire: { traffic: [ load: { to: "node1:8080", protocol: udp, flows: 10, packets: 4000, rate: 100kpps } ] }`,
    { file: 'stack.yml' },
  );
  const swarm = await Swarm.create(spec, { seed: 3 });
  swarm.tapEverything();
  swarm.engine.onCapture = undefined;
  const pieces: number[] = [];
  const recording = new OrderedRecording(swarm.engine, { writeOrdered: ({ length }) => void pieces.push(length) });
  swarm.play();
  recording.finish();
  expect(pieces.reduce((sum, length) => sum + length)).toBeGreaterThan(4 << 20);
  expect(Math.max(...pieces)).toBeLessThan(1 << 20);
  expect(recording.late).toBe(0);
  expect(swarm.engine.exports.missed()).toBe(0);
});
