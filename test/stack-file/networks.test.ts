import { describe, expect, it } from 'vitest';
import { read, refusal, service } from './reading.js';

/** `web` on network `back`, which has these settings. */
const back = (settings: string): string => `${service('networks: [back]')}\nnetworks:\n  back: ${settings}\n`;

describe('the networks of a stack', () => {
  it('are overlay networks unless they say otherwise', () => {
    expect(read(back('')).spec.networks).toEqual([{ name: 'back', driver: 'overlay' }]);
  });

  it('include "default" only when a service names none', () => {
    expect(read(service()).spec.networks).toEqual([{ name: 'default', driver: 'overlay' }]);
    expect(read(service('networks: []')).spec.networks).toEqual([{ name: 'default', driver: 'overlay' }]);
    expect(read(back('{}')).spec.networks.map(({ name }) => name)).toEqual(['back']);
  });

  it('may settle what "default" is like', () => {
    const { spec } = read(
      `${service()}\nnetworks:\n  default: { attachable: true, ipam: { config: [{ subnet: 10.5.0.0/16 }] } }\n`,
    );
    expect(spec.networks).toEqual([{ name: 'default', driver: 'overlay', subnet: '10.5.0.0/16', attachable: true }]);
  });

  it('have subnets and gateways', () => {
    expect(read(back('{ ipam: { config: [{ subnet: 100.0.0.0/24, gateway: 100.0.0.1 }] } }')).spec.networks).toEqual([
      { name: 'back', driver: 'overlay', subnet: '100.0.0.0/24', gateway: '100.0.0.1' },
    ]);
  });

  it('lose the host bits of a subnet, and say so', () => {
    const { spec, warnings } = read(back('{ ipam: { config: [{ subnet: 10.1.0.7/24 }] } }'));
    expect(spec.networks[0]?.subnet).toBe('10.1.0.0/24');
    expect(warnings).toMatchObject([{ key: 'subnet', where: { line: 6 } }]);
  });

  it('are called by their "name" where they have one', () => {
    const { spec } = read(back('{ name: shared }'));
    expect(spec.networks[0]?.name).toBe('shared');
    expect(spec.services[0]?.networks).toEqual([{ name: 'shared', aliases: [] }]);
  });

  it('do not take the name of a network that every node has', () => {
    const { spec, warnings } = read(`${service('networks: [ingress]')}\nnetworks: { ingress: }\n`);
    expect(spec.networks[0]?.name).toBe('stack_ingress');
    expect(spec.services[0]?.networks[0]?.name).toBe('stack_ingress');
    expect(warnings).toHaveLength(1);
    expect(
      refusal(`${service('networks: [mesh]')}\nnetworks: { mesh: { external: true, name: ingress } }\n`).message,
    ).toContain('cannot join');
  });

  it('are not made when no service joins them', () => {
    const { spec, ignored } = read(`${back('')}  lonely: { driver: macvlan }\n`);
    expect(spec.networks.map(({ name }) => name)).toEqual(['back']);
    expect(ignored).toMatchObject([{ key: 'networks.lonely', where: { line: 7, column: 3 } }]);
  });

  it.each([
    ['{ ipam: { config: [{ subnet: 10.1.0.0 }] } }', '6:38: "10.1.0.0" is no subnet'],
    ['{ ipam: { config: [{ subnet: 10.1.0.0/33 }] } }', '6:38: "10.1.0.0/33" is no subnet'],
    ['{ ipam: { config: [{ subnet: 10.1.0.300/24 }] } }', '6:38: "10.1.0.300/24" is no subnet'],
    [
      '{ ipam: { config: [{ subnet: 10.1.0.0/24, gateway: 10.2.0.1 }] } }',
      '6:60: gateway "10.2.0.1" is no address in 10.1.0.0/24',
    ],
    ['{ ipam: { config: [{ gateway: 10.2.0.1 }] } }', '6:30: a gateway needs a subnet'],
    ['{ driver: overlya }', '6:19: plugin "overlya" not found\nhint: did you mean "overlay"?'],
    [
      '{ driver_opts: { com.docker.network.driver.overlay.vxlanid_list: many } }',
      '6:74: invalid vxlan id value "many" passed',
    ],
    ['{ driver_opts: { com.docker.network.driver.overlay.vxlanid_list: 0 } }', 'is no VXLAN network identifier'],
  ])('are refused as %s', (settings, message) => {
    expect(refusal(back(settings)).message).toContain(message);
  });

  it('cannot overlap, and both places are named', () => {
    const text = `${service('networks: [a, b]')}\nnetworks:\n  a: { ipam: { config: [{ subnet: 10.1.0.0/16 }] } }\n  b: { ipam: { config: [{ subnet: 10.1.2.0/24 }] } }\n`;
    expect(refusal(text).message).toContain(
      'stack.yml:7:35: subnet 10.1.2.0/24 overlaps with 10.1.0.0/16 of network "a" (line 6, column 35)',
    );
  });

  it("take a VXLAN network identifier from the overlay driver's option", () => {
    const { spec, unsupported } = read(
      back('{ driver_opts: { com.docker.network.driver.overlay.vxlanid_list: "5001" } }'),
    );
    expect(spec.networks[0]?.vni).toBe(5001);
    expect(unsupported).toEqual([]);
  });

  it('have options that change nothing, which are named with the option that was meant', () => {
    const { ignored, unsupported } = read(back('{ driver_opts: { com.docker.network.mtu: 1400 } }'));
    expect(unsupported).toEqual([]);
    expect(ignored).toMatchObject([{ key: 'driver_opts.com.docker.network.mtu', where: { line: 6, column: 26 } }]);
    expect(ignored[0]?.message).toContain('the driver "overlay" does not know this option, and nothing changes');
  });

  it.each([
    ['{ driver: bridge }', 'driver'],
    ['{ driver: bridge }', 'driver'],
    ['{ enable_ipv6: true }', 'enable_ipv6'],
    ['{ external: true }', 'external'],
    ['{ external: { name: other } }', 'external'],
    ['{ ipam: { driver: dhcp } }', 'ipam.driver'],
    ['{ ipam: { config: [{ subnet: 10.1.0.0/24, ip_range: 10.1.0.0/28 }] } }', 'ipam.config.ip_range'],
  ])('with %s are accepted, and what is not built yet is named', (settings, key) => {
    const { unsupported } = read(back(settings));
    expect(unsupported.map((notice) => notice.key)).toEqual([key]);
    expect(unsupported[0]?.where.line).toBe(6);
  });
});

describe('a service on networks', () => {
  it('joins them as a list, or as a map with aliases', () => {
    const { spec } = read(
      `${service('networks:', '  front:', '  back: { aliases: [db, store] }')}\nnetworks: { front: , back: }\n`,
    );
    expect(spec.services[0]?.networks).toEqual([
      { name: 'front', aliases: [] },
      { name: 'back', aliases: ['db', 'store'] },
    ]);
  });

  it('is refused when a network is not defined, in both forms', () => {
    const list = refusal(`${service('networks:', '  - bakc')}\nnetworks: { back: }\n`);
    expect(list.message).toContain('stack.yml:5:9: service "web" joins network "bakc", which is not defined');
    expect(list.hint).toContain('did you mean "back"?');
    expect(refusal(service('networks:', '  bakc: {}'))).toMatchObject({ line: 5, column: 7 });
  });

  it('is refused when it joins one twice', () => {
    expect(refusal(`${service('networks: [back, back]')}\nnetworks: { back: }\n`)).toMatchObject({
      line: 4,
      column: 22,
    });
  });
});
