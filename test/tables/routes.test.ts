/** Routes: longest prefix first, the local table before main, the lower metric before the higher. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Engine, Namespace } from '../../src/engine/index.js';
import { checkedEngine, type WireExports, wireOf } from '../engine/checked.js';
import { address } from '../engine/loaded.js';
import { addressBytes, udpPacket } from '../engine/packets.js';
import { expectConserved } from '../engine/watch.js';
import { ALICE, BOB, LEFT, routerWorld } from '../engine/world.js';

const LOCAL = 255;
const MAIN = 254;
const UNICAST = 1;

interface Planned {
  table: number;
  destination: string;
  length: number;
  metric: number;
}

const number = (text: string) => addressBytes(text).reduce((sum, byte) => sum * 256 + byte, 0);
const covers = ({ destination, length }: Planned, to: string) =>
  Math.floor(number(destination) / 2 ** (32 - length)) === Math.floor(number(to) / 2 ** (32 - length));

/** Routes of a namespace beside a plain list of them. */
class Table {
  readonly #list: (Planned & { at: number })[] = [];
  readonly #routeFor: WireExports['routeFor'];
  constructor(
    readonly engine: Engine,
    readonly namespace: Namespace,
  ) {
    this.#routeFor = wireOf(engine).routeFor;
  }
  add(route: Planned): number {
    const at =
      this.engine.exports.addRoute(
        this.namespace.at,
        route.table,
        address(route.destination),
        route.length,
        UNICAST,
        this.namespace.device('lo').at,
        0,
        0,
        route.metric,
      ) >>> 0;
    this.#list.push({ ...route, at });
    return at;
  }
  remove(which: number): void {
    const [gone] = this.#list.splice(which % Math.max(this.#list.length, 1), 1);
    if (gone) this.engine.exports.removeRoute(gone.at);
  }
  removeRoute(at: number): void {
    this.remove(this.#list.findIndex((route) => route.at === at));
  }
  /** The naive way: all that cover it; local before main, longest first, least metric first, oldest first. */
  expected(to: string): number {
    const [best] = this.#list
      .filter((route) => covers(route, to))
      .sort((a, b) => b.table - a.table || b.length - a.length || a.metric - b.metric);
    return best?.at ?? 0;
  }
  found(to: string): number {
    return this.#routeFor(this.namespace.at, address(to)) >>> 0;
  }
}

async function twoTables() {
  const engine = await checkedEngine();
  const [here, there] = [engine.namespace('here'), engine.namespace('there')];
  return { here: new Table(engine, here), there: new Table(engine, there) };
}

// A small world, so that prefixes lie within each other.
const few = fc.constantFrom(10, 11, 172, 192, 255);
const destination = fc.tuple(few, fc.nat(3), fc.nat(3), fc.nat(3)).map((parts) => parts.join('.'));
const planned = fc.record({
  table: fc.constantFrom(LOCAL, MAIN, MAIN, MAIN),
  destination,
  length: fc.nat(32),
  metric: fc.constantFrom(0, 0, 10, 100),
});

describe('a look-up', () => {
  it('finds what a naive search of the list finds, as routes come and go', async () => {
    const world = await twoTables();
    fc.assert(
      fc.property(
        fc.array(fc.oneof(planned, planned, fc.nat()), { maxLength: 60 }),
        fc.array(destination, { minLength: 20, maxLength: 20 }),
        (steps, asked) => {
          for (const step of steps) {
            if (typeof step === 'number') world.here.remove(step);
            else world.here.add(step);
          }
          for (const to of asked) expect(world.here.found(to), to).toBe(world.here.expected(to));
          for (const to of asked) expect(world.there.found(to), 'another namespace').toBe(world.there.expected(to));
          for (let i = 0; i < 60; i++) world.here.remove(0);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('takes the longer prefix, the default route last', async () => {
    const { here } = await twoTables();
    const route = (destination: string, length: number) => here.add({ table: MAIN, destination, length, metric: 0 });
    const [any, wide, narrow, host] = [
      route('0.0.0.0', 0),
      route('10.0.0.0', 8),
      route('10.1.0.0', 16),
      route('10.1.2.3', 32),
    ];
    expect(here.found('10.1.2.3')).toBe(host);
    expect(here.found('10.1.2.4')).toBe(narrow);
    expect(here.found('10.2.0.0')).toBe(wide);
    expect(here.found('11.0.0.0')).toBe(any);
  });

  it('asks the local table first, however short its prefix (ip rule 0)', async () => {
    const { here } = await twoTables();
    here.add({ table: MAIN, destination: '127.1.2.3', length: 32, metric: 0 });
    const own = here.namespace.routes.find(({ destination }) => destination === '127.0.0.1/8');
    expect(here.found('127.1.2.3')).toBe((own?.at ?? 0) >>> 0);
  });

  it('takes the lower metric, and the first of equals', async () => {
    const { here } = await twoTables();
    const route = (metric: number) => here.add({ table: MAIN, destination: '10.0.0.0', length: 8, metric });
    const second = route(20);
    expect(here.found('10.0.0.1')).toBe(second);
    const first = route(10);
    route(10);
    route(30);
    expect(here.found('10.0.0.1')).toBe(first);
  });

  it('takes the next best when the best is removed: the older of two equals', async () => {
    const { here } = await twoTables();
    const route = (metric: number) => here.add({ table: MAIN, destination: '10.0.0.0', length: 8, metric });
    const [best, second, third, last] = [route(5), route(10), route(10), route(20)];
    const order = [0, 1, 2, 3].map(() => {
      const found = here.found('10.0.0.1');
      here.removeRoute(found);
      return found;
    });
    expect(order).toEqual([best, second, third, last]);
    expect(here.found('10.0.0.1')).toBe(0);
  });

  it('finds nothing where there is nothing', async () => {
    const { here, there } = await twoTables();
    expect(here.found('10.0.0.1')).toBe(0);
    there.add({ table: MAIN, destination: '10.0.0.0', length: 8, metric: 0 });
    expect(here.found('10.0.0.1')).toBe(0);
  });
});

describe('a host with addresses', () => {
  it('has the routes that Linux gives them (fib_add_ifaddr)', async () => {
    const { router, left } = await routerWorld();
    expect(
      router.routes
        .filter(({ device }) => device === left)
        .map(({ table, type, destination, source }) => `${type} ${destination} table ${table} src ${source}`)
        .sort(),
    ).toEqual([
      'broadcast 10.0.1.255/32 table local src 10.0.1.1',
      'local 10.0.1.1/32 table local src 10.0.1.1',
      'unicast 10.0.1.1/24 table main src 10.0.1.1',
    ]);
  });

  it('sends what a longer route catches that way, and back again when it goes', async () => {
    const { engine, router, left, right, fromAlice, toAlice, toBob } = await routerWorld();
    router.addNeighbour(right, '10.0.2.9', '02:00:00:00:02:09');
    const packet = () => udpPacket({ source: ALICE, destination: '192.0.2.7', sport: 1, dport: 2 });
    router.addRoute('192.0.0.0/8', right, BOB);
    fromAlice(packet());
    expect(toBob()).toEqual([`${ALICE}:1 > 192.0.2.7:2 ttl 63 udp`]);
    const back = router.addRoute('192.0.2.0/24', left, ALICE);
    fromAlice(packet());
    // Out by the device that it came in by: Alice is told that she could have sent it herself.
    expect([toAlice(), toBob()]).toEqual([
      [`${LEFT} > ${ALICE} ttl 64 icmp 5/1`, `${ALICE}:1 > 192.0.2.7:2 ttl 63 udp`],
      [],
    ]);
    router.removeRoute(back);
    fromAlice(packet());
    expect(toBob()).toEqual([`${ALICE}:1 > 192.0.2.7:2 ttl 63 udp`]);
    expectConserved(engine);
  });

  it('tells the sender when the last route has gone', async () => {
    const { engine, router, fromAlice, toAlice, toBob, drops } = await routerWorld();
    const route = router.addRoute('192.0.2.0/24', router.device('right'), BOB);
    router.removeRoute(route);
    fromAlice(udpPacket({ source: ALICE, destination: '192.0.2.7', sport: 1, dport: 2 }));
    expect(toBob()).toEqual([]);
    expect(toAlice()).toEqual([`${LEFT} > ${ALICE} ttl 64 icmp 3/0`]);
    expect(drops()).toEqual(['node/router/left IP_IN_NO_ROUTE']);
    expectConserved(engine);
  });
});
