import { describe, expect, test } from 'vitest';
import { InputsError, readInputs } from '../../src/replay/inputs.js';
import { filesOf, SCENARIOS } from './recorded.js';

const jsonOf = (name: string) => new TextDecoder().decode(filesOf(name)('inputs.json'));
/** The file with something changed. */
const edited = (edit: (value: Record<string, unknown>) => void) => {
  const value = JSON.parse(jsonOf('S7-ingress-one'));
  edit(value);
  return JSON.stringify(value);
};

describe('inputs.json', () => {
  test.each(SCENARIOS)('of %s is read', (name) => {
    const inputs = readInputs(jsonOf(name));
    expect(inputs.scenario).toBe(name);
    expect(inputs.nodes.map((node) => node.name)).toEqual(['node1', 'node2']);
    expect(inputs.emptyCaptures).toContain('client.lo');
  });

  test('keeps the start to the nanosecond', () => {
    expect(readInputs(jsonOf('S6-ingress')).start).toBe(1_795_250_023_411_754_959n);
    expect(readInputs(jsonOf('S7-ingress-one')).start).toBe(1_795_250_927_247_470_429n);
  });

  test('leaves long numbers inside strings alone', () => {
    const inputs = readInputs(
      edited((value) => {
        value.scenario = 'id 12345678901234567890 "quoted" \\';
      }),
    );
    expect(inputs.scenario).toBe('id 12345678901234567890 "quoted" \\');
  });

  test('gives frame numbers for ranges', () => {
    const client = readInputs(jsonOf('S7-ingress-one')).captures[0];
    expect([...(client?.transmitted ?? [])].slice(0, 6)).toEqual([1, 3, 5, 6, 9, 11]);
    expect((client?.transmitted.size ?? 0) + (client?.received.size ?? 0)).toBe(client?.frames);
    expect(client?.overwritten.size).toBe(0);
  });

  test('takes sockets apart; those of ICMP have no port', () => {
    const inputs = readInputs(
      edited((value) => {
        const common = { time: 1, pcap: 'client.eth0.pcap', frame: 1, class: 'application' };
        value.stimulus = [
          { ...common, kind: 'tcp-syn', socket: { source: '10.0.0.13:80', destination: '10.0.0.2:42001' } },
          { ...common, kind: 'udp', socket: { source: '2001:db8:1::2:53', destination: '::1:5353' } },
          { ...common, kind: 'icmp-echo-request', socket: { source: '10.0.0.13', destination: '10.0.0.2' } },
        ];
      }),
    );
    expect(inputs.stimulus.map(({ socket }) => socket?.source)).toEqual([
      { address: '10.0.0.13', port: 80 },
      { address: '2001:db8:1::2', port: 53 },
      { address: '10.0.0.13' },
    ]);
  });

  test('may have fields that nobody knows yet', () => {
    expect(
      readInputs(
        edited((value) => {
          value.later2 = { anything: 1 };
        }),
      ),
    ).toMatchObject({ later2: { anything: 1 } });
  });

  test.each<[string, unknown, RegExp]>([
    ['captures.3.frames', 'many', /captures\[3\]\.frames/],
    ['stimulus.5.frame', undefined, /stimulus\[5\]\.frame/],
    ['captures.0.transmitted', '1-', /captures\[0\]\.transmitted: Invalid ranges/],
    ['stimulus.0.class', 'magic', /stimulus\[0\]\.class/],
    ['nodes', undefined, /nodes/],
    ['devices.client.1.name', 7, /devices\.client\[1\]\.name/],
  ])('is refused with the path of what is wrong: %s as %s', (path, wrong, words) => {
    const json = edited((value) => {
      const keys = path.split('.');
      const last = keys.pop() ?? '';
      const parent = keys.reduce<Record<string, unknown>>((at, key) => at[key] as Record<string, unknown>, value);
      parent[last] = wrong;
    });
    expect(() => readInputs(json)).toThrow(InputsError);
    expect(() => readInputs(json)).toThrow(words);
  });

  test('that is no JSON says so', () => {
    expect(() => readInputs('{"scenario": ')).toThrow(/no JSON/);
    expect(() => readInputs('[]')).toThrow(InputsError);
  });
});
