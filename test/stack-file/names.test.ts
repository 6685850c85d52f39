import { describe, expect, it } from 'vitest';
import { read, refusal, service } from './reading.js';

/** `web` and `db`, then the section with these lines. The section's first line is line 6. */
function stack(...lines: string[]): string {
  const services = 'services:\n  web:\n    image: nginx\n  db: { image: redis }\n';
  return `${services}x-swarmwire:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

describe('what a service is told about names', () => {
  it('is taken as Compose writes it, one or a list, a list or a map', () => {
    const [web] = read(
      service(
        'hostname: box',
        'dns: 10.0.0.53',
        'dns_search: [corp.test, test]',
        'dns_opt: ["ndots:2"]',
        'extra_hosts: ["a:1.2.3.4", "b=2001:db8::1", "c:host-gateway"]',
      ),
    ).spec.services;
    expect(web).toMatchObject({
      hostname: 'box',
      dns: { servers: ['10.0.0.53'], search: ['corp.test', 'test'], options: ['ndots:2'] },
      extraHosts: [
        { address: '1.2.3.4', names: ['a'] },
        { address: '2001:db8::1', names: ['b'] },
        { address: 'host-gateway', names: ['c'] },
      ],
    });
    const [again] = read(service('extra_hosts: { a: 1.2.3.4, b: [1.2.3.5, 1.2.3.6] }')).spec.services;
    expect(again?.extraHosts?.map(({ address, names }) => `${names[0]} ${address}`)).toEqual([
      'a 1.2.3.4',
      'b 1.2.3.5',
      'b 1.2.3.6',
    ]);
  });

  it.each([
    ['dns: somewhere', 'dns: somewhere is not an ip address'],
    ['dns_search: "not a domain"', 'dns_search: not a domain is not a valid domain'],
    ['dns_opt: ["ndots:x"]', 'invalid number for ndots option: x'],
    ['extra_hosts: ["nothing"]', 'bad format for add-host'],
    ['extra_hosts: ["a:nowhere"]', 'invalid IP address in add-host: "nowhere"'],
  ])('%s is refused, with its line', (line, message) => {
    const problem = refusal(service(line)).message;
    expect(problem).toContain(message);
    expect(problem).toMatch(/:4:\d+: /);
  });
});

describe('names outside', () => {
  it('are those of the hosts that resolve some, lower case; the client is told of the world unless it is told otherwise', () => {
    const { outside } = read(
      stack('outside: [{ name: ns, address: 192.168.99.53/24, resolves: { WWW.Shop.test: 203.0.113.7 } }]'),
    ).spec;
    expect(outside.map(({ resolves }) => resolves)).toEqual([undefined, { 'www.shop.test': '203.0.113.7' }]);
    expect(
      read(stack('client: { resolves: { a.test: [10.0.0.1, "2001:db8::1"] } }')).spec.outside[0]?.resolves,
    ).toEqual({
      'a.test': ['10.0.0.1', '2001:db8::1'],
    });
    expect(refusal(stack('client: { resolves: { a.test: here } }')).message).toContain('"here" is no address');
    expect(refusal(stack('client: { resolves: { a..test: 10.0.0.1 } }')).message).toContain(
      '"a..test" is no name that DNS can ask for',
    );
  });

  it('may be asked for, found or not, as may a name on a network', () => {
    const { traffic } = read(
      stack(
        'traffic:',
        '  - http: { from: web, to: "www.example.com:80" }',
        '  - http: { from: web, to: "www.nowhere.test:80" }',
        '  - http: { from: web, to: "db.default:6379" }',
      ),
    ).spec;
    expect(traffic.map(({ to }) => to)).toEqual(['www.example.com', 'www.nowhere.test', 'db.default']);
    expect(refusal(stack('traffic: [{ ping: { from: web, to: nobody } }]')).message).toContain(
      'there is no "nobody" here',
    );
  });
});

describe('roles', () => {
  it('are those of services and containers', () => {
    const { roles } = read(
      stack(
        'containers: { ns: {} }',
        'roles:',
        '  ns: { dns: {} }',
        '  web: { relay: { listen: 12345, to: "db:6379" } }',
      ),
    ).spec;
    expect(roles).toEqual([
      { party: 'ns', role: 'dns', domain: 'docker' },
      { party: 'web', role: 'relay', listen: 12345, to: 'db', port: 6379 },
    ]);
    expect(read(stack('roles: { web: { dns: { domain: Box } } }')).spec.roles).toEqual([
      { party: 'web', role: 'dns', domain: 'box' },
    ]);
  });

  it.each([
    ['roles: { nobody: { dns: {} } }', 'there is no "nobody" here'],
    ['roles: { node1: { dns: {} } }', '"node1" is a machine, and a role is played by a service or a container'],
    ['roles: { web: { relay: { listen: 1, to: db } } }', '"db" lacks a port'],
    ['roles: { web: { relay: { listen: 70000, to: "db:1" } } }', 'roles.web.relay.listen'],
    ['roles: { web: { relay: { listen: 1, to: "nobody:1" } } }', 'there is no "nobody" here'],
    ['roles: { web: {} }', 'roles.web'],
  ])('%s is refused', (line, message) => {
    expect(refusal(stack(line)).message).toContain(message);
  });
});
