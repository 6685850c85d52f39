/**
 * The expressions of `-m u32`, as iptables reads and prints them: `0>>22&0x3C@12&0xFFFFFF00=1049600`. Written into the engine
 * as the program of assembly/hooks/u32.ts.
 *
 *   tests      test && test …
 *   test       locations = ranges
 *   locations  number, then operator (& << >> @) and number, again and again
 *   ranges     number or least:most, separated by commas
 */

const OPERATORS = ['&', '<<', '>>', '@'];
const TOKEN = /\s*(0x[0-9a-f]+|\d+|<<|>>|&&|[&@=:,])/iy;

interface Test {
  /** The first one's operator is unused. */
  locations: { operator: number; number: number }[];
  ranges: { least: number; most: number }[];
}

/** Throws RangeError for what is no expression. */
export function u32Program(expression: string): Uint32Array {
  const words: number[] = [];
  const tests = parse(expression);
  words.push(tests.length);
  for (const { locations, ranges } of tests) {
    words.push(locations.length, ...locations.flatMap(({ operator, number }) => [operator, number]));
    words.push(ranges.length, ...ranges.flatMap(({ least, most }) => [least, most]));
  }
  return Uint32Array.from(words);
}

/** As iptables-save prints the program that `word` reads, word by word. */
export function u32Text(word: (index: number) => number): string {
  let at = 0;
  const next = () => word(at++);
  const hex = (value: number) => `0x${value.toString(16)}`;
  const tests: string[] = [];
  for (let left = next(); left > 0; left--) {
    let text = '';
    for (let count = next(), i = 0; i < count; i++) {
      const operator = next();
      text += `${i === 0 ? '' : OPERATORS[operator]}${hex(next())}`;
    }
    const ranges: string[] = [];
    for (let count = next(); count > 0; count--) {
      const [least, most] = [next(), next()];
      ranges.push(least === most ? hex(least) : `${hex(least)}:${hex(most)}`);
    }
    tests.push(`${text}=${ranges.join(',')}`);
  }
  return tests.join('&&');
}

function parse(expression: string): Test[] {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  const refuse = (): never => {
    throw new RangeError(`"${expression}" is no expression of -m u32`);
  };
  while (TOKEN.lastIndex < expression.trimEnd().length) tokens.push(TOKEN.exec(expression)?.[1] ?? refuse());
  let at = 0;
  const number = () => {
    const value = Number(tokens[at++]);
    return Number.isInteger(value) && value >= 0 && value <= 0xffffffff ? value : refuse();
  };
  const tests: Test[] = [];
  do {
    const locations = [{ operator: 0, number: number() }];
    while (tokens[at] !== '=') {
      const operator = OPERATORS.indexOf(tokens[at++] ?? '');
      locations.push({ operator: operator < 0 ? refuse() : operator, number: number() });
    }
    const ranges: Test['ranges'] = [];
    do {
      at++;
      const least = number();
      let most = least;
      if (tokens[at] === ':') {
        at++;
        most = number();
      }
      ranges.push({ least, most });
    } while (tokens[at] === ',');
    tests.push({ locations, ranges });
  } while (tokens[at++] === '&&');
  return at === tokens.length + 1 ? tests : refuse();
}
