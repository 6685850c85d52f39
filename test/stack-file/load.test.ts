/** `traffic: - load`: what it means without a word, and what is refused where. */

import { describe, expect, it } from 'vitest';
import { read, refusal } from './reading.js';

const stack = (load: string) => `services:
  web: { image: nginx, ports: ["8080:80"], deploy: { replicas: 2 } }
x-swarmwire:
  traffic:
    - load: ${load}
`;

describe('a load', () => {
  it('needs a goal alone', () => {
    expect(read(stack('{ to: "node1:8080" }')).spec.traffic).toEqual([
      {
        kind: 'load',
        from: ['client'],
        to: 'node1',
        port: 8080,
        protocol: 'tcp',
        flows: 1,
        packets: 1000,
        sizes: [{ size: 64, weight: 1 }],
        rate: { packets: 10_000 },
        arrivals: 'constant',
        answered: false,
      },
    ]);
  });

  it.each([
    ['100000', { packets: 100_000 }],
    ['100kpps', { packets: 100_000 }],
    ['1.5 Mpps', { packets: 1_500_000 }],
    ['250', { packets: 250 }],
    ['1Gbps', { bits: 1e9 }],
    ['64000bps', { bits: 64_000 }],
  ])('has a rate of %s', (rate, expected) => {
    expect(read(stack(`{ to: "node1:8080", rate: ${rate} }`)).spec.traffic[0]).toMatchObject({ rate: expected });
  });

  it('has a mix of sizes, its own or the usual one', () => {
    const sizes = (imix: string) => read(stack(`{ to: "node1:8080", imix: ${imix} }`)).spec.traffic[0];
    expect(sizes('true')).toMatchObject({
      sizes: [
        { size: 60, weight: 7 },
        { size: 590, weight: 4 },
        { size: 1514, weight: 1 },
      ],
    });
    expect(sizes('{ 64: 3, 1400: 1 }')).toMatchObject({
      sizes: [
        { size: 64, weight: 3 },
        { size: 1400, weight: 1 },
      ],
    });
  });

  it.each([
    ['{ to: "node1:8080", rate: fast }', '5:39: "fast" is no rate'],
    ['{ to: "node1:8080", rate: 0 }', '5:39: "0" is no rate'],
    ['{ to: "node1:8080", size: 64, imix: true }', '5:43: a load has a "size" or an "imix", not both'],
    ['{ to: "node1:8080", imix: { 20: 1 } }', '5:41: a frame of 20 bytes'],
    ['{ to: "node1:8080", sources: 198.18.0.0 }', '5:42: "198.18.0.0" is no subnet'],
    ['{ to: "node1:8080", sources: 198.18.0.0/015 }', '5:42: "198.18.0.0/015" is no subnet'],
    ['{ to: "[fd00::1]:80", sources: 198.18.0.0/15 }', '"sources" are IPv4 addresses'],
    ['{ to: "node1:8080", from: node2, sources: 198.18.0.0/15 }', 'only "client" speaks from other addresses'],
    ['{ to: "node1:8080", from: [client, nobody] }', '5:48: there is no "nobody" here'],
    ['{ to: node1 }', '"node1" lacks a port'],
    ['{ to: "web:80" }', 'cannot ask for it by name'],
    ['{ to: "node1:8080", flow: 3 }', 'flow'],
  ])('%s is refused', (load, expected) => {
    expect(refusal(stack(load)).message).toContain(expected);
  });
});
