/** A load: packets that the engine makes and takes by itself, at a rate, over many flows (assembly/load). One at a time. */

import { dropCounts } from './device.js';
import type { Engine } from './engine.js';
import {
  Load as Layout,
  LoadPhase,
  Namespace as NamespaceLayout,
  LoadReceiver as ReceiverLayout,
} from './generated/layout.js';
import type { Namespace } from './namespace.js';
import { ipv4, port, swap32 } from './wire.js';
import { isIpv6, numberOf } from './wire6.js';

const PROTOCOLS = { tcp: 6, udp: 17 } as const;
const PHASES = new Map(Object.entries(LoadPhase).map(([name, value]) => [value as number, name.toLowerCase()]));

export interface LoadOptions {
  protocol: 'tcp' | 'udp';
  flows: number;
  packets: number;
  /** Frames' sizes in bytes, Ethernet header included, and how many of all have each. */
  sizes: readonly { size: number; weight: number }[];
  rate: { packets: number } | { bits: number };
  poisson: boolean;
  /** Every packet of data is answered by one of the same size. */
  answered: boolean;
}

export interface LoadSource {
  namespace: Namespace;
  /** The first of `count` addresses in a row; an IPv6 address is alone. */
  address: string;
  count: number;
  to: { address: string; port: number };
}

export interface LoadCount {
  packets: number;
  bytes: number;
}

export interface LoadBooks {
  phase: string;
  sent: LoadCount;
  received: LoadCount;
  answered: LoadCount;
  /** Packets that are still to be sent. */
  left: number;
  /** Connections; of UDP: flows of which something has arrived. */
  opened: number;
  refused: number;
  unanswered: number;
  /** Segments made shorter than asked for, as the receiver's MSS wants it. */
  cut: number;
  /** ns */
  firstSent: number;
  lastReceived: number;
  /** Why packets ended on their way. */
  losses: Map<string, number>;
  /** By the id of the namespace where they arrived. */
  receivers: { namespace: number; flows: number; packets: number; bytes: number }[];
}

export class Load {
  readonly #engine: Engine;

  /** How many of the flows found an address and a port is `placed`; unless all have, nothing is sent. */
  readonly placed: number;

  constructor(engine: Engine, options: LoadOptions, sources: readonly LoadSource[], time: number) {
    this.#engine = engine;
    const { exports } = engine;
    const { protocol, flows, packets, sizes, rate, poisson, answered } = options;
    const bits = 'bits' in rate;
    exports.newLoad(PROTOCOLS[protocol], packets, bits ? rate.bits : rate.packets, bits, poisson, answered);
    for (const { size, weight } of sizes)
      if (!exports.addLoadSize(size, weight)) throw new RangeError('a load has 64 sizes at the most');
    for (const { namespace, address, count, to } of sources) {
      const number = (text: string) => numberOf(exports, text);
      const added = isIpv6(to.address)
        ? exports.addLoadSource6(namespace.at, number(address), number(to.address), port(to.port))
        : exports.addLoadSource(namespace.at, swap32(ipv4(address)), count, ipv4(to.address), port(to.port));
      if (!added) throw new RangeError(`${namespace.name} has no route to ${to.address}`);
    }
    this.placed = exports.startLoad(flows, time);
  }

  /** All is sent, and what did not arrive by now does not arrive. */
  get done(): boolean {
    return this.#engine.memory.get(this.#at, Layout.phase) === LoadPhase.DONE;
  }

  get #at(): number {
    return this.#engine.exports.loadAt();
  }

  /** Packets that have been sent, here or by another engine that shares the load. */
  get left(): number {
    return this.#engine.memory.get(this.#at, Layout.left);
  }

  get books(): LoadBooks {
    const { memory, exports } = this.#engine;
    const at = this.#at;
    const count = (packets: { at: number; bits: number }, bytes: { at: number; bits: number }) => ({
      packets: memory.get(at, packets),
      bytes: memory.get(at, bytes),
    });
    return {
      phase: PHASES.get(memory.get(at, Layout.phase)) ?? '',
      sent: count(Layout.sent, Layout.sentBytes),
      received: count(Layout.received, Layout.receivedBytes),
      answered: count(Layout.answered, Layout.answeredBytes),
      left: this.left,
      opened: memory.get(at, Layout.opened),
      refused: memory.get(at, Layout.refused),
      unanswered: memory.get(at, Layout.unanswered),
      cut: memory.get(at, Layout.cut),
      firstSent: memory.get(at, Layout.firstSent),
      lastReceived: memory.get(at, Layout.lastReceived),
      losses: dropCounts(this.#engine, exports.lossesAt()),
      receivers: this.receivers,
    };
  }

  /** By the id of the namespace where something has arrived. */
  get receivers(): LoadBooks['receivers'] {
    const { memory, exports } = this.#engine;
    const found: LoadBooks['receivers'] = [];
    for (let at = exports.firstReceiver(); at; at = memory.get(at, ReceiverLayout.next))
      found.push({
        namespace: memory.get(at, ReceiverLayout.namespace),
        flows: memory.get(at, ReceiverLayout.flows),
        packets: memory.get(at, ReceiverLayout.packets),
        bytes: memory.get(at, ReceiverLayout.bytes),
      });
    return found;
  }

  /** Ids of the namespaces where something has arrived for the first time since this was asked before. */
  newcomers(): number[] {
    const { memory, exports } = this.#engine;
    const found: number[] = [];
    const newest = exports.firstReceiver();
    for (let at = newest; at !== this.#known; at = memory.get(at, ReceiverLayout.next))
      found.push(memory.get(at, ReceiverLayout.namespace));
    this.#known = newest;
    return found;
  }
  #known = 0;

  /** Its namespaces by their ids. */
  namespaces(): Map<number, Namespace> {
    const { memory, namespaces } = this.#engine;
    return new Map([...namespaces.values()].map((one) => [memory.get(one.at, NamespaceLayout.id), one]));
  }

  end(): void {
    this.#engine.exports.endLoad();
  }
}
