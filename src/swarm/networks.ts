/** `docker network`: networks made and removed, and coming to the nodes that need them (moby daemon/network.go, daemon/cluster). */

import type { NetworkSpec } from '../topology/spec.js';
import type { Network, Sandbox } from '../topology/topology.js';
import type { ConfigNetwork } from './config-networks.js';
import { DockerError, NO_MANAGER } from './errors.js';
import { PREDEFINED } from './network-mode.js';
import type { Records } from './records.js';

export class Networks {
  /** Addresses of load balancers that are about to come to a node: `node network`. */
  readonly #reserved = new Map<string, string>();

  constructor(readonly records: Records) {}

  /** docker0 and docker_gwbridge are one network, with another subnet on each node. */
  local(spec: NetworkSpec, device: string, node: string): void {
    const known = this.records.topology.networks.find(({ name }) => name === spec.name);
    if (known?.onNode[node]) return;
    if (known) {
      this.records.attachments.extend(known, node);
      return;
    }
    const network = this.records.allocator.localNetwork(spec, device, [node]);
    this.records.networkSpecs.set(network, spec);
    this.records.attachments.add(network);
  }

  /** `docker network create`: a node's own, or (`node` aside) the whole swarm's, by its driver. */
  create(given: NetworkSpec, nodes: string | readonly string[], wanted: readonly string[]): Network {
    const where = typeof nodes === 'string' ? [nodes] : nodes;
    const { scope, only } = this.records.options.drivers.get(given.driver);
    const local = scope === 'local' && given.scope !== 'swarm';
    const [first] = where;
    const spec = local && first !== undefined ? this.records.configNetworks.applied(given, first) : given;
    if (only) throw new DockerError(403, `only one instance of "${spec.driver}" network is allowed`);
    for (const node of where) {
      const known = this.records.attachments.find(spec.name, node);
      if ((known && (known.onNode[node] || !local)) || this.records.configNetworks.find(spec.name, node))
        throw new DockerError(409, `network with name ${spec.name} already exists`);
    }
    if (scope !== 'local' && !this.records.inSwarm) throw new DockerError(503, NO_MANAGER);
    if (
      !local &&
      this.records.topology.networks.some(
        (one) => one.name === spec.name && (one.scope === 'swarm' || !this.records.allocator.isLocal(one)),
      )
    )
      throw new DockerError(409, `network with name ${spec.name} already exists`);
    const { ingress } = this.records.attachments;
    if (spec.ingress && ingress)
      throw new DockerError(
        409,
        `rpc error: code = AlreadyExists desc = ingress network (${ingress.id}) is already present`,
      );
    const network =
      scope === 'local'
        ? this.records.allocator.localNetwork(spec, undefined, where)
        : this.records.allocator.overlay(spec, wanted);
    this.records.networkSpecs.set(network, spec);
    this.records.attachments.add(network);
    if (spec.ingress) for (const { name, member } of this.records.nodes.values()) if (member) this.reach(network, name);
    this.records.tell('network', 'create', spec.name, { id: network.id, type: spec.driver }, where[0]);
    this.records.changed();
    return network;
  }

  remove(name: string, node: string | undefined): void {
    const found = this.records.attachments.find(name, node)?.name ?? name;
    if (PREDEFINED.has(found)) throw new DockerError(403, `${found} is a pre-defined network and cannot be removed`);
    const network = this.records.attachments.network(name, node);
    if (network.ingress) this.#refuseIngress();
    for (const { id, spec } of this.records.services.values())
      if (spec.networks.some((one) => one.name === network.name))
        throw new DockerError(
          400,
          `rpc error: code = FailedPrecondition desc = network ${network.id} is in use by service ${id}`,
        );
    const local = this.records.allocator.isLocal(network);
    const own = local ? node : undefined;
    // A swarm's load balancer goes with its network; one that has its way out by a node's own keeps that.
    const uses = (one: Sandbox) => (own === undefined || one.node === own) && (one.kind !== 'balancer' || local);
    const users = [...this.records.attachments.on(network)].filter(uses);
    if (users.length > 0) {
      const who =
        this.records.topology.engine === '20.10'
          ? ` id ${network.id} has active endpoints`
          : ` has active endpoints (${users.map((one) => `name:"${one.container ?? one.name}" id:"${(one.id ?? '').slice(0, 12)}"`).join(', ')})`;
      throw new DockerError(403, `error while removing network: network ${network.name}${who}`);
    }
    if (own !== undefined && Object.keys(network.onNode).some((other) => other !== own))
      this.records.attachments.leaveNode(network, own);
    else this.drop(network);
    this.records.tell('network', 'destroy', network.name, { id: network.id, type: network.driver }, node);
    this.records.changed();
  }

