/** While packets move nothing is allocated: read off the compiled engine's text. */

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const text = readFileSync('build/engine.wat', 'utf8');

/** Who calls whom, and which functions have memory grow. */
function read(wat: string) {
  const calls = new Map<string, Set<string>>();
  const grows = new Set<string>();
  let current = '';
  for (const line of wat.split('\n')) {
    const begun = /^ \(func \$(\S+)/.exec(line);
    if (begun?.[1]) {
      current = begun[1];
      calls.set(current, new Set());
    }
    for (const [, called] of line.matchAll(/\b(?:return_)?call \$([^\s)]+)/g)) calls.get(current)?.add(called ?? '');
    if (/\(?memory\.grow/.test(line)) grows.add(current);
  }
  return { calls, grows };
}
type Read = ReturnType<typeof read>;

/** Where a batch comes in from outside, and where all that is due happens: events, loads, timers. */
const ROOTS = ['assembly/inbox/receiveBatch', 'assembly/clock/run/runUntil'];
/** Between vectors and between events: tables grow here, and nothing is on its way. */
const BETWEEN = /\/(ensure\w*|topUp|sweep)$|#ensure$/;

/** What may come of the roots, topping up between vectors aside. */
function reached({ calls }: Read): Set<string> {
  const found = new Set(ROOTS);
  for (const name of found) for (const called of calls.get(name) ?? []) if (!BETWEEN.test(called)) found.add(called);
  return found;
}
/** Functions of ours that take memory. */
function taking(wat: Read): string[] {
  const takes = (name: string) => [...(wat.calls.get(name) ?? [])].some((called) => wat.grows.has(called));
  return [...reached(wat)].filter(takes).sort();
}
const engine = read(text);

it('finds the functions that allocate, and the ways in', () => {
  expect([...engine.grows]).toEqual(['~lib/rt/stub/__alloc']);
  for (const root of ROOTS) expect([...engine.calls.keys()]).toContain(root);
  // Calls through a table would not be followed.
  expect(text).not.toMatch(/call_indirect|call_ref|ref\.func/);
});

it('follows what the hot loop calls, by name', () => {
  const found = reached(engine);
  for (const name of [
    'devices/device/receive',
    'flowtable/foresee/foresee',
    'flowtable/recorder/begin',
    'flowtable/recorder/install',
    'flowtable/sights/showBefore',
    'capture/tap/tap',
    'clock/queue/schedule',
    'load/generator/draw',
  ])
    expect(found, name).toContain(`assembly/${name}`);
  expect(found.size).toBeGreaterThan(250);
});

it('leaves out nothing but what is between vectors', () => {
  const { calls } = engine;
  const left = [...reached(engine)].flatMap((name) =>
    [...(calls.get(name) ?? [])].filter((called) => BETWEEN.test(called)).map((called) => `${name} > ${called}`),
  );
  expect(left.map((one) => one.replaceAll('assembly/', '')).sort()).toEqual([
    'clock/run/runUntil > clock/run/ensure',
    'clock/run/runUntil > clock/run/topUp',
    'clock/run/runUntil > clock/sweep/sweep',
    'clock/run/vector > clock/run/topUp',
    'inbox/receiveBatch > clock/run/ensure',
    'inbox/receiveBatch > clock/run/topUp',
    'inbox/receiveBatch > frame/ensureFrames',
    'inbox/receiveMany > clock/run/topUp',
  ]);
});

it('takes none on any way of a frame, but to double the queue of events', () => {
  expect(taking(engine)).toEqual(['assembly/clock/queue/schedule']);
});

it.each(['assembly/devices/device/receive', 'assembly/flowtable/recorder/install', 'assembly/capture/tap/tap'])(
  'would see %s take some',
  (name) => {
    const begun = new RegExp(`^ \\(func \\$${name}[^\\n]*\\n`, 'm');
    expect(text).toMatch(begun);
    const worse = text.replace(begun, (line) => `${line}  call $~lib/rt/stub/__alloc\n`);
    expect(taking(read(worse))).toContain(name);
  },
);
