import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PortSpec } from '../../src/topology/spec.js';
import { read, refusal, service } from './reading.js';

function ports(item: string): PortSpec[] {
  return read(service('ports:', `  - ${item}`)).spec.services[0]?.ports ?? [];
}

const tcp = (target: number, published?: number): PortSpec =>
  published === undefined
    ? { target, protocol: 'tcp', mode: 'ingress' }
    : { published, target, protocol: 'tcp', mode: 'ingress' };

describe('a port in the short form', () => {
  it.each<[string, PortSpec[]]>([
    ['80', [tcp(80)]],
    ['"80"', [tcp(80)]],
    ['"8080:80"', [tcp(80, 8080)]],
    ['8080:80', [tcp(80, 8080)]],
    ['"0:80"', [tcp(80)]],
    ['":80"', [tcp(80)]],
    ['"5353:53/udp"', [{ published: 5353, target: 53, protocol: 'udp', mode: 'ingress' }]],
    ['"53/UDP"', [{ target: 53, protocol: 'udp', mode: 'ingress' }]],
    ['"3000-3002"', [tcp(3000), tcp(3001), tcp(3002)]],
    ['"8080-8082:80-82"', [tcp(80, 8080), tcp(81, 8081), tcp(82, 8082)]],
    ['"8080-8081:80"', [tcp(80, 8080), tcp(80, 8081)]],
    ['"127.0.0.1:8080:80"', [tcp(80, 8080)]],
    ['"127.0.0.1::80"', [tcp(80)]],
    ['"[::1]:8080:80"', [tcp(80, 8080)]],
    ['"127.0.0.1:5000-5001:5000-5001/tcp"', [tcp(5000, 5000), tcp(5001, 5001)]],
  ])('%s is read', (item, expected) => {
    expect(ports(item)).toEqual(expected);
  });

  it.each([
    ['"70000:80"', 'port 70000 is out of range'],
    ['"8080:0"', 'port 0 is out of range'],
    ['"8080:80/sctp"', 'protocol sctp is not supported yet'],
    ['"8080:80/quic"', 'protocol must be "tcp" or "udp", not "quic"'],
    ['"8080-8082:80-81"', '3 published ports cannot go to 2 target ports'],
    ['"8080:80-81"', '1 published ports cannot go to 2 target ports'],
    ['"8082-8080:80"', 'the range 8082-8080 ends before it begins'],
    ['"http:80"', '"http" is no published port'],
    ['"8080:web"', '"web" is no target port'],
    ['"8080:"', '"8080:" is no port'],
    ['""', '"" is no port'],
    ['80.5', '"80.5" is no target port'],
    ['-80', '"-80" is no target port'],
  ])('%s is refused where it stands', (item, message) => {
    const error = refusal(service('ports:', `  - ${item}`));
    expect(error.message).toContain(`stack.yml:5:9: ${message}`);
  });

  it('may have a host address, which has no effect in a swarm and is said to have none', () => {
    const { warnings } = read(service('ports: ["127.0.0.1:8080:80"]'));
    expect(warnings).toMatchObject([{ key: 'ports', where: { line: 4, column: 13 } }]);
    expect(warnings[0]?.message).toContain('127.0.0.1 has no effect');
  });

  it('keeps every port of a range, in order', () => {
    const port = fc.integer({ min: 1, max: 65535 });
    fc.assert(
      fc.property(
        port,
        port,
        fc.integer({ min: 0, max: 50 }),
        fc.constantFrom('tcp', 'udp'),
        (first, target, more, protocol) => {
          const span = Math.min(more, 65535 - first, 65535 - target);
          const read = ports(`"${first}-${first + span}:${target}-${target + span}/${protocol}"`);
          expect(read).toEqual(
            Array.from({ length: span + 1 }, (_, i) => ({
              published: first + i,
              target: target + i,
              protocol,
              mode: 'ingress',
            })),
          );
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('a port in the long form', () => {
  it.each<[string, PortSpec[]]>([
    ['{ target: 80 }', [tcp(80)]],
    ['{ target: 80, published: 8080 }', [tcp(80, 8080)]],
    ['{ target: 80, published: "8080", protocol: tcp, mode: ingress }', [tcp(80, 8080)]],
    ['{ target: 80, published: "8080-8081" }', [tcp(80, 8080), tcp(80, 8081)]],
    [
      '{ target: 53, published: 5353, protocol: udp }',
      [{ published: 5353, target: 53, protocol: 'udp', mode: 'ingress' }],
    ],
    ['{ target: 80, published: 0 }', [tcp(80)]],
  ])('%s is read', (item, expected) => {
    expect(ports(item)).toEqual(expected);
  });

  it('in host mode is kept', () => {
    const { spec, unsupported } = read(service('ports:', '  - { target: 80, published: 8080, mode: host }'));
    expect(spec.services[0]?.ports).toEqual([{ published: 8080, target: 80, protocol: 'tcp', mode: 'host' }]);
    expect(unsupported).toEqual([]);
  });

  it.each([
    ['{ published: 8080 }', '5:9: services.web.ports[0] lacks "target"'],
    [
      '{ target: 80, mode: hsot }',
      '5:29: services.web.ports[0].mode must be "ingress" or "host", not "hsot"\nhint: did you mean "host"?',
    ],
    [
      '{ target: 80, publish: 8080 }',
      '5:23: services.web.ports[0] has no key "publish"\nhint: did you mean "published"?',
    ],
    ['{ target: 80, protocol: sctp }', '5:33: protocol sctp is not supported yet'],
    ['{ target: 800000 }', '5:19: port 800000 is out of range'],
    ['{ target: "80-81" }', '5:19: target is one port'],
    ['{ target: [80] }', '5:19: services.web.ports[0].target must be a whole number or text, not a list'],
  ])('%s is refused at the key that is wrong', (item, message) => {
    expect(refusal(service('ports:', `  - ${item}`)).message).toContain(`stack.yml:${message}`);
  });
});

describe('ports as a whole', () => {
  it('are a list, and the hint says how to write one', () => {
    const error = refusal(service('ports: { 8080: 80 }'));
    expect(error.message).toBe(
      'stack.yml:4:12: services.web.ports must be a list, not a map\nhint: write a list: - "8080:80"',
    );
    expect(refusal(service('ports: "8080:80"')).message).toContain('must be a list, not "8080:80"');
  });

  it('cannot be published twice, by two services or by one', () => {
    const two = `${service('ports: ["8080:80"]')}\n  api:\n    image: api\n    ports: ["8000-8090:80"]\n`;
    expect(refusal(two).message).toContain(
      'stack.yml:7:13: port 8080/tcp of service "api" is published already, by service "web" (line 4, column 13)',
    );
    expect(refusal(service('ports: ["8080:80", "8080:81"]'))).toMatchObject({ line: 4, column: 24 });
  });

  it('can have one number for tcp and for udp, and be left to the swarm many times', () => {
    expect(read(service('ports: ["53:53", "53:53/udp", "80", "80"]')).spec.services[0]?.ports).toHaveLength(4);
  });
});
