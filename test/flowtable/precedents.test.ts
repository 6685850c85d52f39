/**
 * The first packets of established connections by what others' have met (precedents): the same frames, times, counters and
 * entries as by the slow way, whatever changes between two of them.
 */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ACK, answerTo, control, controlBack, FIN, fromClient, SYN } from '../../bench/frames.js';
import { Random } from '../../bench/fuzz/random.js';
import { forgetConnections } from '../../src/engine/connections.js';
import { lives, PATIENCE } from './lives.js';
import { CLIENT, type Life, ports, twice } from './meshed.js';
import { digest } from './seen.js';

const RST = 4;

/** What a client says on some ports, and what left because of it. */
class Talk {
  readonly left: Uint8Array[];
  constructor(
    readonly life: Life,
    readonly ports: number[],
    readonly source = CLIENT,
  ) {
    this.left = life.pass(...ports.map((port) => life.syn(port, source)));
  }
  /** The client's frames on these ports. */
  says(flags: number, data = 0): this {
    const { life, source } = this;
    life.pass(
      ...this.ports.map((port) =>
        data
          ? fromClient(life.flow(port, source), life.mesh.macs, data, flags)
          : control(life.flow(port, source), life.mesh.macs, flags),
      ),
    );
    return this;
  }
  /** The tasks' answers. */
  hears(flags: number, data = 0): this {
    this.life.pass(...this.left.map((frame) => (data ? answerTo(frame, data, flags) : controlBack(frame, flags))));
    return this;
  }
}
/** Connections that have gone all the way, to each of the 32 tasks. */
const taught = (life: Life, first = 2000) =>
  new Talk(life, ports(first, 40))
    .hears(SYN | ACK)
    .says(ACK)
    .hears(ACK)
    .says(FIN | ACK)
    .hears(FIN | ACK)
    .says(ACK);

it('lets whole short connections pass without the slow way', async () => {
  const { fast, followed } = await twice((life) => {
    taught(life);
    life.seen.length = 0;
    const before = life.fast;
    const talk = new Talk(life, ports(3000, 100));
    talk
      .hears(SYN | ACK)
      .says(ACK)
      .says(ACK, 100)
      .hears(ACK, 100)
      .says(FIN | ACK)
      .hears(FIN | ACK)
      .says(ACK);
    if (life.followed) expect(life.fast - before).toBe(800);
  });
  // Of each connection a packet of either direction; the others are its flows' packets, or the SYN.
  expect(followed).toBeGreaterThanOrEqual(200);
  expect(fast).toBeGreaterThanOrEqual(800);
});

it('makes a flow of whatever comes first', async () => {
  for (const first of [SYN | ACK, ACK, FIN | ACK]) {
    const { followed } = await twice((life) => {
      taught(life);
      const talk = new Talk(life, ports(3000, 50));
      talk.hears(SYN | ACK).says(ACK);
      // Every flow is of tables as they were.
      life.mesh.engine.exports.setHopDelay(1500);
      taught(life, 2100);
      const before = life.followed;
      talk.hears(first).says(first === ACK ? ACK : FIN | ACK);
      if (before) expect(life.followed - before).toBe(100);
    });
    expect(followed).toBeGreaterThan(200);
  }
});

it('knows a tunnel’s connection that is there from one that is new', async () => {
  const { followed } = await twice((life) => {
    taught(life);
    // Ports of the tunnel’s repeat from client to client, and do not.
    for (const source of ['198.18.0.2', '198.18.0.3', '198.18.9.1'])
      new Talk(life, ports(3000, 60), source)
        .hears(SYN | ACK)
        .says(ACK)
        .hears(ACK);
  });
  expect(followed).toBeGreaterThanOrEqual(360);
});

