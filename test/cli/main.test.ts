/** What the command says to whoever does not know it yet, and to whoever mistypes. */

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseStackFile } from '../../src/stack-file/index.js';
import { swarmwire } from './command.js';

describe('swarmwire', () => {
  test.each([['--help'], ['-h'], ['help']])(
    '%s shows the commands, what to begin with, and the exit codes',
    (option) => {
      const { code, out, err } = swarmwire([option]);
      expect([code, err]).toEqual([0, '']);
      for (const words of ['usage:', 'run ', 'conformance ', 'swarmwire run examples/three-tier.yml', 'Exit codes']) {
        expect(out).toContain(words);
      }
    },
  );

  test.each([[['run', '--help']], [['run', 'x.yml', '-h']], [['help', 'run']]])('%j teaches with examples', (args) => {
    const { code, out, err } = swarmwire(args);
    expect([code, err]).toEqual([0, '']);
    for (const option of ['--nodes', '--out', '--format', '--seed', '--no-comments', '--json'])
      expect(out).toContain(option);
    expect(out).toContain('Examples:');
    // The traffic that it shows is such as a stack file may have.
    const section = /\n\n( {2}x-swarmwire:[\s\S]*?)\n\n/.exec(out)?.[1] ?? '';
    const services = 'services:\n  web: { image: nginx, ports: ["8080:80", "5353:53/udp"] }\n';
    const { spec } = parseStackFile(services + section.replace(/^ {2}/gm, ''), { file: 'help' });
    expect(spec.traffic.map(({ kind }) => kind)).toEqual(['http', 'udp', 'ping', 'load']);
  });

  test('conformance --help tells its contract', () => {
    const { code, out } = swarmwire(['conformance', '--help']);
    expect(code).toBe(0);
    expect(out).toContain('frames: N compared, N identical, N masked, N different');
  });

  test('--version is the package’s', () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(swarmwire(['--version'])).toEqual({ code: 0, out: `${version}\n`, err: '' });
  });

  test('alone says how it is used, and that this was not it', () => {
    const { code, out, err } = swarmwire([]);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain('usage: swarmwire COMMAND');
  });

  test.each([
    [['rnu', 'x.yml'], 'unknown command rnu', 'did you mean run?'],
    [['conform'], 'unknown command conform', 'did you mean conformance?'],
    [['constructor'], 'unknown command constructor', 'swarmwire --help'],
    [['stack.yml'], 'unknown command stack.yml', 'swarmwire run stack.yml'],
    [['--hepl'], 'unknown option --hepl', 'did you mean --help?'],
    [['run'], 'which stack file?', 'swarmwire run examples/three-tier.yml'],
    [['run', 'a.yml', '--sed', '3'], 'unknown option --sed', 'did you mean --seed?'],
    [['run', 'a.yml', '-x'], 'unknown option -x', '--format'],
    [['run', 'a.yml', '--out'], '--out: its value is missing', ''],
    [['run', 'a.yml', '--out='], '--out', 'missing'],
    [['run', 'a.yml', '--json=1'], '--json takes no value', ''],
    [['run', 'a.yml', '--seed', 'x'], '--seed x: not a whole number from 0', ''],
    [['run', 'a.yml', '--seed', '-1'], '--seed: its value is missing', '--seed=VALUE'],
    [['run', 'a.yml', '--seed=1.5'], '--seed 1.5: not a whole number', ''],
    [['run', 'a.yml', '--seed', '99999999999999999999'], 'not a whole number', ''],
    [['run', 'a.yml', '--nodes', '0'], '--nodes 0: not a whole number from 1 to', ''],
    [['run', 'a.yml', '--nodes', '1000000'], '--nodes 1000000: not a whole number from 1 to', ''],
    [['run', 'a.yml', '--format', 'xml'], '--format xml', 'it is pcapng or pcap'],
    [['run', 'a.yml', 'b.yml'], 'one stack file at a time', 'b.yml'],
    [['conformance', '--mode', 'fast'], '--mode fast', 'it is path or stack'],
    [['conformance', '--nodes', '3'], 'unknown option --nodes', '--mode'],
  ])('%j is refused with exit code 2 and a hint', (args, message, hint) => {
    const { code, out, err } = swarmwire(args);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(message);
    expect(err).toContain(hint);
    expect(err.trimEnd().split('\n').length).toBeLessThanOrEqual(2);
  });
});
