/** Whatever a file says, it is read or refused: nothing else is ever thrown, and a refusal names a place in the file. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseStackFile, StackFileError } from '../../src/stack-file/index.js';

const example = readFileSync(new URL('../../examples/three-tier.yml', import.meta.url), 'utf8');

function readOrRefuse(text: string): void {
  try {
    parseStackFile(text, { file: 'any.yml' });
  } catch (error) {
    if (!(error instanceof StackFileError)) throw error;
    expect(error.problems.length).toBeGreaterThan(0);
    for (const { line, column } of error.problems) {
      expect(line).toBeGreaterThanOrEqual(1);
      expect(line).toBeLessThanOrEqual(text.split(/\r\n|[\r\n]/).length + 1);
      expect(column).toBeGreaterThanOrEqual(1);
    }
    expect(error.toString()).toMatch(/^any\.yml:\d+:\d+: ./);
  }
}

describe('any text', () => {
  it('of random characters is read or refused', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), readOrRefuse), { numRuns: 500 });
  });

  it('of the characters that mean something to YAML is read or refused', () => {
    const pieces = fc.constantFrom(
      'services',
      'web',
      'ports',
      'networks',
      'x-swarmwire',
      '80',
      ': ',
      ':',
      '- ',
      '\n',
      '  ',
      '{',
      '}',
      '[',
      ']',
      ',',
      '&a ',
      '*a',
      '<<',
      '"',
      "'",
      '|',
      '>',
      '#',
      '!',
      '!!map ',
      '?',
      '%',
      '---',
      '...',
      '${',
      '$',
      '\t',
      '\r',
      '\u0000',
      '~',
      '@',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 60 }), (parts) => readOrRefuse(parts.join(''))),
      { numRuns: 1500 },
    );
  });

  it('that was a good file before something hit it is read or refused', () => {
    const hit = fc.record({ at: fc.nat(example.length), cut: fc.nat(12), put: fc.string({ maxLength: 6 }) });
    fc.assert(
      fc.property(fc.array(hit, { minLength: 1, maxLength: 4 }), (hits) => {
        let text = example;
        for (const { at, cut, put } of hits) text = text.slice(0, at) + put + text.slice(at + cut);
        readOrRefuse(text);
      }),
      { numRuns: 500 },
    );
  });

  it('that has any value in the place of a good one is read or refused', () => {
    const places = [
      'services',
      'web',
      'ports',
      'target',
      'published',
      'deploy',
      'replicas',
      'placement',
      'constraints',
      'networks',
      'aliases',
      'ipam',
      'config',
      'subnet',
      'gateway',
      'driver_opts',
      'external',
      'x-swarmwire',
      'nodes',
      'traffic',
      'http',
      'ping',
      'to',
      'from',
      'calls',
      '__proto__',
      'constructor',
    ];
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 7, depthSize: 'large' },
        fc.oneof(
          fc.constantFrom<unknown>(
            null,
            true,
            1.5,
            -1,
            80,
            '8080:80',
            '10.0.0.0/24',
            'web',
            'node1:80',
            'http://web/',
            'node.role == worker',
            '',
          ),
          fc.string({ maxLength: 8 }),
        ),
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...places), tie('tree'), { maxKeys: 5 }),
      ),
    }));
    const file = fc.record(
      {
        services: fc.dictionary(fc.constantFrom('web', 'client', 'toString'), tree),
        networks: tree,
        'x-swarmwire': tree,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(tree, file), (value) => readOrRefuse(JSON.stringify(value))),
      { numRuns: 1000 },
    );
  });

  it('nested thousands of levels deep is refused', () => {
    for (const piece of ['[', '{a: ', '- ', '? ', 'a: [']) readOrRefuse(piece.repeat(10_000));
    readOrRefuse(`services: { web: { command: "${'${A:-'.repeat(10_000)}" } }`);
    readOrRefuse(Array.from({ length: 1000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'));
  }, 60_000);
});
