import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { align } from '../../src/replay/align.js';

/** Letters that differ by case are one letter changed; others have something in common too, but less. */
const distance = (real: string, ours: string) =>
  real === ours ? 0 : real.toLowerCase() === ours.toLowerCase() ? 1.1 : 1.8;
const written = (real: string, ours: string) =>
  align([...real], [...ours], distance)
    .map((pair) => `${pair.real ?? '-'}${pair.ours ?? '-'}`)
    .join(' ');

describe('two lists side by side', () => {
  test.each([
    ['abc', 'abc', 'aa bb cc'],
    ['abc', 'ac', 'aa b- cc'],
    ['ac', 'abc', 'aa -b cc'],
    ['abc', 'aBc', 'aa bB cc'],
    ['abc', '', 'a- b- c-'],
    ['', 'ab', '-a -b'],
    ['', '', ''],
    ['abcd', 'ABD', 'aA bB c- dD'],
    ['abcdef', 'acdxef', 'aa b- cc dd -x ee ff'],
  ])('%s with %s', (real, ours, pairs) => {
    expect(written(real, ours)).toBe(pairs);
  });

  test('swapped, one of the two keeps its place', () => {
    const pairs = align([...'abcd'], [...'acbd'], distance);
    expect(pairs.filter(({ real, ours }) => real === ours)).toHaveLength(3);
  });

  test('lose nothing and keep their order', () => {
    const letters = fc.array(fc.constantFrom('a', 'b', 'A', 'c'), { maxLength: 40 });
    fc.assert(
      fc.property(letters, letters, (real, ours) => {
        const pairs = align(real, ours, distance);
        expect(pairs.flatMap((pair) => pair.real ?? [])).toEqual(real);
        expect(pairs.flatMap((pair) => pair.ours ?? [])).toEqual(ours);
      }),
    );
  });

  test('that have nothing to do with each other are not paired', () => {
    expect(align(['a', 'b'], ['x'], () => Number.POSITIVE_INFINITY)).toHaveLength(3);
  });

  test('may be long', () => {
    const real = Array.from({ length: 20_000 }, (_, index) => index);
    const ours = real.filter((index) => index !== 137 && index !== 18_000);
    const start = performance.now();
    const pairs = align(real, ours, (one, other) => (one === other ? 0 : 1.5));
    expect(pairs.filter((pair) => pair.ours === undefined).map((pair) => pair.real)).toEqual([137, 18_000]);
    expect(performance.now() - start).toBeLessThan(5000);
  });
});
