/** Encrypted overlays from a stack to the wire: what crosses it, what the rules drop, rotation while traffic runs. */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { layersOf } from '../../src/dissect/layers.js';
import { espOpener } from '../../src/replay/esp.js';
import { parseStackFile } from '../../src/stack-file/index.js';
import { KeyRing, ROTATION_INTERVAL } from '../../src/swarm/key-ring.js';
import { Swarm } from '../../src/swarm/swarm.js';
import { Draw } from '../../src/topology/draw.js';
import { concat, ethernet, IPV4, u32, udpPacket } from '../engine/packets.js';
import { expectConserved } from '../engine/watch.js';

const EXAMPLE = readFileSync(new URL('../../examples/encrypted.yml', import.meta.url), 'utf8');
const INGRESS_TOO =
  'services: { web: { image: nginx, ports: ["8080:80"], networks: [a, b], deploy: { replicas: 3 } } }';
const encrypted = (seed = 1) => Swarm.create(parseStackFile(EXAMPLE, { file: 'encrypted.yml' }).spec, { seed });

const nics = (swarm: Swarm) => swarm.engine.devices.filter(({ kind }) => kind === 'physical');
const onTheWire = (swarm: Swarm) =>
  nics(swarm)
    .flatMap(({ path }) => swarm.frames(path))
    .map(({ data }) => data);
const opener = ({ engine }: Swarm) => espOpener(engine.espKeys);
const inside = (frame: Uint8Array, open: ReturnType<typeof espOpener>) => {
  const opened = open(frame);
  return opened && layersOf(opened, { espOpened: true });
};
const vniOf = (frame: Uint8Array, open: ReturnType<typeof espOpener>) => {
  const vxlan = inside(frame, open)?.find(({ name }) => name === 'vxlan');
  const opened = open(frame);
  return vxlan && opened ? u32(opened, vxlan.start + 4) >>> 8 : undefined;
};

describe('a stack with an encrypted network', () => {
  it('has nothing of that network in clear on the wire, and all of the others', async () => {
    const swarm = await encrypted();
    swarm.tapEverything();
    for (const report of swarm.play()) expect(report).toMatchObject({ ok: true });
    const open = opener(swarm);
    const back = swarm.topology.networks.find(({ name }) => name === 'back');
    const esp = onTheWire(swarm).filter((frame) => frame[23] === 50);
    expect(esp.length).toBeGreaterThan(30);
    expect(new Set(esp.map((frame) => vniOf(frame, open)))).toEqual(new Set([back?.vni]));
    const clear = onTheWire(swarm).flatMap((frame) =>
      layersOf(frame).find(({ name }) => name === 'vxlan') ? [frame] : [],
    );
    const vnis = clear.map((frame) => u32(frame, 46) >>> 8);
    expect(clear.length).toBeGreaterThan(20);
    expect(vnis).not.toContain(back?.vni);
    expectConserved(swarm.engine);
  });

  it('has an MTU of 1424 inside, and 1450 beside it', async () => {
    const { topology } = await encrypted();
    const mtus = topology.networks.map(({ name, mtu }) => `${name} ${mtu}`);
    expect(mtus).toEqual(['bridge 1500', 'docker_gwbridge 1500', 'ingress 1450', 'front 1450', 'back 1424']);
  });

  it('draws other keys at another seed, and the same at the same', async () => {
    const keys = async (seed: number) => (await encrypted(seed)).topology.keys;
    expect(await keys(1)).toEqual(await keys(1));
    expect(await keys(2)).not.toEqual(await keys(1));
  });

  it('encrypts the ingress network, and networks that share nodes, by the same associations', async () => {
    const { spec } = parseStackFile(`${INGRESS_TOO}\nnetworks: { a: , b: }`, { file: 'stack.yml' });
    const options = { encrypted: '' };
    const swarm = await Swarm.create({
      ...spec,
      networks: [
        { name: 'mesh', driver: 'overlay', ingress: true, options },
        ...spec.networks.map((network) => ({ ...network, options })),
      ],
    });
    swarm.tapEverything();
    for (const report of swarm.play()) expect(report).toMatchObject({ ok: true });
    const open = opener(swarm);
    const frames = onTheWire(swarm);
    expect(frames.some((frame) => layersOf(frame).some(({ name }) => name === 'vxlan'))).toBe(false);
    const mesh = swarm.topology.networks.find(({ ingress }) => ingress);
    expect(mesh?.mtu).toBe(1424);
    const esp = frames.filter((frame) => frame[23] === 50);
    expect(esp.length).toBeGreaterThan(10);
    for (const frame of esp) expect(vniOf(frame, open)).toBe(mesh?.vni);
    // Three nodes, each with two peers: three keys to receive, one to send with.
    const counts = swarm.topology.nodes.map(({ name }) => swarm.namespace(`${name}/host`).xfrm.associations.length);
    expect(counts).toEqual([8, 8, 8]);
  });

  it('drops VXLAN of that network which comes in clear, and takes that of another', async () => {
    const swarm = await encrypted();
    const [back, front] = ['back', 'front'].map(
      (name) => swarm.topology.networks.find((one) => one.name === name)?.vni ?? 0,
    );
    const [node1, node2] = ['node1', 'node2'].map((name) => swarm.namespace(`${name}/host`).device('eth0'));
    if (!node1 || !node2) throw new Error('no such nodes');
    const send = (vni = 0) => {
      const header = Uint8Array.of(8, 0, 0, 0, vni >> 16, (vni >> 8) & 255, vni & 255, 0);
      const inner = ethernet('ff:ff:ff:ff:ff:ff', '02:42:0a:00:00:99', IPV4, new Uint8Array(40));
      const ends = { source: '192.168.99.110', destination: '192.168.99.111', sport: 40000, dport: 4789 };
      swarm.engine.receive(node2, ethernet(node2.mac, node1.mac, IPV4, udpPacket(ends, concat(header, inner))));
      swarm.engine.run(swarm.engine.now + 1_000_000);
      return swarm.engine.drops.filter(({ device }) => device.path.startsWith('node2')).map(({ reason }) => reason);
    };
    expect(send(back)).toEqual(['NETFILTER_DROP']);
    const rules = swarm.namespace('node2/host').iptables.chain('filter', 'INPUT').rules;
    expect(rules.map(({ spec, packets }) => `${spec.policy?.pol} ${spec.target} ${packets}`)).toEqual([
      'none DROP 1',
      'ipsec ACCEPT 0',
    ]);
    expect(send(front).filter((reason) => reason === 'NETFILTER_DROP')).toHaveLength(1);
    expect(rules[0]?.packets).toBe(1);
  });
});

