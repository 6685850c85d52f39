/** What changed while a scenario was recorded, made in our own topology at its time. */

import type { Namespace } from '../engine/index.js';
import type { Realizer } from '../swarm/realize.js';
import { type Balancer, hostPart, type Network, type Sandbox, type Service } from '../topology/topology.js';
import { type Change, changesOf, describeChange, inOwnOrder } from './changes.js';
import type { Inputs } from './inputs.js';
import type { Stimulus } from './scenario.js';

export class Changing {
  readonly told: string[] = [];
  readonly #waiting: Change[];

  constructor(
    readonly realized: Realizer,
    readonly inputs: Inputs,
    readonly stimuli: readonly Stimulus[],
    /** Sandboxes that are not there yet. */
    readonly later: readonly Sandbox[],
    /** Told of each namespace that comes. */
    readonly start: (namespace: Namespace) => void,
  ) {
    this.#waiting = changesOf(inputs, stimuli);
  }

  /** Makes the changes that come before a stimulus at `time`. */
  until(time: number): void {
    for (;;) {
      const [change] = this.#waiting;
      const due = change && this.#timeOf(change);
      if (due === undefined || due > time) return;
      this.#step(due);
    }
  }

  finish(): void {
    while (this.#waiting.length > 0) {
      const [change] = this.#waiting;
      this.#step((change && this.#timeOf(change)) ?? this.realized.engine.now);
    }
  }

  #timeOf({ before, time }: Change): number | undefined {
    return before === undefined ? time : this.stimuli[before]?.time;
  }

  /** All changes of one moment, after what was sent before it has arrived. */
  #step(due: number): void {
    const { engine } = this.realized;
    if (due - 1 > engine.now) engine.run(due - 1);
    const now = this.#waiting.filter((change) => (this.#timeOf(change) ?? due) === due);
    this.#waiting.splice(0, now.length);
    for (const change of now) {
      this.told.push(describeChange(change, this.stimuli));
      if (change.kind === 'idle') this.#disable(change);
      if (change.kind === 'gone') this.#remove(change);
    }
    const came = now.filter(({ kind }) => kind === 'came');
    this.#addSandboxes(came.map(({ address }) => address));
    this.#addBackends(came);
  }

  /** In the order of each node's own list, which may be another one than that of the node whose lists were noted. */
  #addBackends(came: readonly Change[]): void {
    for (const mark of new Set(came.map((one) => one.mark))) {
      const addresses = came.filter((one) => one.mark === mark).map(({ address }) => address);
      for (const { service, balancer } of this.#balancers(mark)) {
        const dumped = this.inputs.services
          .flatMap(({ balancers }) => balancers)
          .find((one) => one.mark === mark && one.node === balancer.node && one.network === balancer.network);
        for (const address of inOwnOrder(addresses, [...(dumped?.destinations ?? [])].reverse())) {
          balancer.destinations.unshift(address);
          this.realized.addBackend(service, balancer, address);
        }
      }
    }
  }

  #disable({ mark, address }: Change): void {
    for (const { balancer } of this.#balancers(mark)) this.realized.disableBackend(balancer, address);
  }

  #remove({ mark, address }: Change): void {
    const { realized } = this;
    for (const { service, balancer } of this.#balancers(mark)) {
      balancer.destinations = balancer.destinations.filter((one) => one !== address);
      realized.removeBackend(service, balancer, address);
    }
    const { sandboxes } = realized.topology;
    const sandbox = sandboxes.find((one) => hasAddress(one, address));
    // It may stand in another service's list too: the first one that it leaves takes it along.
    if (!sandbox) return;
    for (const endpoint of [...sandbox.endpoints].reverse().sort((a, b) => rank(a.network) - rank(b.network))) {
      realized.detach(sandbox, this.#network(endpoint.network, sandbox.node), endpoint);
    }
    realized.removeSandbox(sandbox);
    sandboxes.splice(sandboxes.indexOf(sandbox), 1);
  }

  /** As their ports stand on the bridges. */
  #addSandboxes(addresses: readonly string[]): void {
    const place = ({ endpoints }: Sandbox) => Math.min(...endpoints.map(({ port }) => port));
    const { sandboxes } = this.realized.topology;
    this.later
      .filter((one) => !sandboxes.includes(one) && addresses.some((address) => hasAddress(one, address)))
      .sort((one, other) => place(one) - place(other))
      .forEach((one) => {
        this.#addSandbox(one);
      });
  }

  #addSandbox(sandbox: Sandbox): void {
    const { realized } = this;
    const { sandboxes, services, networks } = realized.topology;
    sandboxes.push(sandbox);
    realized.addSandbox(sandbox);
    for (const endpoint of sandbox.endpoints)
      realized.attach(sandbox, this.#network(endpoint.network, sandbox.node), endpoint);
    const service = services.find(({ name }) => name === sandbox.service);
    const ingress = networks.find((network) => network.ingress);
    if (service && ingress) realized.redirect(sandbox, service, ingress);
    const namespace = realized.namespaces.get(`${sandbox.node}/${sandbox.name}`);
    if (namespace) this.start(namespace);
  }

  #balancers(mark: number): { service: Service; balancer: Balancer }[] {
    return this.realized.topology.services.flatMap((service) =>
      service.balancers.filter((one) => one.mark === mark).map((balancer) => ({ service, balancer })),
    );
  }

  #network(name: string, node: string): Network {
    const found = this.realized.topology.networks.find((one) => one.name === name && one.onNode[node]);
    if (!found) throw new Error(`${node} does not have the network ${name}`);
    return found;
  }
}

/** The way out goes last. */
function rank(network: string): number {
  return Number(network === 'docker_gwbridge');
}

function hasAddress({ endpoints }: Sandbox, address: string): boolean {
  return endpoints.some((one) => hostPart(one.address) === address);
}