/** Clients on the node's own wire. */
const beside = (life: Life, ...addresses: string[]) => {
  const { mac } = life.mesh.namespace('client/host').device('eth0');
  for (const address of addresses) host(life).addNeighbour(life.mesh.nic, address, mac);
};
const host = (life: Life) => life.mesh.namespace('node1/host');
const sandbox = (life: Life) => life.mesh.namespace('node1/ingress_sbox');
const CHANGES: [string, (life: Life) => void][] = [
  ['a destination is taken away', (life) => life.destinations()[3]?.remove()],
  [
    'destinations get no new connections any more',
    (life) => {
      for (const one of life.destinations().slice(0, 20)) one.weightNow = 0;
    },
  ],
  ['the table is full for the tunnel’s', (life) => host(life).set('connectionsMax', 60)],
  [
    'a rule drops what is established',
    (life) =>
      host(life).iptables.insert('filter', 'FORWARD', { states: ['ESTABLISHED'], protocol: 'tcp', target: 'DROP' }),
  ],
  [
    'a rule drops what is not',
    (life) => host(life).iptables.insert('filter', 'FORWARD', { states: ['NEW'], protocol: 'tcp', target: 'DROP' }),
  ],
  [
    'a rule drops what goes to one client',
    (life) => host(life).iptables.insert('filter', 'FORWARD', { destination: '198.18.7.0/24', target: 'DROP' }),
  ],
  [
    'a rule drops what comes from one client',
    (life) => host(life).iptables.insert('filter', 'FORWARD', { source: '198.18.7.0/24', target: 'DROP' }),
  ],
  [
    'a rule drops what goes to one client’s port',
    (life) => sandbox(life).iptables.insert('filter', 'FORWARD', { protocol: 'tcp', dport: 3003, target: 'DROP' }),
  ],
  [
    'a rule counts what one client’s port sends',
    (life) => host(life).iptables.insert('mangle', 'PREROUTING', { protocol: 'tcp', sport: 3003, target: 'RETURN' }),
  ],
  [
    'a rule looks at a tunnel’s ports',
    (life) =>
      host(life).iptables.insert('mangle', 'PREROUTING', { protocol: 'udp', sport: '32768:40000', target: 'RETURN' }),
  ],
  [
    'a rule marks answers',
    (life) =>
      sandbox(life).iptables.insert('mangle', 'PREROUTING', { protocol: 'tcp', sport: 80, target: 'MARK', value: 9 }),
  ],
  ['a route leads elsewhere', (life) => host(life).addRoute('198.18.7.0/24', host(life).device('docker_gwbridge'))],
  ['a device is down', (life) => Object.assign(sandbox(life).device('eth0'), { up: false })],
  ['a device is smaller', (life) => Object.assign(sandbox(life).device('eth1'), { mtu: 576 })],
  ['captures have comments', (life) => life.mesh.engine.exports.setTracing(1)],
  ['a moment has passed', (life) => life.wait(5)],
  ['handshakes are over', (life) => life.wait(61)],
  [
    'the handshakes are over, but for the sweep',
    (life) => {
      life.quietUnswept(60.2);
      life.mesh.learn();
    },
  ],
  ['IPVS’s connections are over', (life) => life.wait(901)],
  ['days have passed', (life) => life.wait(432_001)],
  [
    'connections are deleted',
    (life) => {
      for (const node of [host(life), sandbox(life)])
        forgetConnections(node, (one) => one.original.sport % 3 === (node === host(life) ? 0 : 1));
    },
  ],
  [
    'a neighbour is gone',
    (life) => {
      const { neighbours } = sandbox(life);
      if (neighbours[5]) sandbox(life).removeNeighbour(neighbours[5]);
    },
  ],
  [
    'the next hop has another MAC',
    (life) => {
      const { nic } = life.mesh;
      host(life).addNeighbour(nic, '192.168.99.1', '02:00:00:00:fe:77');
    },
  ],
];

it.each(CHANGES)('sees at once that %s', async (_, change) => {
  await twice((life) => {
    taught(life);
    const talks = [CLIENT, '198.18.7.9'].map((source) => new Talk(life, ports(3000, 20), source));
    const later = [CLIENT, '198.18.7.9'].map((source) => new Talk(life, ports(3100, 10), source));
    for (const talk of later) talk.hears(SYN | ACK).says(ACK);
    change(life);
    for (const talk of talks)
      talk
        .hears(SYN | ACK)
        .says(ACK)
        .hears(ACK, 100)
        .says(ACK, 1000)
        .hears(FIN | ACK);
    for (const talk of later)
      talk
        .hears(ACK, 600)
        .says(FIN | ACK)
        .hears(FIN | ACK);
    life.look();
    taught(life, 2200);
    for (const talk of [...talks, ...later]) talk.hears(ACK).says(ACK);
    life.wait(200);
    new Talk(life, ports(3000, 20)).hears(SYN | ACK).says(ACK);
  });
});

