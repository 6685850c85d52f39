import { describe, expect, test } from 'vitest';
import { readCapture } from '../../src/capture/read.js';
import { layersOf } from '../../src/dissect/layers.js';
import { compareTap, type RealTap } from '../../src/replay/compare.js';
import {
  comparisonOptions,
  injectedIn,
  loadScenario,
  MODES,
  type ReadFile,
  ScenarioError,
} from '../../src/replay/scenario.js';
import { filesOf, get16, recorded, SCENARIOS, sameAs } from './recorded.js';

/** The files of S7 with one of them changed, and the names that were asked for. */
function withFile(
  name: string,
  change: (bytes: Uint8Array) => Uint8Array | undefined,
): { read: ReadFile; asked: string[] } {
  const files = filesOf('S7-ingress-one');
  const asked: string[] = [];
  return {
    asked,
    read: (file) => {
      asked.push(file);
      const bytes = files(file);
      return file === name && bytes !== undefined ? change(new Uint8Array(bytes)) : bytes;
    },
  };
}

/** A pcap file without its n-th frame, everything else as it was. */
function withoutFrame(bytes: Uint8Array, number: number): Uint8Array {
  const { frames } = readCapture(bytes);
  const start = frames.slice(0, number - 1).reduce((sum, { data }) => sum + 16 + data.length, 24);
  const end = start + 16 + (frames[number - 1]?.data.length ?? 0);
  return Uint8Array.from([...bytes.subarray(0, start), ...bytes.subarray(end)]);
}

describe('a recorded scenario', () => {
  test.each(SCENARIOS)('%s has its stimulus frames, each at the time that it was captured', (name) => {
    const scenario = recorded(name);
    const stimuli = scenario.stimulusFrames();
    expect(stimuli).toHaveLength(scenario.inputs.stimulus.length);
    const taps = new Map(scenario.realTaps().map((tap) => [tap.tap, tap]));
    for (const { tap, frame, time, data } of stimuli) {
      const real = taps.get(tap)?.frames[frame - 1];
      expect(real?.time).toBe(scenario.inputs.start + BigInt(time));
      expect(real?.data).toEqual(data);
    }
    expect(scenario.warnings).toEqual([]);
  });

  test('opens nothing but inputs.json and the captures of stimuli before the run', () => {
    const { read, asked } = withFile('', (bytes) => bytes);
    const scenario = loadScenario('S7', read);
    expect(asked).toEqual(['inputs.json']);
    const stimuli = scenario.stimulusFrames();
    expect(new Set(asked)).toEqual(new Set(['inputs.json', ...stimuli.map(({ pcap }) => pcap)]));
    expect(asked).not.toContain('node1.ov-ingress.br0.pcap');
    for (const { data } of stimuli) expect(data.buffer.byteLength).toBe(data.length);
  });

  test('has a tap for every capture, the silent ones included', () => {
    const scenario = recorded('S6-ingress');
    const taps = scenario.realTaps();
    expect(taps).toHaveLength(29 + 12);
    expect(taps.find(({ tap }) => tap === 'node2.task-my-nginx.1/lo')).toMatchObject({ frames: [] });
    expect(taps.flatMap(({ frames }) => frames)).toHaveLength(2335);
    expect(taps.every(({ frames }) => frames.every(({ direction }) => direction !== undefined))).toBe(true);
  });

  test('names a silent tap by its devices, for both names may have dots', () => {
    const { read } = withFile('inputs.json', (bytes) => {
      const value = JSON.parse(new TextDecoder().decode(bytes));
      value.devices['node1.host'].push({ name: 'eth0.50', kind: 'vlan', mac: null, mtu: 1500, index: 9 });
      value.emptyCaptures = ['node1.host.eth0.50', 'elsewhere.lo'];
      return new TextEncoder().encode(JSON.stringify(value));
    });
    const taps = loadScenario('S7', read)
      .realTaps()
      .map(({ tap }) => tap);
    expect(taps.slice(-2)).toEqual(['node1.host/eth0.50', 'elsewhere/lo']);
  });

  test.each<[string, string, (bytes: Uint8Array) => Uint8Array | undefined, RegExp]>([
    ['without inputs.json', 'inputs.json', () => undefined, /inputs\.json is missing/],
    ['with another inputs.json', 'inputs.json', () => new TextEncoder().encode('{}'), /inputs\.json: scenario/],
    ['without a capture', 'client.eth0.pcap', () => undefined, /client\.eth0\.pcap is missing/],
    [
      'with a capture that is none',
      'client.eth0.pcap',
      () => new Uint8Array(9),
      /client\.eth0\.pcap: neither pcap nor pcapng/,
    ],
  ])('%s cannot be replayed', (_, file, change, words) => {
    const open = () => loadScenario('S7', withFile(file, change).read).realTaps();
    expect(open).toThrow(ScenarioError);
    expect(open).toThrow(words);
  });
});

