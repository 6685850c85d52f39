/** Over IPv6, too: a packet that comes when its connection has just run out, or is just about to, fares with the flow table as without. */

import { expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import { ethernet, macBytes, TCP, UDP, udp } from '../../bench/headers.js';
import { address6, ipv6, TYPE_IPV6 } from '../../bench/headers6.js';
import { Connection } from '../../src/engine/generated/layout.js';
import { type Device, Engine } from '../../src/engine/index.js';
import { plan } from '../../src/swarm/plan.js';
import { realize } from '../../src/swarm/realize.js';
import { isIpv6 } from '../../src/topology/ipv6.js';
import { hostPart } from '../../src/topology/topology.js';
import { books, digest, state } from './seen.js';
import { TWO_NODES_6 } from './topologies.js';

const module = await checkedModule();
const { topology } = plan(TWO_NODES_6, 1);
const HALF = 5e8;
const [PUBLISHED, TARGET] = [9090, 80];
const [SYN, ACK, FIN] = [2, 16, 1];

/** Nobody has answered; both ends have spoken; the client has closed. */
type Stage = 'asked' | 'up' | 'closing';

/** A client, and a container whose port a bridge publishes. */
class Life {
  readonly seen: string[] = [];
  readonly #nic: Device;
  readonly #client: Device;
  readonly #web: Device;

  private constructor(readonly engine: Engine) {
    const { namespaces } = realize(engine, topology, { latency: 1 });
    const device = (name: string) => {
      const found = namespaces.get(name)?.device('eth0');
      if (!found) throw new RangeError(`no device of ${name}`);
      return found;
    };
    const web = topology.sandboxes.find(({ publishes = [] }) => publishes.length > 0);
    this.#nic = device('node1/host');
    this.#client = device('client/host');
    this.#web = device(`${web?.node}/${web?.name}`);
    for (const protocol of ['tcp', 'udp'] as const)
      this.#web.namespace.addForeignSocket(protocol, { address: '::', port: TARGET });
    this.#web.tap();
    this.#nic.tap();
    engine.onCapture = (records) => void this.seen.push(`captured ${records.length} ${digest(records)}`);
  }
  static async create(fast: boolean): Promise<Life> {
    const engine = await Engine.create({ module, seed: 1, captureBuffer: 4 << 20 });
    engine.exports.setFlowTable(fast ? 1 : 0);
    return new Life(engine);
  }
  run(ns = 1e6): void {
    this.engine.run(this.engine.now + ns);
  }
  #at(device: Device): string {
    return device.addresses6.find(({ address }) => !address.startsWith('fe80'))?.address ?? '';
  }
  /** A packet of the client's, or of the container's answer. */
  says(protocol: 'tcp' | 'udp', port: number, flags: number, answer = false): void {
    const node = hostPart(topology.nodes[0]?.nic.addresses.find(isIpv6) ?? '');
    const [from, to] = answer ? [this.#at(this.#web), this.#at(this.#client)] : [this.#at(this.#client), node];
    const [sport, dport] = answer ? [TARGET, port] : [port, PUBLISHED];
    const text = protocol === 'udp' ? udp(sport, dport, new Uint8Array(10)) : segment(sport, dport, flags, answer);
    const ends = { source: address6(from), destination: address6(to), protocol: protocol === 'udp' ? UDP : TCP };
    const bridge = this.#web.peer?.master;
    const [mac, by] = answer ? [bridge?.mac ?? '', this.#web.mac] : [this.#nic.mac, this.#client.mac];
    const frame = ethernet(macBytes(mac), macBytes(by), TYPE_IPV6, ipv6(ends, text));
    this.engine.receive(answer ? (this.#web.peer as Device) : this.#nic, frame);
  }
  /** What both ends say of one connection; then what they say next. */
  talk(protocol: 'tcp' | 'udp', port: number, stage: Stage): () => void {
    const tcp = protocol === 'tcp';
    const say = (flags: number, answer = false) => {
      this.says(protocol, port, flags, answer);
      this.run();
    };
    say(SYN);
    if (tcp) say(SYN | ACK, true);
    for (let turn = 0; turn < 4; turn++) {
      say(ACK);
      if (stage !== 'asked') say(ACK, true);
    }
    if (stage === 'closing') say(FIN | ACK);
    return () => {
      this.says(protocol, port, ACK);
      if (stage !== 'asked') this.says(protocol, port, ACK, true);
    };
  }
  #connections(field: 'deadline' | 'stamp'): number[] {
    const { exports, memory } = this.engine;
    const all = Array.from({ length: exports.connectionSlots() }, (_, i) => exports.connectionAt(i) >>> 0);
    return all.flatMap((at) => (at ? [memory.get(at, Connection[field])] : []));
  }
  /** When the next connection runs out, ns. */
  get next(): number {
    return Math.min(...this.#connections('deadline').filter((one) => one > this.engine.now));
  }
  /** Connections, each with a number of its own. */
  get stamps(): string {
    return this.#connections('stamp').sort().join();
  }
}

/** Without data; a connection's numbers begin at 1000, and are 1001 once it is up. */
function segment(sport: number, dport: number, flags: number, answer: boolean): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, sport);
  view.setUint16(2, dport);
  view.setUint32(4, flags & SYN ? 1000 : 1001);
  view.setUint32(8, flags & SYN && !answer ? 0 : 1001);
  bytes.set([0x50, flags], 12);
  view.setUint16(14, 30_000);
  return bytes;
}

it.each<['tcp' | 'udp', Stage]>([
  ['udp', 'asked'],
  ['udp', 'up'],
  ['tcp', 'up'],
  ['tcp', 'closing'],
])('of %s that is %s', async (protocol, stage) => {
  const begin = await Life.create(false);
  begin.talk(protocol, 3000, stage);
  // How long after what was said last; a packet meets the entry some hops after it has come in.
  const left = begin.next - begin.engine.now;
  const [slow, quick] = [await Life.create(false), await Life.create(true)];
  for (const life of [slow, quick]) {
    let anew = 0;
    for (let hops = 0; hops < 10; hops++)
      for (const off of [-1, 0, 1]) {
        const more = life.talk(protocol, 4000 + 10 * hops + off, stage);
        // What is over within the last half second is still there: sweeps come once a second.
        life.run(left - 1000 * hops + off - HALF);
        life.run(HALF);
        const { stamps } = life;
        more();
        life.run();
        if (life.stamps !== stamps) anew++;
        life.seen.push(...books(life.engine), ...state(life.engine));
      }
    // Some of them have come too late.
    expect(anew).toBeGreaterThan(0);
    expect(anew).toBeLessThan(30);
  }
  expect(quick.seen).toEqual(slow.seen);
  expect(slow.engine.exports.fastPackets()).toBe(0);
  expect(quick.engine.exports.fastPackets()).toBeGreaterThan(30);
});
