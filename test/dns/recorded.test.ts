/**
 * Every query that the oracle's containers asked their embedded server, asked again: our answer's frame on lo has the same
 * bytes, but for its IP id, the order of shuffled records, and the UDP checksum, which the kernel leaves partial on lo.
 */

import { expect, test } from 'vitest';
import { type Captured, capturedFrames } from '../../src/capture/captured.js';
import { Names } from '../../src/dns/index.js';
import { readResponse } from '../../src/dns/message.js';
import { Engine, Sockets } from '../../src/engine/index.js';
import type { Inputs } from '../../src/replay/inputs.js';
import { namespaceName, topologyOf, waitingFor } from '../../src/replay/topology.js';
import { programResolver } from '../../src/swarm/mesh.js';
import { realize } from '../../src/swarm/realize.js';
import type { Topology } from '../../src/topology/topology.js';
import { recordedFrames } from '../engine/oracle.js';
import { u16 } from '../engine/packets.js';
import { filesOf, recorded } from '../replay/recorded.js';

const UDP = 17;
const SECOND = 1_000_000_000;

/** scenario, container's namespace, and how many queries it asked */
const CAPTURES: [string, string, number][] = [
  ['S2-user-bridge', 'node1.ct-alpine1', 15],
  ['S2-user-bridge', 'node1.ct-alpine4', 6],
  ['S4-overlay-ping', 'node1.task-box.2', 4],
  ['S4b-overlay-tcp', 'node1.task-box.2', 4],
  ['S5-overlay-vip', 'node1.ct-cli', 26],
  ['S5-overlay-vip', 'node1.task-web.2', 6],
  ['S9-encrypted-overlay', 'node1.ct-c1', 2],
  ['S10-macvlan-ipvlan', 'node1.ct-mv1', 2],
  ['S10-macvlan-ipvlan', 'node2.ct-iv2', 2],
  ['S12-ipv6-bridge', 'node1.ct-a6', 5],
];