it('asks conntrack about each segment that does not follow', async () => {
  await twice((life) => {
    taught(life);
    const talk = new Talk(life, ports(3000, 20));
    // Before any SYN-ACK; twice; of the wrong end; an RST; again.
    talk
      .hears(ACK)
      .hears(SYN | ACK)
      .hears(SYN | ACK)
      .says(SYN | ACK)
      .hears(FIN | ACK);
    new Talk(life, ports(3100, 20)).hears(RST | ACK).hears(SYN | ACK);
    new Talk(life, ports(3200, 20))
      .hears(SYN | ACK)
      .hears(RST)
      .hears(SYN | ACK)
      .says(ACK);
    const closed = new Talk(life, ports(3300, 20))
      .hears(SYN | ACK)
      .says(ACK)
      .says(FIN | ACK)
      .hears(FIN | ACK)
      .says(ACK);
    closed.hears(SYN | ACK).hears(ACK, 100);
    // The same ports once more.
    new Talk(life, ports(3300, 20))
      .hears(SYN | ACK)
      .says(ACK)
      .hears(ACK, 100);
    // A number out of any window, and a checksum that is wrong.
    const odd = new Talk(life, ports(3400, 4));
    const [one, two] = odd.left.map((frame) => controlBack(frame, SYN | ACK));
    if (!one || !two) throw new Error('nothing left');
    one[88] = 0x77;
    two[100] = (two[100] ?? 0) ^ 1;
    life.pass(one, two);
    odd
      .hears(SYN | ACK)
      .says(ACK)
      .hears(ACK);
  });
});

it('takes no answer for one of a connection that is not there', async () => {
  await twice((life) => {
    taught(life);
    const { left } = new Talk(life, ports(3000, 20));
    // Another task answers, another port, somebody else's address.
    for (const at of [79, 85, 87, 83]) {
      const strays = left.map((frame) => {
        const stray = frame.slice();
        stray[at] = ((stray[at] ?? 0) % 200) + 1;
        return stray;
      });
      for (const flags of [SYN | ACK, ACK, FIN | ACK]) life.pass(...strays.map((frame) => controlBack(frame, flags)));
    }
  });
});

it('finds its way to clients beside the node, and behind its gateway', async () => {
  const clients = ['192.168.99.77', '192.168.99.78', CLIENT, '192.168.99.77', '192.168.99.78', CLIENT, '172.18.0.77'];
  const { followed } = await twice((life) => {
    beside(life, '192.168.99.77', '192.168.99.78');
    taught(life);
    const before = life.followed;
    for (const [i, source] of clients.entries())
      new Talk(life, ports(3000 + 100 * i, 40), source)
        .hears(SYN | ACK)
        .says(ACK)
        .hears(ACK)
        .says(FIN | ACK)
        .hears(FIN | ACK);
    // Whoever is on the node's own wire has a MAC of his own: answers to him are no example for others'.
    if (life.followed) expect(life.followed - before).toBeGreaterThanOrEqual(6 * 40 + 4 * 40 + 2 * 8);
  });
  expect(followed).toBeGreaterThan(400);
});

it('knows clients beside the node by their MACs', async () => {
  const clients = ['192.168.99.77', '192.168.99.78', '192.168.99.77', '192.168.99.78'];
  await twice((life) => {
    for (const [i, address] of clients.slice(2).entries())
      host(life).addNeighbour(life.mesh.nic, address, `02:00:00:00:cc:0${i + 1}`);
    for (const [i, source] of clients.entries())
      new Talk(life, ports(3000 + 100 * i, 40), source)
        .hears(SYN | ACK)
        .says(ACK)
        .hears(ACK);
  });
});

