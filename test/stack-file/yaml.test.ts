import { describe, expect, it } from 'vitest';
import { read, refusal, service } from './reading.js';

describe('the text of a stack file', () => {
  it('is refused when empty, or when it holds comments only', () => {
    expect(refusal('').toString()).toBe(
      'stack.yml:1:1: this file is empty\nhint: a stack file has at least a map of services',
    );
    expect(refusal('# nothing\n').message).toContain('stack.yml:1:1: this file is empty');
  });

  it('is refused with the place where YAML goes wrong', () => {
    const error = refusal('services:\n  web:\n    image: nginx\n   ports: []\n');
    expect(error).toMatchObject({ file: 'stack.yml', line: 4, column: 1 });
    expect(error.message).toContain('not valid YAML');
  });

  it('is refused when a key stands twice, with the place of the second', () => {
    const error = refusal(service('image: redis'));
    expect(error).toMatchObject({ line: 4, column: 5 });
    expect(error.hint).toContain('keep one of them');
  });

  it('is refused when indented with tabs', () => {
    expect(refusal('services:\n\tweb: {}\n')).toMatchObject({ line: 2, hint: 'YAML is indented with spaces' });
  });

  it('holds one document', () => {
    const error = refusal(`${service()}\n---\nservices: {}\n`);
    expect(error).toMatchObject({ line: 4, column: 1 });
    expect(error.message).toContain('second YAML document');
  });

  it('must be a map', () => {
    expect(refusal('- web\n').message).toContain('stack.yml:1:1: the file must be a map, not a list');
    expect(refusal('web\n').message).toContain('the file must be a map, not "web"');
  });

  it('must have services, or an x-swarmwire section', () => {
    expect(refusal('version: "3.8"\n').message).toContain('this file has no services');
    expect(read('x-swarmwire:\n  traffic:\n    - ping: { to: node1 }\n').spec.traffic).toHaveLength(1);
  });

  it('may have a version, as text or as a number, and extensions', () => {
    for (const version of ['"3.8"', '3.8', '3']) {
      expect(read(`version: ${version}\nx-note: {a: $}\n${service('x-mine: 1')}`).spec.services).toHaveLength(1);
    }
  });

  it('keeps a port like 22:22 as text, even under an older YAML', () => {
    expect(read(service('ports: [22:22]')).spec.services[0]?.ports).toMatchObject([{ published: 22, target: 22 }]);
    expect(read(`%YAML 1.1\n---\n${service('ports: [22:22]')}`).spec.services[0]?.ports).toMatchObject([
      { published: 22 },
    ]);
  });

  it('keeps the values of anchors where their aliases stand', () => {
    const { spec } = read('services:\n  a: &base\n    image: nginx\n    ports: ["80"]\n  b: *base\n');
    expect(spec.services.map(({ name, ports }) => [name, ports.length])).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
  });

  it('merges maps with <<, where a key of the map itself wins, then the first that is merged', () => {
    const { spec } = read(
      [
        'x-one: &one',
        '  image: one',
        '  deploy: { replicas: 2 }',
        'x-two: &two',
        '  image: two',
        '  networks: [back]',
        'services:',
        '  a: { <<: *one, image: own }',
        '  b:',
        '    <<: [*one, *two]',
        'networks: { back: }',
      ].join('\n'),
    );
    expect(spec.services).toMatchObject([
      { name: 'a', image: 'own', replicas: 2 },
      { name: 'b', image: 'one', replicas: 2, networks: [{ name: 'back' }] },
    ]);
  });

  it('places a mistake of a merged map where it is written', () => {
    const error = refusal('x-base: &base\n  deploy: { replica: 2 }\nservices:\n  web:\n    <<: *base\n');
    expect(error).toMatchObject({ line: 2, column: 13 });
  });

  it('is refused when an alias has no anchor, when << merges no map, and when a map holds itself', () => {
    expect(refusal('services:\n  web: *nobody\n').message).toMatch(/stack\.yml:2:8: .*nobody/);
    expect(refusal('services:\n  web:\n    <<: 5\n')).toMatchObject({ line: 3, column: 9 });
    expect(refusal('services: &all\n  web: *all\n').message).toContain('holds an alias of itself');
    expect(refusal('services: &all\n  <<: *all\n').message).toContain('holds an alias of itself');
  });

  it('is refused when its aliases multiply beyond measure', () => {
    const rows = Array.from({ length: 12 }, (_, i) => `x-${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(', ')}]`);
    const error = refusal(['x-0: &a0 [1]', ...rows, service()].join('\n'));
    expect(error.message).toContain('more than 100000 values');
  });

  it('is refused when it is nested without end', () => {
    expect(refusal(`services: ${'['.repeat(200)}${']'.repeat(200)}`).message).toContain('nested too deeply');
  });

  it('may call a service by any name that JavaScript has other uses for', () => {
    const { spec } = read(
      'services:\n  constructor: { image: a, networks: [toString] }\n  __proto__: { image: b }\nnetworks: { toString: }\n',
    );
    expect(spec.services.map(({ name }) => name)).toEqual(['constructor', '__proto__']);
    expect(refusal('services:\n  web: { image: a, networks: [hasOwnProperty] }\nnetworks: {}\n').message).toContain(
      'not defined',
    );
  });
});
