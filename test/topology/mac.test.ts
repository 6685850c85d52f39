/** MAC addresses as Docker and the kernel make them (FACTS 1), and what is drawn from a seed. */

import { describe, expect, it } from 'vitest';
import { Draw } from '../../src/topology/draw.js';
import { bridgeMac, lowestMac, macOfAddress, randomMac } from '../../src/topology/mac.js';
import { recorded } from '../replay/recorded.js';

describe('the MAC of an endpoint', () => {
  it('is 02:42 and its address', () => {
    expect(macOfAddress('10.0.0.11')).toBe('02:42:0a:00:00:0b');
    expect(macOfAddress('172.19.0.2/16')).toBe('02:42:ac:13:00:02');
  });

  it.each(['S6-ingress', 'S7-ingress-one'])('is that of every task and balancer of %s', (scenario) => {
    const { inputs } = recorded(scenario);
    for (const { endpoints } of [
      ...inputs.loadBalancers,
      ...inputs.tasks.map((task) => ({ endpoints: task.networks })),
    ]) {
      for (const { address, mac } of Object.values(endpoints)) expect(macOfAddress(address ?? '')).toBe(mac);
    }
  });
});

describe('drawn MACs', () => {
  const draw = new Draw(1);

  it('of bridges begin with 02:42', () => {
    for (let i = 0; i < 100; i++) expect(bridgeMac(draw.next)).toMatch(/^02:42(:[0-9a-f]{2}){4}$/);
  });

  it('of veths and vxlan devices are unicast, and locally administered', () => {
    const drawn = Array.from({ length: 500 }, () => randomMac(draw.next));
    for (const mac of drawn) {
      expect(mac).toMatch(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);
      expect(Number.parseInt(mac.slice(0, 2), 16) & 3).toBe(2);
    }
    expect(new Set(drawn).size).toBe(500);
  });
});

describe('the MAC of a bridge without one of its own', () => {
  it('is the lowest of its ports’, as br0’s were', () => {
    expect(lowestMac(['d6:13:61:dc:4e:2f', 'ae:98:0a:c9:a0:05', '42:8d:ad:9c:13:48', 'da:a8:57:49:62:08'])).toBe(
      '42:8d:ad:9c:13:48',
    );
    for (const scenario of ['S6-ingress', 'S7-ingress-one']) {
      const { inputs } = recorded(scenario);
      for (const [node, devices] of Object.entries(inputs.devices)) {
        const ports = devices.filter(({ master }) => master === 'br0').map(({ mac }) => mac ?? '');
        const bridge = devices.find(({ name }) => name === 'br0');
        if (bridge) expect(lowestMac(ports), `${scenario} ${node}`).toBe(bridge.mac);
      }
    }
  });
});

describe('a draw', () => {
  it('is the same for the same seed, and another for another', () => {
    const first = (seed: number) => {
      const draw = new Draw(seed);
      return [draw.next(), draw.hex(7), draw.id(), draw.between(32768, 60999)];
    };
    expect(first(5)).toEqual(first(5));
    expect(first(5)).not.toEqual(first(6));
  });

  it('of a range has both ends in it', () => {
    const draw = new Draw(1);
    const drawn = new Set(Array.from({ length: 200 }, () => draw.between(3, 5)));
    expect([...drawn].sort()).toEqual([3, 4, 5]);
  });

  it('of an id looks like swarm’s', () => {
    expect(new Draw(1).id()).toMatch(/^[0-9a-z]{25}$/);
  });
});
