/** getaddrinfo() as glibc and musl do it: which names they try, whom they ask, when they give up. */

import { describe, expect, it, test } from 'vitest';
import { listenDns } from '../../src/dns/listener.js';
import { candidates, type Lookup, libcOf, lookUp } from '../../src/dns/lookup.js';
import { FLAG, RCODE, reply } from '../../src/dns/message.js';
import type { Libc } from '../../src/dns/preference.js';
import { CLIENT, pair, SERVER } from '../engine/pair.js';

const SECOND = 1_000_000_000;

describe('the names to try', () => {
  it.each([
    ['glibc', 'web', 0, ['web', 'web.a.test', 'web.b.test']],
    ['glibc', 'web', 1, ['web.a.test', 'web.b.test', 'web']],
    ['glibc', 'www.web', 1, ['www.web', 'www.web.a.test', 'www.web.b.test']],
    ['glibc', 'web.', 1, ['web.']],
    ['musl', 'web', 0, ['web']],
    ['musl', 'web', 1, ['web.a.test', 'web.b.test', 'web']],
    ['musl', 'www.web', 1, ['www.web']],
  ] as [Libc, string, number, string[]][])('by %s of %s with ndots:%i are %j', (libc, name, ndots, expected) => {
    expect(candidates(libc, name, { search: ['a.test', 'b.test'], ndots })).toEqual(expected);
  });
});

test('Alpine’s library is musl, everybody else’s glibc', () => {
  expect(['alpine', 'node:20-alpine', 'nginx', undefined].map(libcOf)).toEqual(['musl', 'musl', 'glibc', 'glibc']);
});

/** A client, and a server whose DNS answers `rcode` (or never) to names that it does not know. */
async function world(libc: Libc, rcode: number | 'silent', known: Record<string, string> = {}) {
  const { engine, sockets, client, server } = await pair();
  const asked: { name: string; type: string; time: number; port: number }[] = [];
  const start = engine.now;
  if (rcode !== -1)
    listenDns(sockets, server, { counts: new Map() }, ({ name, type, ...rest }, _transport, time, done) => {
      asked.push({ name, type: String(type), time: time - start, port: 0 });
      const query = { name, type, ...rest };
      const data = known[name];
      if (data !== undefined)
        done(
          reply(query, {
            flags: FLAG.RA,
            answers: type === 'A' ? [{ name, type: 'A', ttl: 60, class: 'IN', data }] : [],
          }),
          sockets.after(time),
        );
      else done(rcode === 'silent' ? undefined : reply(query, { flags: FLAG.RA, rcode }), sockets.after(time));
    });
  let draws = 0;
  const find = (name: string, resolvConf = `nameserver ${SERVER}\n`, hosts = ''): Lookup => {
    let found: Lookup | undefined;
    // Any numbers do, as long as they differ.
    const below = (limit: number) => (draws++ * 7919) % limit;
    lookUp({ sockets, namespace: client, libc, resolvConf, hosts, below }, name, engine.now, (result) => {
      found = result;
    });
    for (let i = 0; i < 120 && !found; i++) engine.run(engine.now + SECOND, sockets.handle);
    if (!found) throw new Error('never over');
    return found;
  };
  return { find, asked, engine, start };
}

describe.each(['glibc', 'musl'] as const)('%s', (libc) => {
  it('asks for A and AAAA at once and takes what comes', async () => {
    const { find, asked } = await world(libc, RCODE.NXDOMAIN, { 'web.test': '10.0.0.7' });
    expect(find('web.test')).toMatchObject({ addresses: ['10.0.0.7'], from: 'dns', server: SERVER });
    expect(asked.map(({ name, type }) => `${type} ${name}`)).toEqual(['A web.test', 'AAAA web.test']);
    expect((asked[1]?.time ?? 0) - (asked[0]?.time ?? 0)).toBeLessThan(10_000);
  });

  it('knows /etc/hosts first, by any case, and asks nobody', async () => {
    const { find, asked } = await world(libc, RCODE.NXDOMAIN);
    expect(find('Box', undefined, '10.1.1.1\tbox box.test\n')).toMatchObject({
      addresses: ['10.1.1.1'],
      from: 'hosts',
    });
    expect(asked).toEqual([]);
  });

  it('goes through the search list', async () => {
    const { find, asked } = await world(libc, RCODE.NXDOMAIN, { 'web.b.test': '10.0.0.8' });
    expect(find('web', `nameserver ${SERVER}\nsearch a.test b.test\n`).addresses).toEqual(['10.0.0.8']);
    expect([...new Set(asked.map(({ name }) => name))]).toEqual(['web.a.test', 'web.b.test']);
  });

  it('says why there is no address', async () => {
    expect((await world(libc, RCODE.NXDOMAIN)).find('a.test').failure).toBe('does not exist (NXDOMAIN)');
    expect((await world(libc, RCODE.NOERROR)).find('a.test').failure).toBe('has no address');
    expect((await world(libc, 'silent')).find('a.test').failure).toBe(
      'could not be looked up: no name server answered',
    );
    expect((await world(libc, -1)).find('a.test').failure).toBe('could not be looked up: no name server answered');
  });
});

test('glibc waits five seconds and asks once more; a closed port it believes at once', async () => {
  const { find, asked, start } = await world('glibc', 'silent');
  const { finished } = find('a.test');
  expect(asked.map(({ time }) => Math.round(time / SECOND))).toEqual([0, 0, 5, 5]);
  expect(Math.round((finished - start) / SECOND)).toBe(15);
  const closed = await world('glibc', -1);
  expect(closed.find('a.test').finished - closed.start).toBeLessThan(SECOND);
});

test('musl asks again after half of its five seconds, and then gives up', async () => {
  const { find, asked, start } = await world('musl', 'silent');
  const { finished } = find('a.test');
  expect(asked.map(({ time }) => Math.round(time / SECOND / 0.5) / 2)).toEqual([0, 0, 2.5, 2.5]);
  expect((finished - start) / SECOND).toBeCloseTo(5, 1);
});

test('options of resolv.conf shorten it', async () => {
  const { find, start } = await world('glibc', 'silent');
  const { finished } = find('a.test', `nameserver ${SERVER}\noptions timeout:1 attempts:1\n`);
  expect(Math.round((finished - start) / SECOND)).toBe(1);
});

test('a second server is glibc’s next, and musl’s at once', async () => {
  for (const [libc, seconds] of [
    ['glibc', 5],
    ['musl', 0],
  ] as const) {
    const { find, start } = await world(libc, RCODE.NXDOMAIN, { 'a.test': '10.0.0.9' });
    // The first one does not exist: nobody says so.
    const silent = CLIENT.replace(/\d+$/, '250');
    const { addresses, finished } = find('a.test', `nameserver ${silent}\nnameserver ${SERVER}\n`);
    expect(addresses).toEqual(['10.0.0.9']);
    expect(Math.floor((finished - start) / SECOND)).toBeLessThanOrEqual(seconds);
  }
});