it('tells a destination from the one that had its address before', async () => {
  await twice((life) => {
    taught(life);
    const talk = new Talk(life, ports(3000, 40));
    for (const { service, address } of life.destinations()) {
      service.destinations.find((one) => one.address === address)?.remove();
      service.add(address);
    }
    taught(life, 2100);
    life.look();
    talk
      .hears(SYN | ACK)
      .says(ACK)
      .hears(ACK)
      .says(FIN | ACK);
  });
});

it('shows taps on the way what they would have seen', async () => {
  const { followed } = await twice((life) => {
    taught(life);
    new Talk(life, ports(3000, 40))
      .hears(SYN | ACK)
      .says(ACK)
      .hears(ACK, 100)
      .says(FIN | ACK)
      .hears(FIN | ACK);
    new Talk(life, ports(3000, 40), '198.18.0.2').hears(SYN | ACK).says(ACK);
  }, true);
  expect(followed).toBeGreaterThanOrEqual(160);
});

it('forgets what nobody has asked for in a minute', async () => {
  await twice((life) => {
    taught(life);
    const count = life.mesh.engine.exports.precedents();
    expect(count > 32).toBe(life.fast > 0);
    for (let second = 0; second < 70; second++) life.wait(1);
    expect(life.mesh.engine.exports.precedents()).toBe(0);
  });
});

it(
  'lives the same life, drawn',
  async () => {
    let followed = 0;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1 << 30 }), async (seed) => {
        followed += (await twice((life) => drawn(life, new Random(seed, 5)), seed % 4 === 0)).followed;
      }),
      lives(20, 11),
    );
    expect(followed).toBeGreaterThan(500);
  },
  PATIENCE,
);

function drawn(life: Life, random: Random): void {
  const rules: { remove(): void }[] = [];
  const sources = ['198.18.0.1', '198.18.0.2', '198.18.7.9', '192.168.99.77'];
  const talks: Talk[] = [];
  beside(life, '192.168.99.77');
  taught(life);
  for (let step = 0; step < 50; step++) {
    const first = random.between(1, 60) * 1000;
    if (random.chance(0.4)) talks.push(new Talk(life, ports(first, random.between(1, 20)), random.pick(sources)));
    for (let turn = random.below(6); turn > 0 && talks.length > 0; turn--) {
      const talk = random.pick(talks);
      const flags = random.pick([SYN | ACK, SYN | ACK, ACK, ACK, ACK, FIN | ACK, RST]);
      const data = random.pick([0, 0, 100, 1300]);
      if (random.chance(0.6)) talk.hears(flags, flags === ACK ? data : 0);
      else talk.says(flags === (SYN | ACK) ? ACK : flags, flags === ACK ? data : 0);
    }
    if (random.chance(0.15)) life.wait(random.pick([0.001, 1, 31, 61, 121, 301, 901]));
    if (random.chance(0.8)) continue;
    const namespace = random.pick([host(life), sandbox(life)]);
    switch (random.below(6)) {
      case 0:
      case 1: {
        const end = random.pick(['source', 'destination'] as const);
        const port = random.pick(['sport', 'dport'] as const);
        const chain = random.pick(['PREROUTING', 'FORWARD', 'POSTROUTING', 'INPUT'] as const);
        rules.push(
          namespace.iptables.insert('mangle', chain, {
            ...(random.chance(0.6) ? { [end]: `${random.pick(sources)}/${random.pick([16, 24, 32])}` } : {}),
            ...(random.chance(0.4)
              ? { protocol: random.pick(['tcp', 'udp'] as const), [port]: random.between(1, 60) * 1000 + 3 }
              : {}),
            ...(random.chance(0.3) ? { states: [random.pick(['NEW', 'ESTABLISHED'] as const)] } : {}),
            target: random.pick(['ACCEPT', 'RETURN', 'RETURN', 'DROP'] as const),
          }),
        );
        break;
      }
      case 2:
        rules.pop()?.remove();
        break;
      case 3:
        if (life.destinations().length > 10) random.pick(life.destinations()).remove();
        break;
      case 4:
        namespace.set('connectionsMax', random.pick([100, 1 << 20, 1 << 20]));
        break;
      default:
        life.mesh.learn();
    }
  }
  life.seen.push(digest(new TextEncoder().encode(life.seen.join('\n'))));
}
