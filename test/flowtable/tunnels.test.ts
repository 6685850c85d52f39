/**
 * A tunnel's entry is kept alive by all flows that go through its port. It hears of them only when it has to: whoever meets it finds it as
 * if each packet had told it at once.
 */

import { beforeAll, expect, it } from 'vitest';
import { ACK, answerTo, controlBack, FIN, fromClient, SYN } from '../../bench/frames.js';
import { addressNumber, ethernet, get16, ipv4, macBytes, seal, TYPE_IPV4, UDP, udp } from '../../bench/headers.js';
import { Life, ports, twice, warm } from './meshed.js';

const PORT_AT = 34;
/** Clients' ports, two each that leave by the same port of the tunnel. */
const pairs: [number, number][] = [];
beforeAll(async () => {
  const scout = await Life.create(false, false);
  const first = new Map<number, number>();
  for (let from = 3000; pairs.length < 8; from += 200) {
    const asked = ports(from, 200);
    scout.pass(...asked.map((port) => scout.syn(port))).forEach((frame, i) => {
      const [outside, port] = [get16(frame, PORT_AT), asked[i] ?? 0];
      const other = first.get(outside);
      if (other) pairs.push([other, port]);
      first.set(outside, port);
    });
  }
}, 60_000);

/** Connections of these ports are up; what left first of each. */
function establish(life: Life, some: number[]): Uint8Array[] {
  const left = life.pass(...some.map((port) => life.syn(port)));
  life.pass(...left.map((frame) => controlBack(frame, SYN | ACK)));
  for (let i = 0; i < 2; i++) says(life, some);
  return left;
}
const says = (life: Life, some: number[], flags = ACK) =>
  life.pass(...some.map((port) => fromClient(life.flow(port), life.mesh.macs, 64, flags)));
const ones = () => pairs.map(([one]) => one);
const others = () => pairs.map(([, other]) => other);

/** From the other end, to the ports that these frames have left by. */
function tunnelAnswers(life: Life, left: Uint8Array[]): void {
  const { address, nic } = life.mesh;
  const other = life.mesh.namespace('node2/host').device('eth0');
  life.pass(
    ...left.map((frame) => {
      const data = udp(4789, get16(frame, PORT_AT), new Uint8Array(4));
      const ends = { source: addressNumber(other.address ?? ''), destination: addressNumber(address) };
      const packet = seal(ipv4({ ...ends, protocol: UDP, fragment: 0x4000 }, data), 0);
      return ethernet(macBytes(nic.mac), macBytes(other.mac), TYPE_IPV4, packet);
    }),
  );
}

it.each<[string, (life: Life) => void]>([
  ['a new connection', (life) => void establish(life, others())],
  ['one that was quiet', (life) => says(life, others())],
  ['one that ends', (life) => says(life, ones(), FIN | ACK)],
  ['a look at the tables', (life) => life.look()],
  [
    'a packet whose flow has gone',
    (life) => {
      const { iptables } = life.mesh.namespace('node1/host');
      iptables.insert('filter', 'OUTPUT', { protocol: 'icmp', target: 'ACCEPT' });
      says(life, others());
    },
  ],
])('is found by %s, just after it would have been over without the others', async (name, happens) => {
  const quiet = name !== 'a new connection';
  const { fast } = await twice((life) => {
    warm(life);
    const left = establish(life, quiet ? pairs.flat() : ones());
    if (quiet) life.pass(...left.map((frame) => answerTo(frame, 64, ACK)));
    // Sweeps come once a second: at one of these moments none has been since.
    for (let i = 0; i < 9; i++) {
      life.quiet(19);
      says(life, ones());
      life.quiet(11.1 - (i === 0 ? 0.5 : 0));
      says(life, ones().slice(4));
      happens(life);
      if (!quiet) return;
      says(life, ones());
    }
  });
  expect(fast).toBeGreaterThan(quiet ? 200 : 30);
});

it.each(ports(0, 10))('is found by a new connection %d tenths of a second later', async (tenths) => {
  await twice((life) => {
    warm(life);
    establish(life, ones());
    life.quiet(20);
    says(life, ones());
    life.quiet(9.95 + tenths / 10);
    establish(life, others());
    life.quiet(15);
    says(life, others());
    life.quiet(20);
  });
});

it('is not waited for by flows whose tunnel has been answered', async () => {
  const { fast } = await twice((life) => {
    warm(life);
    const left = establish(life, pairs.flat());
    for (const [i, pause] of [1, 3, 12, 1, 20, 1, 29].entries()) {
      for (let turn = 0; turn < 3; turn++) says(life, pairs.flat());
      life.quiet(pause);
      says(life, pairs.flat());
      // Two flows leave by this one's port.
      tunnelAnswers(life, left.slice(2 * i, 2 * i + 1));
      says(life, others());
      says(life, pairs.flat());
      if (i % 2 === 0) life.look();
    }
  });
  expect(fast).toBeGreaterThan(100);
});

it('is made anew where somebody has taken it away', async () => {
  const { fast } = await twice((life) => {
    warm(life);
    establish(life, pairs.flat());
    for (const pause of [1, 12, 31]) {
      says(life, pairs.flat());
      life.quiet(pause);
      says(life, ones());
      life.mesh.namespace('node1/host').forgetDatagramsTo(4789);
      says(life, others());
      says(life, pairs.flat());
      establish(life, [5 + pause]);
      says(life, ones());
    }
  });
  expect(fast).toBeGreaterThan(60);
});

it('is over half a minute after the last packet of all', async () => {
  const { fast } = await twice((life) => {
    warm(life);
    establish(life, pairs.flat());
    for (let i = 0; i < 4; i++) {
      life.quiet(9);
      says(life, ones());
      life.quiet(5.5);
      says(life, others());
    }
    life.quietUnswept(24.6);
    says(life, ones().slice(0, 2));
    life.quietUnswept(5.45);
    says(life, ones().slice(2, 4));
    life.quiet(1);
  });
  expect(fast).toBeGreaterThan(60);
});

it('has the time of the latest packet of all, when a later one of its flow came before', async () => {
  const { fast } = await twice((life) => {
    warm(life);
    const [port] = ones();
    const [left] = establish(life, [port as number]);
    const { engine, nic, macs } = life.mesh;
    const [there, back] = [fromClient(life.flow(port as number), macs, 64, ACK), answerTo(left as Uint8Array, 64, ACK)];
    life.pass(back);
    const { now } = engine;
    // Handed in with times of their own, behind the clock.
    for (const [frame, time, until] of [
      [there, 200, 200],
      [back, 50, 300],
      [there, 100, 400],
    ] as const) {
      engine.receive(nic, frame, now + time * 1000);
      engine.run(now + until * 1000);
    }
    life.look();
  });
  expect(fast).toBeGreaterThan(5);
});
