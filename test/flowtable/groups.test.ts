/** Entries that move as one: whatever happens to one of them alone finds it, and leaves the others, as if each had moved by itself. */

import { expect, it } from 'vitest';
import { ACK, answerTo, control, controlBack, FIN, fromClient, SYN } from '../../bench/frames.js';
import { get32, put32, sealAll } from '../../bench/headers.js';
import { BalancedConnection } from '../../src/engine/generated/layout.js';
import { type Life, ports, twice } from './meshed.js';

const FLOWS = ports(3000, 12);
const PACKETS = 5;

/** Connections that are up; what answers them. */
function establish(life: Life): Uint8Array[] {
  const { macs } = life.mesh;
  const left = life.pass(...FLOWS.map((port) => life.syn(port)));
  life.pass(...left.map((frame) => controlBack(frame, SYN | ACK)));
  life.pass(...FLOWS.map((port) => control(life.flow(port), macs, ACK)));
  return left;
}
/** Packets of both ends, a second apart; of every third connection those of one end alone. */
function speak(life: Life, left: Uint8Array[], turns = PACKETS): void {
  for (let turn = 0; turn < turns; turn++) {
    life.pass(...FLOWS.map((port) => fromClient(life.flow(port), life.mesh.macs, 54 + turn, ACK)));
    life.quiet(1);
    life.pass(...left.filter((_, i) => i % 3 > 0).map((frame) => answerTo(frame, 54, ACK)));
    life.quiet(1);
  }
}
const host = (life: Life) => life.mesh.namespace('node1/host');
const sandbox = (life: Life) => life.mesh.namespace('node1/ingress_sbox');

it.each<[string, (life: Life, left: Uint8Array[]) => void]>([
  ['nothing happens', () => {}],
  [
    'the node forgets its entries',
    (life) => host(life).forgetConnectionsOf(sandbox(life).device('eth1').address ?? ''),
  ],
  [
    'the sandbox forgets those to some tasks',
    (life) => {
      for (const { address } of life.mesh.tasks.slice(0, 20)) sandbox(life).forgetConnectionsOf(address);
    },
  ],
  ['the sandbox forgets all', (life) => sandbox(life).forgetConnectionsOf(sandbox(life).device('eth0').address ?? '')],
  [
    'the service goes',
    (life) => {
      const [service] = sandbox(life).ipvs.services;
      if (service) sandbox(life).ipvs.remove(service);
    },
  ],
  [
    'destinations go, and their connections with them',
    (life) => {
      sandbox(life).set('ipvsExpireNodest', 1);
      for (const one of life.destinations().slice(0, 25)) one.remove();
    },
  ],
  ['the node forgets its tunnels', (life) => void host(life).forgetDatagramsTo(4789)],
  [
    'a rule is added, and their flows are swept',
    (life) => {
      host(life).iptables.insert('filter', 'OUTPUT', { protocol: 'icmp', target: 'ACCEPT' });
      life.quiet(1.5);
    },
  ],
  ['somebody looks at IPVS’s connections alone', balancedAlone],
  // What they said last they said one and two seconds before.
  ['the tunnels of one end are over, but for the sweep', (life) => life.quietUnswept(28.3)],
  ['the tunnels of the other end are', (life) => life.quietUnswept(29.3)],
  ['they are quiet for 285 seconds', (life) => life.wait(285)],
  ['they are quiet for 295 seconds', (life) => life.wait(295)],
  ['they are quiet for 305 seconds', (life) => life.wait(305)],
  ['they are quiet for 905 seconds', (life) => life.wait(905)],
  [
    'some say the same over and over',
    (life) => {
      for (let i = 0; i < 5; i++)
        life.pass(...FLOWS.slice(0, 6).map((port) => control(life.flow(port), life.mesh.macs, ACK)));
      life.wait(302);
    },
  ],
  [
    'some begin to end',
    (life, left) => {
      life.pass(...FLOWS.slice(0, 6).map((port) => control(life.flow(port), life.mesh.macs, FIN | ACK)));
      life.pass(...left.slice(3, 9).map((frame) => controlBack(frame, FIN | ACK)));
    },
  ],
  ['a segment of some is refused', (life) => life.pass(...FLOWS.slice(0, 6).map((port) => reset(life, port)))],
])('when %s', async (_, happens) => {
  const { fast } = await twice((life) => {
    const left = establish(life);
    speak(life, left);
    happens(life, left);
    life.look();
    speak(life, left);
    happens(life, left);
    // This time nobody looks at the tables before the next packets come.
    speak(life, left, 1);
    life.wait(400);
    speak(life, left, 1);
  });
  expect(fast).toBeGreaterThan(60);
});

it('knows no task any more that has been silent for five minutes, before any sweep says so', async () => {
  const { fast } = await twice((life) => {
    establish(life);
    const say = () => life.pass(...FLOWS.map((port) => fromClient(life.flow(port), life.mesh.macs, 60, ACK)));
    // What switches know is from the beginning; tunnels are over after half a minute.
    while (life.mesh.engine.now < 299e9) {
      say();
      say();
      life.quiet(Math.min(25, 299.4 - life.mesh.engine.now / 1e9));
    }
    for (let i = 0; i < 8; i++) {
      say();
      life.quiet(0.1);
    }
  });
  expect(fast).toBeGreaterThan(100);
});

it('asks each namespace for its own windows where they differ', async () => {
  const { fast } = await twice((life) => {
    const left = establish(life);
    speak(life, left);
    // The node's entries are made anew of whatever comes next, and know nothing of what was said before.
    host(life).forgetConnectionsOf(sandbox(life).device('eth1').address ?? '');
    speak(life, left, 2);
    for (const offset of [1, 1000, 66_000, 130_000, -1, -66_000, 0x7000_0000])
      for (const flags of [ACK, FIN | ACK]) {
        const said = FLOWS.map((port, i) =>
          shifted(fromClient(life.flow(port), life.mesh.macs, 70, flags), L4, i & 1 ? 8 : 4, offset),
        );
        const answered = left.map((frame, i) => shifted(answerTo(frame, 70, flags), INNER + L4, i & 1 ? 8 : 4, offset));
        life.pass(...said, ...answered);
        speak(life, left, 1);
      }
  });
  expect(fast).toBeGreaterThan(60);
});

const L4 = 34;
const INNER = 50;
/** With another number `at` so many bytes into its TCP header. */
function shifted(frame: Uint8Array, l4: number, at: number, by: number): Uint8Array {
  put32(frame, l4 + at, (get32(frame, l4 + at) + by) >>> 0);
  return sealAll(frame);
}

function balancedAlone({ mesh: { engine }, seen }: Life): void {
  const { exports, memory } = engine;
  const slots = Array.from({ length: exports.balancedSlots() }, (_, i) => exports.balancedAt(i) >>> 0);
  seen.push(...slots.flatMap((at) => (at ? [`until ${memory.get(at, BalancedConnection.deadline)}`] : [])).sort());
}

/** An RST whose number is in the window, and not the next. */
function reset(life: Life, port: number): Uint8Array {
  return control(life.flow(port), life.mesh.macs, 4);
}
