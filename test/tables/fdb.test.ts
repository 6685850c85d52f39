/** A bridge's forwarding database: learning, ageing, what is static (net/bridge/br_fdb.c). */

import { describe, expect, it } from 'vitest';
import type { Device } from '../../src/engine/index.js';
import { checkedEngine } from '../engine/checked.js';
import { BROADCAST, ethernet } from '../engine/packets.js';
import { fdbEntry, SECOND } from '../engine/state.js';
import { dropsOf, expectConserved, Watch } from '../engine/watch.js';

const A = '02:00:00:00:00:0a';
const B = '02:00:00:00:00:0b';
const C = '02:00:00:00:00:0c';
const EXPERIMENTAL = 0x88b5;
const STATIC = 1;

/** br0 with three ports; what leaves by a port is told by the port's number. */
async function bridge() {
  const engine = await checkedEngine();
  const host = engine.namespace('node/host');
  const br0 = host.addBridge('br0', { mac: '02:00:00:00:00:ff', mtu: 1500 });
  const ports = [1, 2, 3].map((n) => {
    const box = engine.namespace(`node/box-${n}`);
    box.set('silent', 1);
    const [port] = host.addVeth(
      `port${n}`,
      { mac: `02:00:00:00:01:0${n}`, mtu: 1500 },
      { namespace: box, name: 'eth0', mac: `02:00:00:00:02:0${n}`, mtu: 1500 },
    );
    host.addPort(br0, port);
    return port;
  });
  const [first, second, third] = ports as [Device, Device, Device];
  const watch = new Watch(engine, ports);
  /** A frame comes in by `port`; where it went. */
  const send = (port: Device, source: string, destination: string, time = engine.now): string[] => {
    watch.clear();
    engine.receive(port, ethernet(destination, source, EXPERIMENTAL, new Uint8Array(46)), time);
    engine.run(Math.max(time, engine.now) + 1_000_000);
    return watch
      .frames()
      .filter(({ direction }) => direction === 'transmitted')
      .map(({ tap }) => tap.slice(-1));
  };
  return { engine, host, br0, first, second, third, send };
}

describe('a bridge', () => {
  it('floods a frame for whom it does not know, to all ports but the one it came by', async () => {
    const { engine, first, second, send } = await bridge();
    expect(send(first, A, B)).toEqual(['2', '3']);
    expect(send(second, A, B)).toEqual(['1', '3']);
    expectConserved(engine);
  });

  it('learns where a frame came from, and sends what is for it there alone', async () => {
    const { engine, br0, first, second, send } = await bridge();
    send(first, A, B);
    expect(fdbEntry(br0, A)?.port).toBe(first);
    expect(send(second, B, A)).toEqual(['1']);
    expect(send(first, A, B)).toEqual(['2']);
    expectConserved(engine);
  });

  it('learns from a broadcast, too', async () => {
    const { first, third, send } = await bridge();
    send(first, A, BROADCAST);
    expect(send(third, C, A)).toEqual(['1']);
  });

  it('follows an address that moves to another port', async () => {
    const { first, second, third, send } = await bridge();
    send(first, A, BROADCAST);
    send(second, A, BROADCAST);
    expect(send(third, C, A)).toEqual(['2']);
  });

  it('does not send a frame back out of the port it came by', async () => {
    const { engine, first, send } = await bridge();
    send(first, A, BROADCAST);
    expect(send(first, B, A)).toEqual([]);
    expect(dropsOf(engine)).toContain('node/host/port1 BRIDGE_SAME_PORT');
    expectConserved(engine);
  });

  it.each([
    ['a group address', '03:00:00:00:00:0a'],
    ['no address', '00:00:00:00:00:00'],
  ])('takes nothing from %s', async (_, source) => {
    const { engine, br0, first, send } = await bridge();
    expect(send(first, source, B)).toEqual([]);
    expect(fdbEntry(br0, source)).toBeUndefined();
    expect(dropsOf(engine)).toEqual(['node/host/port1 MAC_INVALID_SOURCE']);
    expectConserved(engine);
  });

  it('keeps what it learned for another bridge to itself', async () => {
    const { engine, host, first, send } = await bridge();
    const other = host.addBridge('br1', { mac: '02:00:00:00:00:fe', mtu: 1500 });
    send(first, A, BROADCAST);
    expect(fdbEntry(other, A)).toBeUndefined();
    expectConserved(engine);
  });
});

describe('what a bridge has learned', () => {
  it('holds until just before 300 s', async () => {
    const { first, second, send } = await bridge();
    send(first, A, BROADCAST, SECOND);
    expect(send(second, B, A, 301 * SECOND - 1)).toEqual(['1']);
  });

  it('is over at 300 s: the frame is flooded', async () => {
    const { engine, first, second, send } = await bridge();
    send(first, A, BROADCAST, SECOND);
    expect(send(second, B, A, 301 * SECOND)).toEqual(['1', '3']);
    expectConserved(engine);
  });

  it('is refreshed by every frame of its owner, not by those for it', async () => {
    const { first, second, send } = await bridge();
    send(first, A, BROADCAST, SECOND);
    send(first, A, B, 200 * SECOND);
    expect(send(second, B, A, 400 * SECOND)).toEqual(['1']);
    expect(send(second, B, A, 500 * SECOND)).toEqual(['1', '3']);
  });

  it('can be taken out', async () => {
    const { host, br0, first, second, send } = await bridge();
    send(first, A, BROADCAST);
    expect(host.removeFdb(br0, A)).toBe(true);
    expect(host.removeFdb(br0, A)).toBe(false);
    expect(send(second, B, A)).toEqual(['1', '3']);
  });
});

describe('a static entry', () => {
  const low = 0x0000_0002;
  const high = 0x0a00;

  it('is not overwritten by a frame from elsewhere, and does not age', async () => {
    const { engine, br0, first, second, third, send } = await bridge();
    engine.exports.setFdb(br0.id, low, high, third.at, 0, STATIC);
    expect(send(first, B, A)).toEqual(['3']);
    send(second, A, BROADCAST);
    expect(fdbEntry(br0, A)?.port).toBe(third);
    expect(send(first, B, A, 1000 * SECOND)).toEqual(['3']);
    expectConserved(engine);
  });

  it('for the bridge’s own address stays its own, whoever claims it', async () => {
    const { engine, br0, first, second, send } = await bridge();
    send(second, br0.mac, BROADCAST);
    expect(send(first, A, br0.mac)).toEqual([]);
    expect(fdbEntry(br0, br0.mac)?.port).toBeUndefined();
    expectConserved(engine);
  });

  it('for a port’s address takes frames up to the bridge’s namespace', async () => {
    const { engine, first, second, send } = await bridge();
    expect(send(first, A, second.mac)).toEqual([]);
    expectConserved(engine);
  });
});
