/**
 * New connections by what the ones before them met (openings): the same frames, times, counters and entries as by the slow
 * way, whatever changes between two of them.
 */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ACK, answerTo, control, controlBack, FIN, fromClient, SYN } from '../../bench/frames.js';
import { Random } from '../../bench/fuzz/random.js';
import { put16, put32, sealAll } from '../../bench/headers.js';
import { PUBLISHED } from '../../bench/mesh.js';
import { connectionEventsOf, watchConnections } from '../../src/engine/connection-events.js';
import { lives, PATIENCE } from './lives.js';
import { CLIENT, Life, ports, twice, WARM, warm } from './meshed.js';
import { digest } from './seen.js';

it('opens all but the first connection to each destination by example', async () => {
  const { fast } = await twice((life) => {
    warm(life);
    for (let from = 3000; from < 3300; from += 100) life.pass(...ports(from, 100).map((port) => life.syn(port)));
  });
  expect(fast).toBe(WARM - 32 + 300);
});

it('tells who watches connections all that becomes of them', async () => {
  await twice((life) => {
    const { engine } = life.mesh;
    const asks = () => life.pass(...ports(3000, 8).map((port) => life.datagram(port)));
    const answer = (asked: Uint8Array[]) => life.pass(...asked.map((frame) => answerTo(frame, 64, 0)));
    answer(asks());
    answer(asks());
    watchConnections(engine);
    // From now on none is opened by example: nobody would tell of it.
    answer(asks());
    life.pass(...ports(4000, 2 * WARM).map((port) => life.datagram(port)));
    life.quiet(3);
    answer(asks());
    for (const { change, time, left } of connectionEventsOf(engine) ?? []) life.seen.push(`${change} ${time} ${left}`);
  });
});

it('forgets what nobody has asked for in a minute', async () => {
  const life = await Life.create(true, false);
  life.pass(life.syn(2000), life.syn(2001));
  expect(life.mesh.engine.exports.openings()).toBeGreaterThan(1);
  for (let second = 0; second < 59; second++) life.wait(1);
  expect(life.mesh.engine.exports.openings()).toBeGreaterThan(1);
  for (let second = 0; second < 5; second++) life.wait(1);
  expect(life.mesh.engine.exports.openings()).toBe(0);
});

it('opens datagrams’ connections, which then have their flows', async () => {
  const { fast } = await twice((life) => {
    for (let turn = 0; turn < 4; turn++) life.pass(...ports(2000, 70).map((port) => life.datagram(port)));
  });
  expect(fast).toBe(70 - 32 + 2 * 70);
});

it('shows taps on the way what they would have seen', async () => {
  const { fast } = await twice((life) => {
    warm(life);
    for (let from = 3000; from < 3200; from += 100) life.pass(...ports(from, 100).map((port) => life.syn(port)));
    life.pass(...ports(2000, 70).map((port) => life.datagram(port)));
  }, true);
  expect(fast).toBe(WARM - 32 + 200 + 70 - 32);
});

it('goes on to established connections and their ends', async () => {
  const { fast } = await twice((life) => {
    warm(life);
    const left = life.pass(...ports(3000, 20).map((port) => life.syn(port)));
    life.pass(...left.map((frame) => controlBack(frame, SYN | ACK)));
    for (const flags of [ACK, ACK, FIN | ACK])
      life.pass(...ports(3000, 20).map((port) => control(life.flow(port), life.mesh.macs, flags)));
    life.pass(...left.map((frame) => controlBack(frame, FIN | ACK)));
    life.pass(...ports(3000, 20).map((port) => control(life.flow(port), life.mesh.macs, ACK)));
  });
  expect(fast).toBeGreaterThan(60);
});

it('closes connections by FINs that fit, whatever stands in their place before and after', async () => {
  const { fast } = await twice((life) => {
    warm(life);
    const some = ports(3000, 24);
    const left = life.pass(...some.map((port) => life.syn(port)));
    life.pass(...left.map((frame) => controlBack(frame, SYN | ACK)));
    const say = (flags: number, sequence = 1) =>
      life.pass(
        ...some.map((port) => {
          const frame = control(life.flow(port), life.mesh.macs, flags);
          put32(frame, 14 + 20 + 4, sequence);
          return sealAll(frame);
        }),
      );
    const hear = (flags: number) => life.pass(...left.map((frame) => controlBack(frame, flags)));
    // Every second one has answered, so that its entries stand in a group.
    say(ACK);
    life.pass(...left.filter((_, i) => i % 2).map((frame) => controlBack(frame, ACK)));
    say(ACK);
    // Far outside of the window; one that fits, twice; the other end's; the last acknowledgment.
    say(FIN | ACK, 0x01000000);
    life.look();
    say(FIN | ACK);
    life.look();
    say(FIN | ACK);
    hear(ACK);
    hear(FIN | ACK);
    life.look();
    say(ACK, 2);
  });
  expect(fast).toBeGreaterThan(24 * 6);
});

