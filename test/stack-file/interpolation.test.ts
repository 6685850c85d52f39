// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Compose's variables look like JavaScript's
import { describe, expect, it } from 'vitest';
import { InterpolationError, interpolate } from '../../src/stack-file/interpolate.js';
import { read, refusal, service } from './reading.js';

const set: Record<string, string> = { NAME: 'web', EMPTY: '', OTHER: '$NAME' };
const fill = (text: string): string => interpolate(text, (name) => set[name]);

describe('a variable', () => {
  it.each([
    ['$NAME', 'web'],
    ['${NAME}', 'web'],
    ['a-$NAME-b', 'a-web-b'],
    ['$NAME$NAME', 'webweb'],
    ['${UNSET}', ''],
    ['$UNSET.', '.'],
    ['$$NAME', '$NAME'],
    ['$$$NAME', '$web'],
    ['$OTHER', '$NAME'],
    ['${UNSET:-word}', 'word'],
    ['${EMPTY:-word}', 'word'],
    ['${NAME:-word}', 'web'],
    ['${UNSET-word}', 'word'],
    ['${EMPTY-word}', ''],
    ['${UNSET:-}', ''],
    ['${UNSET:-a:b-c?d+e/f{g}', 'a:b-c?d+e/f{g'],
    ['${NAME:?needed}', 'web'],
    ['${EMPTY?needed}', ''],
    ['${NAME:+word}', 'word'],
    ['${EMPTY:+word}', ''],
    ['${EMPTY+word}', 'word'],
    ['${UNSET+word}', ''],
    ['${UNSET:-${NAME}}', 'web'],
    ['${UNSET:-${EMPTY:-${ALSO-x$NAME}y}z}', 'xwebyz'],
    ['${UNSET:-$$5}', '$5'],
    ['no variable {here}', 'no variable {here}'],
  ])('%s becomes "%s"', (text, value) => {
    expect(fill(text)).toBe(value);
  });

  it.each(['$', 'a $ b', '$1', '${', '${}', '${NAME', '${1A}', '${NAME:}', '${NAME!}', '${UNSET:-${NAME}', '$(date)'])(
    '%s is refused',
    (text) => {
      expect(() => fill(text)).toThrow(InterpolationError);
    },
  );

  it('that must be set is refused when it is not, in the words of its author', () => {
    expect(() => fill('${UNSET:?say which}')).toThrow('variable UNSET is not set: say which');
    expect(() => fill('${EMPTY:?}')).toThrow('variable EMPTY is empty');
    expect(() => fill('${UNSET?}')).toThrow('variable UNSET is not set');
  });

  it('is not missed in a word that is not used', () => {
    const missed: string[] = [];
    const value = interpolate(
      '${NAME:-$A}${NAME:-${B:?no}}$C',
      (name) => set[name],
      (name) => missed.push(name),
    );
    expect(value).toBe('webweb');
    expect(missed).toEqual(['C']);
  });
});

describe('variables in a stack file', () => {
  it('come from the environment that is passed in', () => {
    const { spec } = read(service('ports: ["${PORT:-8080}:80"]', 'deploy: { replicas: "${N}" }'), {
      environment: { PORT: '9000', N: '4' },
    });
    expect(spec.services[0]).toMatchObject({ replicas: 4, ports: [{ published: 9000, target: 80 }] });
  });

  it('may say how many nodes there are', () => {
    const text = `${service()}\nx-swarmwire: { nodes: "${'${N:-2}'}", traffic: [{ ping: { to: node1, count: $COUNT } }] }\n`;
    const { spec } = read(text, { environment: { COUNT: '7' } });
    expect(spec.nodes).toHaveLength(2);
    expect(spec.traffic).toMatchObject([{ count: 7 }]);
  });

  it('are empty when unset, and each is named once', () => {
    const { warnings } = read(service('command: "$WHO and $WHO"', 'environment: [A=$WHO]'));
    expect(warnings).toEqual([
      {
        key: 'WHO',
        where: { line: 4, column: 14 },
        message: 'variable WHO is not set; an empty text stands in for it',
      },
    ]);
  });

  it('are refused where they stand when they mean nothing', () => {
    const error = refusal(service('command: "echo $(date)"'));
    expect(error).toMatchObject({ line: 4, column: 20 });
    expect(error.hint).toContain('write $$');
  });

  it('are no keys, and nothing in the extensions of others', () => {
    expect(read(`x-other: "$("\n${service('labels: { $A: b }')}`).warnings).toEqual([]);
  });

  it('do not take names that every object has', () => {
    expect(read(service('command: $toString')).warnings).toHaveLength(1);
  });
});
