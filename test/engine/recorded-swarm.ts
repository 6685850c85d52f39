/**
 * A recorded swarm stood up from its `inputs.json` and driven frame by frame, in path mode: whatever an endpoint really sent
 * is put in where it was sent, and between two frames a test may look at every table.
 */

import type { Engine, Namespace } from '../../src/engine/index.js';
import { injectedIn, type Scenario, type Stimulus } from '../../src/replay/scenario.js';
import { namespaceName, topologyOf } from '../../src/replay/topology.js';
import { type Realized, realize } from '../../src/swarm/realize.js';
import { recorded } from '../replay/recorded.js';
import { checkedEngine } from './checked.js';
import { u16 } from './packets.js';

/** From hop to hop and over the underlay, ns. */
const LATENCY = 1;
/** All that a frame sets off is over after so long, ns: no path has a hundred hops. */
export const SETTLED = 100;

export class RecordedSwarm {
  private constructor(
    readonly scenario: Scenario,
    readonly engine: Engine,
    readonly realized: Realized,
    /** In time order; times are ns after the scenario's start. */
    readonly stimuli: readonly Stimulus[],
  ) {}

  static async open(name: string): Promise<RecordedSwarm> {
    const scenario = recorded(name);
    const engine = await checkedEngine({ epoch: scenario.inputs.start, hopDelay: LATENCY });
    const realized = realize(engine, topologyOf(scenario.inputs), { latency: LATENCY });
    const swarm = new RecordedSwarm(scenario, engine, realized, injectedIn('path', scenario.stimulusFrames()));
    for (const namespace of realized.namespaces.values()) namespace.set('silent', 1);
    swarm.#learnBefore();
    return swarm;
  }

  /** `node1.ingress_sbox`, `client`: by the recording's name. */
  namespace(recordedName: string): Namespace {
    const namespace = this.realized.namespaces.get(namespaceName(recordedName));
    if (!namespace) throw new Error(`there is no namespace ${recordedName}`);
    return namespace;
  }

  /** Puts one frame in and runs until all that it sets off is over. */
  send(stimulus: Stimulus): void {
    this.inject(stimulus);
    this.engine.run(Math.max(stimulus.time, this.engine.now) + SETTLED);
  }

  inject({ namespace: recordedName, device, socket, data, time, kind }: Stimulus): void {
    const namespace = this.namespace(recordedName);
    if (!socket) {
      this.engine.transmit(namespace.device(device), data, time);
      return;
    }
    const identifier = kind.startsWith('icmp') ? u16(data, 38) : 0;
    this.engine.sendFromSocket(
      namespace,
      data.subarray(14),
      { address: socket.source.address, port: socket.source.port ?? identifier },
      { address: socket.destination.address, port: socket.destination.port ?? identifier },
      time,
    );
  }

  #learnBefore(): void {
    const { atStart } = this.scenario.inputs;
    for (const [device, neighbours] of Object.entries(atStart.neighbours)) {
      const [name = '', nic = ''] = device.split('/');
      const namespace = this.namespace(name);
      for (const [mac, address] of Object.entries(neighbours))
        namespace.addNeighbour(namespace.device(nic), address, mac, 'reachable');
    }
    for (const [bridge, { known }] of Object.entries(atStart.fdb)) {
      const [name = '', device = ''] = bridge.split('/');
      for (const [mac, where] of Object.entries(known)) {
        if (name === 'fabric') this.realized.underlay.learn(mac, this.namespace(where).device('eth0'));
        else
          this.namespace(name).learnFdb(this.namespace(name).device(device), mac, this.namespace(name).device(where));
      }
    }
  }
}
