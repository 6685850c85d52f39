// What the tests import as `vitest` while mutants are judged: enough to run them one by one in one process.
import assert from 'node:assert';

/** All tests of all files: a name, and how to run it. */
export const tests = [];
/** What has to be done before the first of them. */
export const before = [];
export const beforeAll = (run) => void before.push(run);
const group = [];
const named = (name, args) => args.reduce((text, arg) => text.replace(/%[a-z]/, String(arg)), name);
const each = (define) => (list) => (name, run, timeout) => {
  for (const one of list) {
    const args = Array.isArray(one) ? one : [one];
    define(named(name, args), () => run(...args), timeout);
  }
};
export const it = (name, run) => tests.push({ name: [...group, name].join(' > '), run });
it.each = each(it);
export function describe(name, run) {
  group.push(name);
  run();
  group.pop();
}
describe.each = each(describe);

function same(a, b) {
  try {
    assert.deepStrictEqual(a, b);
    return true;
  } catch {
    return false;
  }
}
// Arrays of lines are compared fast; where they part is said shortly.
const alike = (a, b) =>
  Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((one, i) => one === b[i]);
function parting(a, b) {
  if (!Array.isArray(a) || !Array.isArray(b)) return 'not equal';
  const i = a.findIndex((one, n) => one !== b[n]);
  return `line ${i}: ${String(a[i]).slice(0, 100)} | ${String(b[i]).slice(0, 100)}`;
}
const check = (holds, message) => assert.ok(holds, message);
const contains = (a, b) => (a instanceof Set ? a.has(b) : a.includes(b));
export function expect(a) {
  return {
    not: {
      toBe: (b) => check(!Object.is(a, b), `${a} is ${b}`),
      toContain: (b) => check(!contains(a, b), 'contains'),
    },
    toEqual: (b) => check(alike(a, b) || same(a, b), parting(a, b)),
    toBe: (b) => check(Object.is(a, b), `${a} is not ${b}`),
    toBeGreaterThan: (b) => check(a > b, `${a} > ${b}`),
    toBeGreaterThanOrEqual: (b) => check(a >= b, `${a} >= ${b}`),
    toBeLessThan: (b) => check(a < b, `${a} < ${b}`),
    toBeLessThanOrEqual: (b) => check(a <= b, `${a} <= ${b}`),
    toContain: (b) => check(contains(a, b), 'does not contain'),
    toHaveLength: (b) => check(a.length === b, `length ${a.length}`),
  };
}