  /** `docker network create --config-only` */
  createConfig(spec: NetworkSpec, node: string): ConfigNetwork {
    const { configNetworks, attachments, allocator } = this.records;
    if (attachments.find(spec.name, node)?.onNode[node] || configNetworks.find(spec.name, node))
      throw new DockerError(409, `network with name ${spec.name} already exists`);
    const made = { id: allocator.containerId(), name: spec.name, node, spec };
    configNetworks.add(made);
    this.records.tell('network', 'create', spec.name, { id: made.id, type: 'null' }, node);
    return made;
  }

  removeConfig(config: ConfigNetwork): void {
    for (const [network, { configFrom }] of this.records.networkSpecs)
      if (configFrom === config.name && network.onNode[config.node])
        throw new DockerError(403, `configuration network "${config.name}" is in use`);
    this.records.configNetworks.remove(config);
    this.records.tell('network', 'destroy', config.name, { id: config.id, type: 'null' }, config.node);
  }

  #refuseIngress(): void {
    for (const { id, spec } of this.records.services.values())
      if (spec.ports.some(({ mode }) => mode === 'ingress'))
        throw new DockerError(
          400,
          `rpc error: code = FailedPrecondition desc = ingress network cannot be removed because service ${id} depends on it`,
        );
  }

  /** Away from every node. */
  drop(network: Network): void {
    for (const node of Object.keys(network.onNode)) this.records.bindings.dropNode(node, network);
    this.records.attachments.remove(network);
    this.records.networkSpecs.delete(network);
  }

  /** The network is to be on the node: its load balancer has an address there first, then dockerd makes it. */
  reserve(network: Network, node: string): void {
    const key = `${node} ${network.id}`;
    if (this.records.allocator.isLocal(network) || network.onNode[node] || this.#reserved.has(key)) return;
    this.#reserved.set(key, this.records.allocator.address(node, network));
  }

  /** The network comes to the node, unless it is there. */
  reach(network: Network, node: string): void {
    const spec = this.records.networkSpecs.get(network);
    if (network.scope === 'swarm' && spec && !network.onNode[node])
      this.records.attachments.extendScoped(network, this.records.configNetworks.appliedOn(network, spec, node), node);
    if (this.records.allocator.isLocal(network) || network.onNode[node]) return;
    this.reserve(network, node);
    const key = `${node} ${network.id}`;
    this.records.gossip.arrive(network, node);
    this.records.attachments.reach(network, node, this.#reserved.get(key) ?? '');
    this.#reserved.delete(key);
    this.records.bindings.catchUp(node, network);
    this.records.gossip.update();
  }

  leaveNode(network: Network, node: string): void {
    this.records.bindings.dropNode(node, network);
    this.records.attachments.leaveNode(network, node);
    this.records.gossip.leave(network, node);
    this.records.gossip.update();
  }

  /** Networks of the swarm that nobody on the node needs any more go from it, ingress aside. */
  tidy(node: string, names: readonly string[]): void {
    for (const name of names) {
      const network = this.records.attachments.find(name);
      if (!network || network.ingress || this.records.allocator.isLocal(network) || !network.onNode[node]) continue;
      const used = [...this.records.attachments.on(network)].some(
        (one) => one.kind !== 'balancer' && one.node === node,
      );
      const kept = [...this.records.services.values()].some(
        ({ tasks, spec }) =>
          spec.networks.some((one) => one.name === name) && [...tasks].some((task) => task.node === node),
      );
      if (!used && !kept) this.leaveNode(network, node);
    }
  }
}