/** DNS frames of a lo capture, each once although some captures have them going out and coming in. */
function dnsFrames(scenario: string, namespace: string): Uint8Array[] {
  const frames = recordedFrames(`${scenario}/${namespace}.lo`);
  const seen = new Set<string>();
  return frames.filter((frame) => {
    const key = frame.join();
    if (frame[23] !== UDP || seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

const isAnswer = (frame: Uint8Array) => u16(frame, 34) === 53;
const payload = (frame: Uint8Array) => frame.subarray(42, 14 + u16(frame, 16));

/** A frame without what is drawn: IP id and header checksum, UDP checksum; shuffled records in one order. */
function withoutDrawn(frame: Uint8Array): { header: number[]; message: string } {
  const header = [...frame.subarray(0, 42)];
  for (const at of [18, 19, 24, 25, 40, 41]) header[at] = 0;
  const message = payload(frame);
  const answers = readResponse(message)?.answers ?? [];
  if (answers.length < 2) return { header, message: message.join() };
  const ends = message.length;
  const size = 14 + 2 + (answers[0]?.name.length ?? 0);
  const first = ends - size * answers.length;
  const records = answers.map((_, i) => message.subarray(first + i * size, first + (i + 1) * size).join());
  return { header, message: [message.subarray(0, first).join(), ...records.sort()].join('|') };
}

/** Devices of macvlan and ipvlan have no other end, and ipvlan's no MAC; the topology that names are read from asks for them. */
function withPeers(inputs: Inputs): Inputs {
  const copy = structuredClone(inputs);
  for (const [namespace, devices] of Object.entries(copy.devices))
    for (const device of devices) device.peer ??= `${namespace}/${device.name}`;
  for (const { networks } of copy.containers)
    for (const endpoint of Object.values(networks)) endpoint.mac ??= '02:42:00:00:00:01';
  return copy;
}

async function world(inputs: Inputs) {
  const engine = await Engine.create({ epoch: 0n });
  const records: Uint8Array[] = [];
  engine.onCapture = (bytes) => records.push(bytes);
  const sockets = new Sockets(engine);
  let topology: Topology;
  if (waitingFor(inputs).length === 0) {
    topology = topologyOf(inputs);
    realize(engine, topology);
  } else {
    // Not every driver can be built: its sandboxes have their resolver alone.
    topology = topologyOf(withPeers(inputs));
    for (const { node, name, resolver } of topology.sandboxes)
      if (resolver) programResolver(engine.namespace(`${node}/${name}`), resolver);
    for (const { name } of topology.nodes) engine.namespace(`${name}/host`);
  }
  new Names({ topology, namespaces: engine.namespaces }, sockets, 1);
  const framesAt = (tap: string): Captured[] =>
    capturedFrames(
      engine.taps.map(({ path }) => path),
      records,
    ).filter((frame) => frame.tap === tap);
  return { engine, sockets, framesAt };
}

test.each(CAPTURES)('%s: %s asks its %i queries and gets what the real one got', async (scenario, name, asked) => {
  const { inputs } = recorded(scenario);
  const { engine, sockets, framesAt } = await world(inputs);
  const namespace = engine.namespaces.get(namespaceName(name));
  if (!namespace) throw new Error(`no namespace ${name}`);
  namespace.device('lo').tap();
  const real = dnsFrames(scenario, name);
  const queries = real.filter((frame) => !isAnswer(frame));
  expect(queries).toHaveLength(asked);
  for (const query of queries) {
    const socket = sockets.openUdp(namespace, u16(query, 34), () => {});
    socket.send({ address: '127.0.0.11', port: 53 }, payload(query), engine.now + 1000);
    engine.run(engine.now + SECOND, sockets.handle);
    sockets.closeUdp(socket);
  }
  const ours = framesAt(`${namespace.name}/lo`).map(({ data }) => data);
  const id = (frame: Uint8Array) => u16(frame, 42);
  for (const kind of [isAnswer, (frame: Uint8Array) => !isAnswer(frame)]) {
    const expected = new Map(real.filter(kind).map((frame) => [id(frame), withoutDrawn(frame)]));
    const found = new Map(ours.filter(kind).map((frame) => [id(frame), withoutDrawn(frame)]));
    expect(found).toEqual(expected);
    expect(found.size).toBe(asked);
  }
});

const decoder = new TextDecoder();
test.each(['S1-default-bridge', 'S2-user-bridge', 'S3-publish', 'S4-overlay-ping', 'S5-overlay-vip', 'S6-ingress'])(
  '%s: every container has the /etc/resolv.conf and /etc/hosts that it really had',
  async (scenario) => {
    const { inputs } = recorded(scenario);
    const { engine, sockets } = await world(inputs);
    const topology = topologyOf(inputs);
    const names = new Names({ topology, namespaces: new Map() }, sockets, 1);
    let compared = 0;
    for (const node of inputs.nodes) {
      const dump = filesOf(scenario)(`state/${node.name}.container-files.txt`);
      for (const block of decoder.decode(dump).split('### container ').slice(1)) {
        const [, id = '', resolvConf = '', hosts = ''] =
          /^(\S+): \/etc\/resolv\.conf\n([\s\S]*?)### \/etc\/hosts\n([\s\S]*)$/.exec(block) ?? [];
        const sandbox = topology.sandboxes.find((one) => one.id?.startsWith(id) && one.node === node.name);
        const namespace = sandbox && engine.namespaces.get(`${sandbox.node}/${sandbox.name}`);
        if (!sandbox || !namespace) continue;
        expect(names.file(namespace, '/etc/resolv.conf')).toBe(resolvConf);
        expect(names.file(namespace, '/etc/hosts')).toBe(hosts);
        compared++;
      }
    }
    expect(compared).toBeGreaterThan(0);
  },
);
