/**
 * A port that a container on a bridge publishes: what a client sends comes in at node1's `eth0`, DNAT, FORWARD, the bridge, the
 * veth pair, the container's socket; what the container answers goes the other way, and ends at a bare device in the client's place.
 * Over IPv6 with the rules of Engine 28.
 */

import { type Datagram, type Device, Engine, type Namespace, Sockets } from '../src/engine/index.js';
import { plan } from '../src/swarm/plan.js';
import { type Realized, realize } from '../src/swarm/realize.js';
import type { StackSpec } from '../src/topology/spec.js';
import { hostPart } from '../src/topology/topology.js';
import { addressNumber, ethernet, ipv4, macBytes, TCP, TYPE_IPV4, UDP, udp } from './headers.js';
import { address6, ipv6, TYPE_IPV6 } from './headers6.js';
import { framesIn, PUBLISHED } from './mesh.js';
import { hex, numbered, Seen, type Way } from './way.js';

const MILLISECOND = 1e6;
const NODE6 = 'fd00:99::110';
/** Where the container listens. */
export const TARGET = 80;

function specOf(v6: boolean): StackSpec {
  return {
    engine: v6 ? '28' : '20.10',
    nodes: [{ name: 'node1', role: 'manager', ...(v6 ? { address6: `${NODE6}/64` } : {}) }],
    outside: [{ name: 'client', address: '192.168.99.1/24', ...(v6 ? { address6: 'fd00:99::1/64' } : {}) }],
    networks: [
      {
        name: 'net1',
        driver: 'bridge',
        subnet: '172.30.0.0/16',
        options: { 'com.docker.network.bridge.name': 'br-net1' },
        ...(v6 ? { ipv6: true, subnet6: 'fd00:30::/64' } : {}),
      },
    ],
    services: [],
    containers: [
      {
        name: 'web',
        node: 'node1',
        networks: [{ name: 'net1', aliases: [] }],
        ports: (['tcp', 'udp'] as const).map((protocol) => ({ published: PUBLISHED, target: TARGET, protocol })),
        exposes: [],
        links: [],
      },
    ],
    swarm: false,
    calls: [],
    traffic: [],
  };
}

/** Addresses as they are written, and ports. */
export interface Ends {
  source: string;
  sport: number;
  destination: string;
  dport: number;
}

export class Bridge {
  readonly host: Namespace;
  readonly container: Namespace;
  readonly nic: Device;
  /** The veth pair: what the container sends comes in at `port`. */
  readonly inside: Device;
  readonly port: Device;
  /** Whoever answers a client sends to `sink`. */
  readonly sink: Device;
  /** The node's address and the container's. */
  readonly own: string;
  readonly to: string;
  readonly #client: Device;
  readonly #bridge: Device;
  #captured: Uint8Array[] = [];

