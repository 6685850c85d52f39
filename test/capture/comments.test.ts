/** The words that a packet comment has for what hops changed, each got from a frame that an engine really changed. */

import { describe, expect, test } from 'vitest';
import { Comments } from '../../src/capture/comments.js';
import { Recording } from '../../src/capture/recording.js';
import { captureRecords, type TraceNote } from '../../src/capture/trace.js';
import { Note, NoteFamily } from '../../src/engine/generated/layout.js';
import { ipv4, port } from '../../src/engine/wire.js';
import { numberOf } from '../../src/engine/wire6.js';
import { arpPacket, BROADCAST, ethernet, IPV4, tcpPacket, udpPacket } from '../engine/packets.js';
import { ALICE, BOB, LEFT, RIGHT, routerWorld, type World } from '../engine/world.js';

/** Comments in the order of the frames, each with the tap where it stands. */
function commented(world: World): () => string[] {
  const seen: string[] = [];
  const comments = new Comments(world.engine);
  const { taps } = world.engine;
  world.engine.onCapture = (records) => {
    for (const { block, notes } of captureRecords(records)) {
      const text = comments.text(notes, taps[block.interface]);
      if (text !== undefined) seen.push(`${taps[block.interface]?.name} | ${text}`);
    }
  };
  return () => {
    world.engine.drain();
    return seen.splice(0);
  };
}

const REQUEST = { source: ALICE, destination: LEFT, sport: 40000, dport: 1080 };