describe('what is injected', () => {
  const scenario = recorded('S6-ingress');
  const stimuli = scenario.stimulusFrames();

  test('is everything in path mode', () => {
    expect(injectedIn('path', stimuli)).toEqual(stimuli);
  });

  test('is what applications sent in stack mode, with probes, repeated requests and Docker’s own sockets', () => {
    const injected = injectedIn('stack', stimuli);
    const kinds = new Set(injected.map(({ kind }) => kind));
    expect(kinds).toContain('tcp-data');
    expect(kinds).not.toContain('arp-reply');
    expect(kinds).not.toContain('tcp-rst');
    const request = stimuli.find(({ kind }) => kind === 'arp-request');
    const reply = stimuli.find(({ kind }) => kind === 'arp-reply');
    if (request === undefined || reply === undefined) throw new Error('no ARP in S6');
    const repeated = { ...request, frame: 999 };
    const probe = { ...request, kind: 'arp-probe' };
    const docker = { ...reply, by: 'resolver' };
    expect(injectedIn('stack', [request, repeated, probe, reply, docker])).toEqual([repeated, probe, docker]);
  });

  test('is a reset of a socket that has spoken, but not one of the stack where no socket was', () => {
    const data = stimuli.find(({ kind }) => kind === 'tcp-data');
    if (data === undefined) throw new Error('no TCP in S6');
    const reset: (typeof stimuli)[number] = { ...data, frame: 999, class: 'stack-reply', kind: 'tcp-rst' };
    expect(injectedIn('stack', [data, reset])).toEqual([data, reset]);
    expect(injectedIn('stack', [reset])).toEqual([]);
    expect(injectedIn('stack', [{ ...reset, by: 'docker-proxy' }])).toEqual([]);
    expect(injectedIn('path', [reset])).toEqual([reset]);
  });

  test('at a device is not counted there; at a socket it is compared', () => {
    const optionsOf = comparisonOptions(scenario.inputs, 'path', stimuli, stimuli);
    for (const tap of scenario.realTaps()) {
      const here = stimuli.filter(({ pcap }) => pcap === tap.pcap);
      const atDevice = here.filter(({ socket }) => socket === undefined).map(({ frame }) => frame);
      expect([...(optionsOf(tap).injected ?? [])].sort()).toEqual(atDevice.sort());
      expect(compareTap(tap, sameAs(tap), optionsOf(tap)).injected).toBe(atDevice.length);
    }
    expect(stimuli.some(({ socket }) => socket !== undefined)).toBe(true);
  });
});

describe('what may be masked', () => {
  const scenario = recorded('S7-ingress-one');
  const stimuli = scenario.stimulusFrames();

  test('as a NAT port is no port that anybody chose: nothing in S7', () => {
    const { drawn } = comparisonOptions(scenario.inputs, 'path', stimuli, stimuli)({ tap: '', frames: [] });
    expect(drawn?.('tcp', 42001)).toBe(false);
    expect(drawn?.('tcp', 80)).toBe(false);
    expect(drawn?.('udp', 5353)).toBe(false);
    expect(drawn?.('tcp', 61234)).toBe(true);
    for (const { frames } of scenario.realTaps()) {
      for (const { data } of frames) {
        const layers = layersOf(data);
        layers.forEach(({ name, start }, index) => {
          if ((name !== 'tcp' && name !== 'udp') || layers[index + 1]?.name === 'vxlan') return;
          expect(drawn?.(name, get16(data, start))).toBe(false);
          expect(drawn?.(name, get16(data, start + 2))).toBe(false);
        });
      }
    }
  });

  test('as an own IP id: only what was not injected, and only in stack mode', () => {
    const echo = stimuli.find(({ kind }) => kind === 'udp');
    if (echo === undefined) throw new Error('no UDP in S7');
    const layers = layersOf(echo.data);
    const ip = layers.find(({ name }) => name === 'ip');
    if (ip === undefined) throw new Error('no IP');
    const decoded = { bytes: echo.data, layers };
    const tap: RealTap = { tap: '', frames: [] };
    const without = stimuli.filter((stimulus) => stimulus !== echo);
    expect(comparisonOptions(scenario.inputs, 'stack', without, stimuli)(tap).ownStack?.(decoded, ip)).toBe(true);
    expect(comparisonOptions(scenario.inputs, 'stack', stimuli, stimuli)(tap).ownStack?.(decoded, ip)).toBe(false);
    expect(comparisonOptions(scenario.inputs, 'path', without, stimuli)(tap).ownStack).toBeUndefined();
  });
});

describe('a capture that was tampered with turns up as different', () => {
  const good = recorded('S7-ingress-one');
  const ours = new Map(good.realTaps().map((tap) => [tap.tap, sameAs(tap)]));
  /** A perfect run of the untouched scenario, compared with the tampered captures. */
  const different = (read: ReadFile, mode: (typeof MODES)[number]) => {
    const scenario = loadScenario('S7', read);
    const stimuli = scenario.stimulusFrames();
    const optionsOf = comparisonOptions(scenario.inputs, mode, injectedIn(mode, stimuli), stimuli);
    return scenario
      .realTaps()
      .map((tap) => compareTap(tap, ours.get(tap.tap) ?? { tap: tap.tap, frames: [] }, optionsOf(tap)).different)
      .reduce((sum, count) => sum + count, 0);
  };

  test.each(MODES)('untouched, nothing is (%s)', (mode) => {
    expect(different(filesOf('S7-ingress-one'), mode)).toBe(0);
  });

  test.each(['client.eth0.pcap', 'node1.ov-ingress.br0.pcap', 'node2.task-my-web.1.eth0.pcap'])(
    'any frame removed from %s: one frame',
    (file) => {
      const total = readCapture(filesOf('S7-ingress-one')(file) ?? new Uint8Array()).frames.length;
      for (let number = 1; number <= total; number += 1) {
        const count = different(withFile(file, (bytes) => withoutFrame(bytes, number)).read, 'path');
        expect([number, count]).toEqual([number, 1]);
      }
    },
  );

  test('a byte changed in a frame that is compared: one frame', () => {
    const { read } = withFile('node1.ov-ingress.br0.pcap', (bytes) => {
      bytes[24 + 16 + 41] = (bytes[24 + 16 + 41] ?? 0) ^ 1;
      return bytes;
    });
    expect(different(read, 'path')).toBe(1);
  });
});
