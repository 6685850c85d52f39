/** `toMatchCapture`, as a test of somebody else's would have it. */

import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { pcapHeader, pcapRecord } from '../src/capture/pcap.js';
import { parseStackFile, readCapture, Swarm } from '../src/index.js';
import { matchers } from '../src/matchers.js';

expect.extend(matchers);

const real = readFileSync(new URL('oracle/S6-ingress/node1.host.eth0.pcap', import.meta.url));
const frames = readCapture(real).frames.map(({ data }) => ({ data: new Uint8Array(data) }));
const withTtl = frames.map(({ data }, index) => (index === 2 ? { data: data.with(22, 9) } : { data }));
let swarm: Swarm;
beforeAll(async () => {
  const { spec } = parseStackFile('services: { web: { image: nginx, ports: ["8080:80"] } }', { file: 'stack.yml' });
  swarm = await Swarm.create(spec, { seed: 1 });
  swarm.tap('node1/host/eth0');
  swarm.play();
});

/** The message of a matcher that fails. */
function messageOf(fails: () => void): string {
  try {
    fails();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('it passed');
}

describe('toMatchCapture', () => {
  test('takes files, captured frames and bytes alone, on either side', () => {
    const captured = swarm.frames();
    const file = Buffer.concat([pcapHeader(), ...captured.map(pcapRecord)]);
    expect(real).toMatchCapture(real);
    expect(frames).toMatchCapture(new Uint8Array(real));
    expect(captured).toMatchCapture(captured);
    expect(captured).toMatchCapture(file);
    expect(file).toMatchCapture(captured.map(({ data }) => ({ data })));
    expect(captured).not.toMatchCapture(real);
  });

  test('says what differs, in the words of `swarmwire diff`', () => {
    const message = messageOf(() => expect(withTtl).toMatchCapture(frames));
    expect(message).toContain('the captures differ');
    expect(message).toContain('expected frame 3, received frame 3, ');
    expect(message).toContain('ip.ttl: expected 64, received 9');
    expect(message).toMatch(/frames: \d+ compared, \d+ identical, 0 masked, 1 different$/);
    const missing = messageOf(() => expect(frames.slice(1)).toMatchCapture(frames));
    expect(missing).toContain('expected has it, received has not');
  });

  test('has masks', () => {
    expect(withTtl).toMatchCapture(frames, { mask: ['ip.ttl', 'ip.checksum'] });
    expect(() => expect(frames).toMatchCapture(frames, { mask: ['ip.tll'] })).toThrow('there is no field ip.tll');
  });

  test('turned round says that nothing differs', () => {
    const message = messageOf(() => expect(frames).not.toMatchCapture(frames));
    expect(message).toContain('the captures are the same');
  });

  test('tells as many differences as it is asked to', () => {
    const message = messageOf(() => expect([]).toMatchCapture(frames, { limit: 2 }));
    expect(message.match(/: missing$/gm)).toHaveLength(2);
    expect(message).toContain(`and ${frames.length - 2} more differences`);
  });

  test('refuses what is no capture, for that is no difference', () => {
    expect(() => expect(new Uint8Array(40)).toMatchCapture(real)).toThrow('neither pcap nor pcapng');
    expect(() => expect('capture.pcap').toMatchCapture(real)).toThrow(TypeError);
    expect(() => expect(real).toMatchCapture([{}] as never)).toThrow('expected is neither');
  });
});

test('the module loads nothing of vitest', () => {
  const source = readFileSync(new URL('../src/matchers.ts', import.meta.url), 'utf8');
  for (const [line] of source.matchAll(/^import .*$/gm)) {
    expect(line.includes("'vitest'") && !line.startsWith('import type'), line).toBe(false);
  }
});