it.each<[string, (life: Life) => void]>([
  ['a destination is taken away', (life) => life.destinations()[3]?.remove()],
  [
    'destinations get no new connections any more',
    (life) => {
      for (const one of life.destinations().slice(0, 20)) one.weightNow = 0;
    },
  ],
  [
    'no destination gets any',
    (life) => {
      for (const one of life.destinations()) one.weightNow = 0;
    },
  ],
  ['the table is full', (life) => life.mesh.namespace('node1/host').set('connectionsMax', WARM + 45)],
  ['the sandbox’s table is full', (life) => life.mesh.namespace('node1/ingress_sbox').set('connectionsMax', WARM + 5)],
  [
    'a rule drops them',
    (life) =>
      life.mesh.namespace('node1/host').iptables.insert('filter', 'FORWARD', { protocol: 'tcp', target: 'DROP' }),
  ],
  [
    'a rule asks for the sender',
    (life) =>
      life.mesh
        .namespace('node1/host')
        .iptables.insert('filter', 'FORWARD', { source: '198.18.7.0/24', protocol: 'tcp', target: 'DROP' }),
  ],
  [
    'a rule asks for the sender’s port',
    (life) =>
      life.mesh
        .namespace('node1/host')
        .iptables.insert('filter', 'FORWARD', { protocol: 'tcp', sport: 3003, target: 'DROP' }),
  ],
  [
    'a device is down',
    (life) => Object.assign(life.mesh.namespace('node1/ingress_sbox').device('eth0'), { up: false }),
  ],
  [
    'connections leave by one port',
    (life) =>
      life.mesh
        .namespace('node1/ingress_sbox')
        .iptables.insert('nat', 'POSTROUTING', { protocol: 'tcp', target: 'SNAT', address: '10.0.0.2', port: 3000 }),
  ],
  ['captures have comments', (life) => life.mesh.engine.exports.setTracing(1)],
  ['time has passed', (life) => life.wait(200)],
  [
    'the old ones are over, but for the sweep',
    (life) => {
      life.quietUnswept(120.2);
      life.mesh.learn();
    },
  ],
  [
    'a neighbour is gone',
    (life) => {
      const { neighbours } = life.mesh.namespace('node1/ingress_sbox');
      if (neighbours[5]) life.mesh.namespace('node1/ingress_sbox').removeNeighbour(neighbours[5]);
    },
  ],
])('sees at once that %s', async (_, change) => {
  await twice((life) => {
    warm(life);
    life.pass(...ports(3000, 20).map((port) => life.syn(port)));
    change(life);
    for (const source of [CLIENT, '198.18.7.9'])
      life.pass(...ports(3000, 60).map((port) => life.syn(port, source)), life.syn(2001), life.datagram(2001));
    life.look();
    life.wait(200);
    life.pass(...ports(3000, 60).map((port) => life.syn(port)));
  });
});

it('searches for a port where two clients have the same', async () => {
  const { seen, fast } = await twice((life) => {
    warm(life);
    for (let host = 1; host < 80; host++)
      life.pass(life.syn(4000, `198.18.1.${host}`), life.syn(4001, `198.18.1.${host}`));
  });
  expect(Number(seen.at(-1)?.split(' ')[1])).toBeGreaterThan(50);
  expect(fast).toBeGreaterThan(40);
});

it('reopens what is in TIME_WAIT, and leaves alone what is open', async () => {
  await twice((life) => {
    warm(life);
    const left = life.pass(life.syn(3000), life.syn(3001));
    life.pass(...left.map((frame) => controlBack(frame, SYN | ACK)));
    const say = (flags: number) => life.pass(control(life.flow(3000), life.mesh.macs, flags));
    const hear = (flags: number) => life.pass(...left.slice(0, 1).map((frame) => controlBack(frame, flags)));
    say(ACK);
    say(FIN | ACK);
    hear(FIN | ACK);
    say(ACK);
    life.pass(life.syn(3000), life.syn(3001), life.syn(3000), life.syn(3002));
  });
});

it('takes no tunnel that somebody else has begun from the other end for its own', async () => {
  await twice((life) => {
    const some = ports(3000, 6).map((port) => life.syn(port));
    warm(life);
    const left = life.pass(...some);
    // All of it is over. The next six go to the same tasks, by tunnels with the same ports.
    life.quiet(130);
    life.pass(...ports(2500, 64 - WARM - 6).map((port) => life.syn(port)));
    warm(life);
    const strays = left.map((frame) => {
      const stray = answerTo(frame, 60, SYN | ACK).slice(0, 62);
      put16(stray, 16, 48);
      stray.set([0x12, 0xb5, ...frame.slice(34, 36), 0, 28], 34);
      return sealAll(stray);
    });
    life.pass(...strays);
    life.look();
    const again = life.pass(...some);
    expect(again.map((frame) => [...frame.slice(34, 36)])).toEqual(left.map((frame) => [...frame.slice(34, 36)]));
    life.pass(...again.map((frame) => controlBack(frame, SYN | ACK)));
  });
});

