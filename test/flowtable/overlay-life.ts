/** A conversation over an overlay, with the flow table or without, and all that can be seen of it. */

import { checkedModule } from '../../bench/fuzz/files.js';
import type { BlockCipherMaker } from '../../src/crypto/index.js';
import { type Datagram, Engine, Sockets, type UdpSocket } from '../../src/engine/index.js';
import { plan } from '../../src/swarm/plan.js';
import { realize } from '../../src/swarm/realize.js';
import type { StackSpec } from '../../src/topology/spec.js';
import { hostPart } from '../../src/topology/topology.js';
import { books, digest, slowFrames, state } from './seen.js';

const module = await checkedModule();
const MICROSECOND = 1000;

interface Conversation {
  fast: boolean;
  /** Two nodes, each with a task on net1. */
  spec: StackSpec;
  count: number;
  /** Of the payload of each datagram. */
  size(i: number): number;
  /** When the datagram is said, ns after the first; without it every ten microseconds. */
  when?(i: number): number;
  cipher?: BlockCipherMaker;
  /** Before anything is said; the first datagram is at `BEGIN`. */
  prepare?(engine: Engine): void;
  /** At half of the time. */
  happens?(engine: Engine): void;
}

/** Virtual time of the first datagram that is counted. */
export const BEGIN = 1e9;

/** Datagrams from a task of one node to one of the other, which answers. */
export async function overlayLife({ fast, spec, count, size, when, cipher, prepare, happens }: Conversation) {
  const engine = await Engine.create({ module, seed: 1, captureBuffer: 8 << 20, ...(cipher && { cipher }) });
  engine.exports.setFlowTable(fast ? 1 : 0);
  const { topology } = plan(spec, 1);
  const { namespaces } = realize(engine, topology, { latency: 1000 });
  prepare?.(engine);
  const sockets = new Sockets(engine);
  const [near, far] = ['node1', 'node2'].map((node) => {
    const sandbox = topology.sandboxes.find((one) => one.kind === 'task' && one.node === node);
    const endpoint = sandbox?.endpoints.find(({ network }) => network === 'net1');
    const namespace = namespaces.get(`${node}/${sandbox?.name}`);
    if (!endpoint || !namespace) throw new RangeError(`no task on ${node}`);
    return { namespace, address: hostPart(endpoint.address) };
  });
  if (!near || !far) throw new RangeError('no two tasks');
  const seen: string[] = [];
  engine.onCapture = (records) => void seen.push(`${records.length} ${digest(records)}`);
  for (const { kind, namespace } of engine.devices)
    if (kind === 'physical') for (const device of namespace.devices.values()) device.tap();
  sockets.openUdp(far.namespace, 80, ({ data, from, time }: Datagram, socket: UdpSocket) => {
    socket.send(from, data, sockets.after(time));
  });
  let answers = 0;
  const socket = sockets.openUdp(near.namespace, 5000, () => void answers++);
  const goOn = (time: number) => void engine.run(engine.now + time, (punted) => sockets.handle(punted));
  const say = (count: number) => {
    for (let i = 0; i < count; i++)
      socket.send(
        { address: far.address, port: 80 },
        new Uint8Array(size(i)),
        engine.now + (when?.(i) ?? i * 10 * MICROSECOND),
      );
  };
  say(3);
  goOn(BEGIN);
  const before = engine.exports.fastPackets();
  const slowBefore = slowFrames(engine);
  say(count);
  engine.at(engine.now + 5 * count * MICROSECOND, () => happens?.(engine));
  goOn(1e9);
  return {
    seen: [...seen, ...books(engine), ...state(engine)],
    answers,
    fast: engine.exports.fastPackets() - before,
    /** So often has a packet taken the slow way at a device. */
    slow: slowFrames(engine) - slowBefore,
  };
}