  private constructor(
    readonly realized: Realized,
    readonly v6: boolean,
  ) {
    const { engine, topology, underlay } = realized;
    const web = topology.sandboxes.find(({ node }) => node === 'node1');
    const [endpoint] = web?.endpoints ?? [];
    this.host = this.#namespace('node1/host');
    this.container = this.#namespace(`node1/${web?.name}`);
    this.nic = this.host.device('eth0');
    this.#bridge = this.host.device('br-net1');
    this.inside = this.container.device('eth0');
    const { peer } = this.inside;
    const to = v6 ? endpoint?.address6 : endpoint?.address;
    if (!to || !peer) throw new Error('the container has no address, or no veth pair');
    this.port = peer;
    this.to = hostPart(to);
    this.own = v6 ? NODE6 : (this.nic.address ?? '');
    this.#client = this.#namespace('client/host').device('eth0');
    this.#client.up = false;
    this.sink = engine.namespace('bench/sink').addPhysical('eth0', underlay, { mac: '02:00:00:00:fe:00', mtu: 1500 });
    this.sink.tap();
    engine.onCapture = (records) => this.#captured.push(records);
    this.host.addNeighbour(this.#bridge, this.to, this.inside.mac);
    this.container.addNeighbour(this.inside, v6 ? 'fd00:30::1' : (this.#bridge.address ?? ''), this.#bridge.mac);
    for (let i = 0; i < 64 * FEW; i += FEW) this.host.addNeighbour(this.nic, this.client(i), this.#client.mac);
    for (const namespace of engine.namespaces.values()) namespace.set('connectionsMax', 1 << 23);
    this.learn();
  }

  static async create(v6: boolean, module?: WebAssembly.Module): Promise<Bridge> {
    const engine = await Engine.create({ seed: 1, captureBuffer: 4 << 20, ...(module ? { module } : {}) });
    return new Bridge(realize(engine, plan(specOf(v6), 1).topology, { latency: 1 }), v6);
  }

  get engine(): Engine {
    return this.realized.engine;
  }
  #namespace(name: string): Namespace {
    const found = this.realized.namespaces.get(name);
    if (!found) throw new Error(`there is no namespace ${name}`);
    return found;
  }

  /** What switches have learned; it ages. */
  learn(): void {
    this.realized.underlay.learn(this.#client.mac, this.sink);
    this.realized.underlay.learn(this.nic.mac, this.nic);
    this.host.learnFdb(this.#bridge, this.inside.mac, this.port);
  }

  /** Whose flow `i` is: somebody on the client's wire, another one after so many. All have its MAC address. */
  client(i: number): string {
    const many = 1 + Math.floor(i / FEW);
    return this.v6 ? `fd00:99::a:${many.toString(16)}` : `192.168.99.${100 + many}`;
  }
  /** The ends of flow `i`, as the client sends to the published port and as the container answers. */
  asks(i: number, source = this.client(i)): Ends {
    return { source, sport: 1024 + (i % FEW), destination: this.own, dport: PUBLISHED };
  }
  answers(i: number, destination = this.client(i)): Ends {
    return { source: this.to, sport: TARGET, destination, dport: 1024 + (i % FEW) };
  }

  /** The frame that brings that to the node's NIC, or from the container. */
  asked(ends: Ends, protocol: 'tcp' | 'udp', payload: Uint8Array): Uint8Array {
    return this.#framed(this.nic.mac, this.#client.mac, ends, protocol, payload);
  }
  answered(ends: Ends, protocol: 'tcp' | 'udp', payload: Uint8Array): Uint8Array {
    return this.#framed(this.#bridge.mac, this.inside.mac, ends, protocol, payload);
  }
  #framed(
    to: string,
    from: string,
    { source, destination }: Ends,
    name: 'tcp' | 'udp',
    payload: Uint8Array,
  ): Uint8Array {
    const protocol = name === 'tcp' ? TCP : UDP;
    const packet = this.v6
      ? ipv6({ source: address6(source), destination: address6(destination), protocol }, payload)
      : ipv4(
          { source: addressNumber(source), destination: addressNumber(destination), protocol, fragment: 0x4000 },
          payload,
        );
    return ethernet(macBytes(to), macBytes(from), this.v6 ? TYPE_IPV6 : TYPE_IPV4, packet);
  }
  /** Bytes before a datagram's data. */
  get headers(): number {
    return this.v6 ? 62 : 42;
  }

  /** What taps have seen since this was asked last. */
  captured(): Uint8Array[] {
    const captured = this.#captured;
    this.#captured = [];
    return captured;
  }
  /** The frames that have come to that tap's device among these. */
  framesAt(device: Device, captured: readonly Uint8Array[]): Uint8Array[] {
    const taps = new Set([this.engine.taps.indexOf(device)]);
    return captured.flatMap((records) => framesIn(records, taps));
  }
}
/** Ports of one client. */
const FEW = 60_000;

/** Datagrams there, or back. */
export async function bridgeWay(v6: boolean, back: boolean): Promise<Way> {
  const bridge = await Bridge.create(v6);
  const { engine, container, sink } = bridge;
  const seen = new Seen();
  const sockets = new Sockets(engine);
  const onDatagram = (datagram: Datagram) => seen.datagram(container.name, datagram);
  sockets.openUdp(container, TARGET, onDatagram, undefined, v6 ? '::' : '0.0.0.0');
  const there = (i: number, size: number) => {
    const ends = bridge.asks(i);
    return bridge.asked(ends, 'udp', udp(ends.sport, ends.dport, numbered(i, size - bridge.headers)));
  };
  let fresh = engine.now;
  const settle = () => {
    engine.run(engine.now + MILLISECOND, (punted) => sockets.handle(punted));
    for (const frame of bridge.framesAt(sink, bridge.captured())) seen.keep(() => hex(frame));
    if (engine.now - fresh < 100_000 * MILLISECOND) return;
    bridge.learn();
    fresh = engine.now;
  };
  const way = { engine, settle, seen: () => seen.taken() };
  if (!back) return { ...way, into: bridge.nic, make: there, arrived: () => seen.datagrams };
  const make = (i: number, size: number) => {
    const ends = bridge.answers(i);
    return bridge.answered(ends, 'udp', udp(ends.sport, ends.dport, numbered(i, size - bridge.headers)));
  };
  const first = { into: bridge.nic, make: there };
  return { ...way, into: bridge.port, make, arrived: () => sink.drops.get('OTHERHOST') ?? 0, first };
}
