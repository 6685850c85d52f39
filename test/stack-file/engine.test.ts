/** Which engine a stack file asks for, and what its keys and options mean there. */

import { describe, expect, it } from 'vitest';
import { read, refusal } from './reading.js';

const section = (...lines: string[]) => `x-swarmwire:\n${lines.map((line) => `  ${line}\n`).join('')}`;

describe('the engine', () => {
  it.each([
    ['20.10', '20.10'],
    ['"20.10.24"', '20.10'],
    ['28', '28'],
    ['"28"', '28'],
    ['28.5.2', '28'],
    ['v28.0.1', '28'],
  ])('%s is %s', (written, engine) => {
    expect(read(section(`engine: ${written}`)).spec.engine).toBe(engine);
  });

  it('is 20.10 without a word; who calls the library may choose, whatever the file says', () => {
    expect(read(section('nodes: 1')).spec.engine).toBe('20.10');
    expect(read(section('engine: "20.10"'), { engine: '28' }).spec.engine).toBe('28');
  });

  it('that is not there is refused', () => {
    const { message } = refusal(section('engine: 19.03'));
    expect(message).toContain('2:11: there is no engine 19.03 here');
    expect(message).toContain('write one of "20.10", "28"');
  });
});

describe('engine 28', () => {
  it('knows daemon.json keys that 20.10 refuses', () => {
    const daemon = 'nodes: [{ name: node1, daemon: { allow-direct-routing: true, ip-forward-no-drop: true } }]';
    expect(read(section('engine: "28"', daemon)).spec.nodes[0]?.daemon).toEqual({
      'allow-direct-routing': true,
      'ip-forward-no-drop': true,
    });
    expect(refusal(section(daemon)).message).toContain(
      "the following directives don't match any configuration option: allow-direct-routing",
    );
    const six = 'nodes: [{ name: node1, daemon: { ip6tables: true } }]';
    expect(refusal(section(six)).message).toContain('only available if experimental features are enabled');
    const pools = 'nodes: [{ name: node1, daemon: { default-address-pools: [{ base: "fd00:9::/48", size: 64 }] } }]';
    expect(read(section('engine: "28"', pools)).spec.engine).toBe('28');
    expect(refusal(section(pools)).message).toContain('invalid base pool');
  });

  it('knows gateway modes, and what is none', () => {
    const network = (mode: string) =>
      `networks:\n  n: { driver: bridge, driver_opts: { com.docker.network.bridge.gateway_mode_ipv6: ${mode} } }\n`;
    const attached = section('engine: "28"', 'containers: { a: { networks: [n] } }');
    expect(read(network('routed') + attached).ignored).toEqual([]);
    expect(refusal(network('open') + attached).message).toContain(
      'failed to parse com.docker.network.bridge.gateway_mode_ipv6 value: open (unknown gateway mode open)',
    );
    // 20.10 takes it, and nothing changes.
    const older = read(network('routed') + section('containers: { a: { networks: [n] } }'));
    expect(older.ignored.map(({ key }) => key)).toEqual(['driver_opts.com.docker.network.bridge.gateway_mode_ipv6']);
  });

  it('gives IPv6 networks a subnet, which 20.10 has none to give', () => {
    const network = 'networks:\n  n: { driver: bridge, enable_ipv6: true }\n';
    const containers = 'containers: { a: { networks: [n], ports: ["[::1]:8080:80"] } }';
    const { spec } = read(network + section('engine: "28"', containers));
    expect(spec.networks[0]).toMatchObject({ ipv6: true });
    expect(spec.containers?.[0]?.ports[0]).toMatchObject({ hostAddress: '::1', published: 8080 });
    expect(refusal(network + section(containers)).message).toContain('could not find an available, non-overlapping');
  });
});
