/** While packets move nothing is allocated: read off the compiled engine's text. */

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const text = readFileSync('build/engine.wat', 'utf8');
const calls = new Map<string, Set<string>>();
const grows = new Set<string>();
let current = '';
for (const line of text.split('\n')) {
  const begun = /^ \(func \$(\S+)/.exec(line);
  if (begun?.[1]) {
    current = begun[1];
    calls.set(current, new Set());
  }
  for (const [, called] of line.matchAll(/\bcall \$([^\s)]+)/g)) calls.get(current)?.add(called ?? '');
  if (/\(?memory\.grow/.test(line)) grows.add(current);
}

/** What may come of calling `from`, topping up between vectors aside. */
function reached(from: string): Set<string> {
  const found = new Set([from]);
  for (const name of found)
    for (const called of calls.get(name) ?? [])
      if (!/\/(ensure\w*|topUp|sweep)$|#ensure$/.test(called)) found.add(called);
  return found;
}
const allocators = [...calls].filter(([, called]) => [...called].some((name) => grows.has(name))).map(([name]) => name);
const allocates = (name: string) =>
  grows.has(name) ||
  allocators.includes(name) ||
  [...(calls.get(name) ?? [])].some((called) => grows.has(called) || allocators.includes(called));

it('finds the functions that allocate', () => {
  expect(grows.size).toBeGreaterThan(0);
  expect([...calls.keys()].filter((name) => name.endsWith('memory/arena'))).toHaveLength(1);
});

it('takes none on any way of a frame, but to double the queue of events', () => {
  const from = [...calls.keys()].find((name) => name.endsWith('devices/device/receive')) ?? '';
  const places = [...reached(from)].filter((name) => allocates(name) && !/(^|\/)~?lib\/|memory\/arena$/.test(name));
  expect(places).toEqual(['assembly/clock/queue/schedule']);
});