describe('a comment', () => {
  test('names the rule of a DNAT, shows TTL, and names the rule again for the reply', async () => {
    const world = await routerWorld({ comments: true });
    const comments = commented(world);
    const { iptables } = world.router;
    iptables.append('nat', 'PREROUTING', { target: 'JUMP', chain: 'DOCKER-INGRESS' });
    iptables.append('nat', 'DOCKER-INGRESS', { protocol: 'udp', dport: 1080, target: 'DNAT', address: BOB, port: 80 });

    world.fromAlice(udpPacket(REQUEST));
    expect(comments()).toEqual(['right | nat DOCKER-INGRESS: DNAT 10.0.1.1:1080 → 10.0.2.2:80; forward: TTL 64 → 63']);

    world.fromBob(udpPacket({ source: BOB, destination: ALICE, sport: 80, dport: 40000 }));
    expect(comments()).toEqual([
      'left | forward: TTL 64 → 63; conntrack: un-DNAT 10.0.2.2:80 → 10.0.1.1:1080 (nat DOCKER-INGRESS)',
    ]);
  });

  test('tells MASQUERADE from SNAT, on the way and back', async () => {
    const world = await routerWorld({ comments: true });
    const comments = commented(world);
    world.router.iptables.append('nat', 'POSTROUTING', { out: world.right, target: 'MASQUERADE' });
    world.fromAlice(udpPacket({ source: ALICE, destination: BOB, sport: 40000, dport: 53 }));
    expect(comments()).toEqual([
      'right | forward: TTL 64 → 63; nat POSTROUTING: MASQUERADE 10.0.1.2:40000 → 10.0.2.1:40000',
    ]);
    world.fromBob(udpPacket({ source: BOB, destination: RIGHT, sport: 53, dport: 40000 }));
    expect(comments()).toEqual([
      'left | conntrack: un-MASQUERADE 10.0.2.1:40000 → 10.0.1.2:40000 (nat POSTROUTING); forward: TTL 64 → 63',
    ]);
  });

  test('shows a redirected port alone when the address stays', async () => {
    const world = await routerWorld({ comments: true });
    const comments = commented(world);
    world.router.iptables.append('nat', 'PREROUTING', { protocol: 'tcp', dport: 1080, target: 'REDIRECT', port: 80 });
    // Nobody listens on port 80: the reset that comes back is the reply.
    world.fromAlice(tcpPacket(REQUEST, { flags: 'S' }));
    expect(comments()).toEqual(['left | conntrack: un-REDIRECT 10.0.1.1:80 → 10.0.1.1:1080 (nat PREROUTING)']);
    const note = {
      kind: Note.DNAT,
      before: ipv4(LEFT),
      after: ipv4(LEFT),
      beforePort: port(1080),
      afterPort: port(80),
    };
    const [rule] = world.router.iptables.chain('nat', 'PREROUTING').rules;
    const { words } = new Comments(world.engine).change({ ...note, reference: rule?.id ?? 0, device: 0 });
    expect(words).toBe('nat PREROUTING: REDIRECT 10.0.1.1:1080 → :80');
  });

  test('shows the mark, the balanced destination and the way back', async () => {
    const world = await routerWorld({ comments: true });
    const comments = commented(world);
    const { router } = world;
    router.iptables.append('mangle', 'PREROUTING', { protocol: 'udp', dport: 1080, target: 'MARK', value: 256 });
    router.iptables.append('nat', 'POSTROUTING', { out: world.right, target: 'SNAT', address: RIGHT });
    router.set('ipvsConntrack', 1);
    router.ipvs.add({ mark: 256 }).add(BOB);

    world.fromAlice(udpPacket(REQUEST));
    expect(comments()).toEqual([
      [
        'right | mangle PREROUTING: MARK 0x0 → 0x100',
        'ipvs FWM 256 rr: 10.0.1.1:1080 → 10.0.2.2:1080 (Masq)',
        'nat POSTROUTING: SNAT 10.0.1.2:40000 → 10.0.2.1:40000',
      ].join('; '),
    ]);

    world.fromBob(udpPacket({ source: BOB, destination: RIGHT, sport: 1080, dport: 40000 }));
    const [reply] = comments();
    expect(reply).toContain('conntrack: un-SNAT 10.0.2.1:40000 → 10.0.1.2:40000 (nat POSTROUTING)');
    expect(reply).toContain('ipvs FWM 256 rr: reply 10.0.2.2:1080 → 10.0.1.1:1080');
  });

  test('names a service by its address where it has one', async () => {
    const world = await routerWorld({ comments: true });
    const comments = commented(world);
    world.router.ipvs.add({ protocol: 'udp', address: LEFT, port: 1080 }).add(BOB, { port: 80 });
    world.fromAlice(udpPacket(REQUEST));
    expect(comments()).toEqual(['right | ipvs UDP 10.0.1.1:1080 rr: 10.0.1.1:1080 → 10.0.2.2:80 (Masq)']);
  });

  test('follows a frame into a tunnel and out of it, and tells who answered its ARP', async () => {
    const world = await routerWorld({ comments: true });
    const { engine, router } = world;
    const overlay = engine.namespace('node/ov-net1');
    const mac = '02:42:0a:00:00:01';
    const vxlan = overlay.addVxlan('vxlan0', { mac, mtu: 1450, vni: 4096, port: 4789, underlay: router });
    const remote = '02:42:0a:00:00:05';
    overlay.addNeighbour(vxlan, '10.0.0.5', remote);
    overlay.addVxlanFdb(vxlan, remote, BOB);
    const inside = udpPacket({ source: '10.0.0.2', destination: '10.0.0.5', sport: 1, dport: 2 });
    vxlan.tap();
    const comments = commented(world);

    engine.transmit(vxlan, ethernet(remote, mac, IPV4, inside));
    engine.run(engine.now + 1_000_000);
    expect(comments()).toEqual(['right | vxlan0: encapsulated, VNI 4096, to 10.0.2.2']);

    const back = ethernet(
      mac,
      remote,
      IPV4,
      udpPacket({ source: '10.0.0.5', destination: '10.0.0.2', sport: 2, dport: 1 }),
    );
    const header = Uint8Array.of(8, 0, 0, 0, 0, 0x10, 0, 0);
    world.fromBob(
      udpPacket({ source: BOB, destination: RIGHT, sport: 40000, dport: 4789 }, Uint8Array.of(...header, ...back)),
    );
    expect(comments()).toEqual(['vxlan0 | vxlan0: decapsulated, VNI 4096, from 10.0.2.2']);

    const question = arpPacket('request', { mac, address: '10.0.0.2' }, { address: '10.0.0.5' });
    engine.transmit(vxlan, ethernet(BROADCAST, mac, 0x0806, question));
    engine.run(engine.now + 1_000_000);
    expect(comments()).toEqual(['vxlan0 | vxlan0: ARP answered for 10.0.0.5 from the neighbour table']);
  });

  test('tells where a tag went on and came off', async () => {
    const world = await routerWorld({ comments: true });
    const { engine, right, router } = world;
    const vlan = router.addVlan('right.50', { lower: right, id: 50 });
    vlan.tap();
    const comments = commented(world);
    const bare = ethernet(
      BROADCAST,
      vlan.mac,
      0x0806,
      arpPacket('request', { mac: vlan.mac, address: RIGHT }, { address: BOB }),
    );
    engine.transmit(vlan, bare);
    engine.run(engine.now + 1_000_000);
    expect(comments()).toEqual(['right | right.50: tagged, VLAN 50']);
    engine.receive(right, Uint8Array.from([...bare.subarray(0, 12), 0x81, 0, 0, 50, ...bare.subarray(12)]));
    engine.run(engine.now + 1_000_000);
    expect(comments()).toEqual(['right.50 | right.50: tag taken off, VLAN 50']);
  });

  test('says in which namespace a change was when no device there has a tap', async () => {
    const world = await routerWorld({ comments: true });
    const records: Uint8Array[] = [];
    world.engine.onCapture = (bytes) => records.push(bytes);
    world.router.iptables.append('nat', 'PREROUTING', { target: 'DNAT', address: BOB });
    world.fromAlice(udpPacket(REQUEST));
    const notes = records.flatMap((bytes) => [...captureRecords(bytes)]).flatMap((record) => record.notes);
    const comments = new Comments(world.engine);
    expect(comments.text(notes, world.engine.namespace('node/elsewhere').device('lo'))).toBe(
      'node/router: nat PREROUTING: DNAT 10.0.1.1:1080 → 10.0.2.2:1080; node/router: forward: TTL 64 → 63',
    );
  });

  test('is not there on a frame that nothing changed, nor without tracing', async () => {
    const quiet = await routerWorld({ comments: false });
    const none = commented(quiet);
    quiet.fromAlice(udpPacket({ source: ALICE, destination: BOB, sport: 1, dport: 2 }));
    expect(none()).toEqual([]);

    const world = await routerWorld({ comments: true });
    const comments = commented(world);
    world.fromAlice(udpPacket({ source: ALICE, destination: BOB, sport: 1, dport: 2 }));
    // Two frames were captured, and only the one that left had been changed.
    expect(comments()).toEqual(['right | forward: TTL 64 → 63']);
  });

  test('still has words when what did it is gone, or when no rule did it', async () => {
    const { engine } = await routerWorld();
    const comments = new Comments(engine);
    const changed: TraceNote = {
      kind: Note.SNAT,
      reference: 0,
      before: ipv4(ALICE),
      after: ipv4(ALICE),
      beforePort: port(4000),
      afterPort: port(1024),
      device: 0,
    };
    const words = (kind: number) => comments.change({ ...changed, kind }).words;
    expect(words(Note.SNAT)).toBe('nat, no rule: its tuple was taken: SNAT 10.0.1.2:4000 → 10.0.1.2:1024');
    expect(words(Note.UN_SNAT)).toContain('conntrack: un-SNAT');
    expect(words(Note.IPVS)).toBe('ipvs a removed service: 10.0.1.2:4000 → 10.0.1.2:1024 (Masq)');
    const six = (address: string) => numberOf(engine.exports, address);
    const translated = { ...changed, before: six('2001:db8::1'), after: six('fd00::2'), afterPort: port(80) };
    expect(comments.change({ ...translated, kind: Note.DNAT | NoteFamily.V6 }).words).toBe(
      'nat, no rule: its tuple was taken: DNAT [2001:db8::1]:4000 → [fd00::2]:80',
    );
    for (const kind of Object.values(Note)) if (kind !== Note.NONE) expect(words(kind)).not.toMatch(/undefined|NaN/);
    expect(() => words(99)).toThrow('unknown kind 99');
  });
});

test('whoever listened to captures before a recording goes on listening, and does after it', async () => {
  const world = await routerWorld({ comments: true });
  let heard = 0;
  world.engine.onCapture = () => heard++;
  const recording = new Recording(world.engine, { write: () => {} });
  world.fromAlice(udpPacket({ source: ALICE, destination: BOB, sport: 1, dport: 2 }));
  recording.finish();
  expect([heard, recording.frames]).toEqual([1, 2]);
  world.fromAlice(udpPacket({ source: ALICE, destination: BOB, sport: 1, dport: 2 }));
  expect([heard, recording.frames]).toEqual([2, 2]);
});

test('an unknown block from the engine is an error, not a frame', () => {
  const block = new Uint8Array(12);
  new DataView(block.buffer).setUint32(0, 7, true);
  new DataView(block.buffer).setUint32(4, 12, true);
  expect(() => [...captureRecords(block)]).toThrow('unknown type 7');
});
