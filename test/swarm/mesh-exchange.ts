/**
 * The mesh path of S7-ingress-one with our own stack at both ends: the client asks node1:8080, the task on node2 answers. What
 * every device saw, what ended where, and how it went for the client.
 */

import { layersOf } from '../../src/dissect/layers.js';
import { type Engine, type Namespace, Sockets } from '../../src/engine/index.js';
import { topologyOf } from '../../src/replay/topology.js';
import { type Realized, realize } from '../../src/swarm/realize.js';
import { checkedEngine } from '../engine/checked.js';
import { inWords, Watch } from '../engine/watch.js';
import { recorded } from '../replay/recorded.js';

const NODE1 = '192.168.99.110';
const SECOND = 1_000_000_000;
const START = 1_000_000;

export interface Exchange {
  engine: Engine;
  realized: Realized;
  /**
   * `node1/host/eth0 received 192.168.99.1:P > 192.168.99.110:8080 ttl 64 tcp S`, in order of time. P is the port that the
   * client drew, and VXLAN's source port is left out.
   */
  seen: string[];
  /** What the client's application was told. */
  outcome: string;
  /** `node1/host/eth0 NETFILTER_DROP`, each once. */
  drops: string[];
}

export class MeshSwarm {
  readonly sockets: Sockets;
  readonly #watch: Watch;
  private constructor(
    readonly engine: Engine,
    readonly realized: Realized,
  ) {
    this.sockets = new Sockets(engine);
    this.#watch = new Watch(engine, engine.devices);
  }

  static async stand(): Promise<MeshSwarm> {
    const { inputs } = recorded('S7-ingress-one');
    const engine = await checkedEngine({ seed: 7 });
    return new MeshSwarm(engine, realize(engine, topologyOf(inputs), { latency: 10_000 }));
  }

  namespace(name: string): Namespace {
    const namespace = this.realized.namespaces.get(name);
    if (!namespace) throw new Error(`there is no namespace ${name}`);
    return namespace;
  }

  /** The client connects to `to`:8080, says `GET`, hears `answer` and both close. */
  exchange(to = NODE1): Exchange {
    const { engine, realized, sockets } = this;
    let outcome = 'no answer within 14 s';
    sockets.listen(this.namespace('node2/task-my-web.1'), 80, (connection) => {
      connection.onData = (_, time) => {
        connection.write(new TextEncoder().encode('answer'), sockets.after(time));
        connection.close(sockets.after(time));
      };
    });
    const connection = sockets.connect(this.namespace('client/host'), { address: to, port: 8080 }, START);
    const port = connection?.local.port;
    if (connection) {
      connection.onConnected = (time) => connection.write(new TextEncoder().encode('GET'), sockets.after(time));
      connection.onData = (data, time) => {
        outcome = new TextDecoder().decode(data);
        connection.close(sockets.after(time));
      };
      connection.onFailed = (reason) => {
        outcome = reason;
      };
    } else outcome = 'no route';
    engine.run(14 * SECOND, sockets.handle);
    const drops = engine.drops.map(({ device, reason }) => `${device.path} ${reason}`).sort();
    return { engine, realized, seen: this.#seen(port), outcome, drops };
  }

  #seen(clientPort = 0): string[] {
    return this.#watch
      .frames()
      .map((frame, order) => ({ ...frame, order }))
      .sort((a, b) => a.time - b.time || a.order - b.order)
      .map(({ tap, direction, data }) => `${tap} ${direction} ${words(data)}`)
      .map((line) => line.replaceAll(`:${clientPort} `, ':P ').replace(/:\d+( > \S+:4789)/, '$1'));
  }
}

/** As `inWords`, and what a VXLAN frame carries. */
function words(frame: Uint8Array): string {
  const vxlan = layersOf(frame).find(({ name }) => name === 'vxlan');
  return vxlan ? `${inWords(frame)} vxlan of ${inWords(frame.subarray(vxlan.body))}` : inWords(frame);
}

/** Up to where two exchanges are the same, and how each goes on from there. */
export function parting(before: Exchange, after: Exchange): { last: string; was: string; is: string } | undefined {
  const at = before.seen.findIndex((line, i) => line !== after.seen[i]);
  if (at < 0 && before.seen.length === after.seen.length) return undefined;
  const index = at < 0 ? before.seen.length : at;
  return { last: before.seen[index - 1] ?? '', was: before.seen[index] ?? '', is: after.seen[index] ?? '' };
}