it('does not take an own address, a loopback’s or a group’s for a sender', async () => {
  await twice((life) => {
    warm(life);
    for (const source of [
      life.mesh.address,
      '172.18.0.1',
      '127.0.0.1',
      '224.0.0.1',
      '0.0.0.0',
      '255.255.255.255',
      '172.18.0.77',
    ])
      life.pass(life.syn(3000, source), life.syn(3001));
  });
});

it(
  'lives the same life, drawn',
  async () => {
    let fast = 0;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1 << 30 }), async (seed) => {
        fast += (await twice((life) => drawn(life, new Random(seed, 3)), seed % 2 === 0)).fast;
      }),
      lives(20, 7),
    );
    expect(fast).toBeGreaterThan(2000);
  },
  PATIENCE,
);

function drawn(life: Life, random: Random): void {
  const { mesh } = life;
  const host = mesh.namespace('node1/host');
  const sandbox = mesh.namespace('node1/ingress_sbox');
  const left: Uint8Array[] = [];
  const rules: { remove(): void }[] = [];
  const sources = ['198.18.0.1', '198.18.0.2', '198.18.7.9', '172.17.0.9', '172.18.0.9', '10.0.0.200', '172.18.0.1'];
  const oneFrame = (): Uint8Array => {
    const port = random.between(1000, random.pick([1030, 40_000]));
    const source = random.pick(sources.slice(0, random.pick([1, 2, 7])));
    const flow = life.flow(port, source, random.chance(0.7) ? 'tcp' : 'udp', random.chance(0.95) ? PUBLISHED : 81);
    if (flow.protocol === 'udp') return fromClient(flow, mesh.macs, random.pick([42, 64, 1400]), 0);
    if (random.chance(0.8)) return control(flow, mesh.macs, SYN);
    return control(flow, mesh.macs, random.pick([ACK, FIN | ACK, SYN | ACK, 4, SYN | FIN]));
  };
  const answer = (frame: Uint8Array): Uint8Array => {
    if (frame[73] === 17) return answerTo(frame, 64, 0);
    return controlBack(frame, random.pick([SYN | ACK, SYN | ACK, ACK, FIN | ACK, 4]));
  };
  for (let step = 0; step < 60; step++) {
    const sent = life.pass(...Array.from({ length: random.between(1, 40) }, oneFrame));
    left.push(...sent.filter((frame) => frame.length > 90));
    if (random.chance(0.5) && left.length > 0)
      life.pass(...Array.from({ length: random.between(1, 20) }, () => answer(random.pick(left))));
    if (random.chance(0.1)) life.wait(random.pick([0.001, 1, 31, 61, 121]));
    if (random.chance(0.75)) continue;
    switch (random.below(10)) {
      case 0:
        random.pick(life.destinations()).weightNow = random.pick([0, 1]);
        break;
      case 1:
        if (life.destinations().length > 10) random.pick(life.destinations()).remove();
        break;
      case 2:
      case 3: {
        const [table, chain] = random.pick([
          ['filter', 'FORWARD'],
          ['mangle', 'POSTROUTING'],
          ['nat', 'POSTROUTING'],
          ['nat', 'PREROUTING'],
        ] as const);
        rules.push(
          random.pick([host, sandbox]).iptables.insert(table, chain, {
            ...(random.chance(0.5) ? { source: `${random.pick(sources)}/${random.pick([16, 24, 32])}` } : {}),
            ...(random.chance(0.3) ? { protocol: 'tcp', sport: random.between(1000, 1030) } : {}),
            ...(random.chance(0.3) ? { states: [random.pick(['NEW', 'ESTABLISHED'] as const)] } : {}),
            target: table === 'nat' ? 'RETURN' : random.pick(['ACCEPT', 'DROP', 'RETURN'] as const),
          }),
        );
        break;
      }
      case 4:
        rules.pop()?.remove();
        break;
      case 5:
        random.pick([host, sandbox]).set('connectionsMax', random.pick([50, 200, 1 << 20, 1 << 20]));
        break;
      case 6:
        mesh.engine.exports.setHopDelay(random.pick([0, 1000, 1500]));
        break;
      case 7:
        random.pick([host.device('docker_gwbridge'), sandbox.device('eth0')]).mtu = random.pick([1500, 1450, 576]);
        break;
      case 8:
        mesh.learn();
        break;
      default: {
        const device = random.pick(mesh.engine.devices);
        if (device.path.startsWith('node1/')) device.up = !device.up || random.chance(0.5);
        break;
      }
    }
    if (random.chance(0.5))
      for (const device of mesh.engine.devices) if (device.path.startsWith('node1/')) device.up = true;
  }
  life.seen.push(digest(new TextEncoder().encode(life.seen.join('\n'))));
}