describe('keys', () => {
  it('are three, and every rotation drops the oldest and makes a younger one', () => {
    for (let seed = 1; seed < 50; seed++) {
      const ring = new KeyRing(new Draw(seed));
      let before = [...ring.keys];
      for (let i = 0; i < 5; i++) {
        expect(before).toHaveLength(3);
        expect(before.every(({ key }) => /^[0-9a-f]{32}$/.test(key))).toBe(true);
        const after = [...ring.rotate()];
        expect(after.slice(0, 2)).toEqual(before.slice(1));
        expect(after[2]?.tag).toBeGreaterThan(before[2]?.tag ?? 0);
        before = after;
      }
    }
  });

  it('are rotated under running traffic without a packet lost, and what is captured opens with the keys of its time', async () => {
    const swarm = await encrypted();
    swarm.tap('node1/host/eth0');
    const { engine, sockets } = swarm;
    const [from, to] = ['node2/task-web.1', 'node1/task-store.1'].map((name) => swarm.namespace(name));
    const address = to?.devices.get('eth0')?.addresses[0]?.address ?? '';
    const answered = new Set<number>();
    const identifier = sockets.openPing(({ sequence }) => answered.add(sequence));
    const every = 2_000_000;
    const pings = 400;
    for (let i = 0; i < pings; i++)
      if (from) sockets.ping(from, address, { identifier, sequence: i, size: 56, time: engine.now + i * every });
    const end = engine.now + pings * every;
    for (const share of [0.1, 0.4, 0.7]) engine.at(end * share, () => swarm.rotateKeys());
    engine.run(end + 1e9, sockets.handle);
    expect(answered.size).toBe(pings);
    const open = opener(swarm);
    const esp = onTheWire(swarm).filter((frame) => frame[23] === 50);
    expect(esp.length).toBe(2 * pings);
    expect(esp.every((frame) => open(frame) !== undefined)).toBe(true);
    expect(new Set(esp.map((frame) => u32(frame, 34))).size).toBe(8);
    for (const { name } of swarm.topology.nodes) {
      const { statistics } = swarm.namespace(`${name}/host`).xfrm;
      expect([...statistics.values()].every((count) => count === 0)).toBe(true);
    }
    expectConserved(engine);
  });

  it('are rotated every twelve hours of virtual time', async () => {
    const swarm = await encrypted();
    const tags = () => swarm.topology.keys?.map(({ tag }) => tag) ?? [];
    const first = tags();
    swarm.engine.run(ROTATION_INTERVAL - 1);
    expect(tags()).toEqual(first);
    swarm.engine.run(ROTATION_INTERVAL);
    expect(tags().slice(0, 2)).toEqual(first.slice(1));
    swarm.engine.run(3 * ROTATION_INTERVAL + 1e9);
    expect(tags().some((tag) => first.includes(tag))).toBe(false);
    const { xfrm } = swarm.namespace('node1/host');
    expect(xfrm.associations).toHaveLength(8);
  });

  it('cannot be rotated where nothing is encrypted', async () => {
    const { spec } = parseStackFile('services: { web: { image: nginx } }', { file: 'stack.yml' });
    const swarm = await Swarm.create(spec);
    expect(() => swarm.rotateKeys()).toThrow('no network of this swarm is encrypted');
    expect(swarm.topology.keys).toBeUndefined();
  });
});
