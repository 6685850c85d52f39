/** What a person asked for, asked of Docker: machines, swarm, networks, services, containers, in the order in which one would type it. */

import { DriverError } from '../drivers/index.js';
import type { ContainerSpec, NetworkSpec, ServiceSpec, StackSpec } from '../topology/spec.js';
import type { Topology } from '../topology/topology.js';
import type { Cluster } from './cluster.js';
import { DockerError } from './errors.js';
import { spreadContainer } from './placement.js';

/** What cannot be planned; `stack-file` has found what can be found in the text. */
export class PlanError extends Error {
  override name = 'PlanError';
}

export function emptyTopology({ engine, swarmInit }: StackSpec): Topology {
  return {
    engine,
    ...(swarmInit ? { swarmInit } : {}),
    nodes: [],
    hosts: [],
    networks: [],
    services: [],
    sandboxes: [],
  };
}

/** @throws PlanError */
export function deploy(cluster: Cluster, asked: StackSpec): void {
  const spec = { ...asked, containers: placed(asked) };
  try {
    for (const host of spec.outside) cluster.addHost(host);
    for (const node of spec.nodes) cluster.addNode(node);
    cluster.nameMachines();
    for (const rule of spec.firewall ?? []) cluster.block(rule);
    const scope = (network: NetworkSpec) => cluster.options.drivers.get(network.driver).scope;
    for (const network of spec.networks) {
      if (scope(network) !== 'local') continue;
      // One of scope swarm comes to a node with its first container there.
      const nodes = network.scope === 'swarm' ? [] : nodesWith(spec, network.name);
      cluster.networkCreate({ ...network, ...configsOf(spec, network.name) }, nodes);
    }
    if (hasSwarm(spec, (network) => scope(network) === 'swarm')) deploySwarm(cluster, spec);
    for (const container of spec.containers ?? []) cluster.containerStart(cluster.containerCreate(container));
  } catch (error) {
    if (error instanceof RangeError || error instanceof DockerError || error instanceof DriverError)
      throw new PlanError(error.message, { cause: error });
    throw error;
  }
}

function deploySwarm(cluster: Cluster, spec: StackSpec): void {
  const [first, ...others] = spec.nodes;
  if (!first) return;
  const wanted = spec.networks.flatMap(({ subnet }) => (subnet ? [subnet] : []));
  const swarms = spec.networks.filter(({ driver }) => cluster.options.drivers.get(driver).scope === 'swarm');
  cluster.swarmInit(
    first.name,
    swarms.find(({ ingress }) => ingress),
    wanted,
  );
  cluster.nodeUpdate(first.name, { role: first.role });
  for (const { name, role } of others) join(cluster, name, role);
  for (const network of swarms) if (!network.ingress) cluster.networkCreate(network, [], wanted);
  cluster.avoidPorts(spec.services);
  for (const service of spec.services) cluster.serviceCreate(service);
  cluster.avoidPorts([]);
}

/** Containers that are spread have their nodes before anything is made: networks of a node come with them. */
function placed({ nodes, containers = [] }: StackSpec): ContainerSpec[] {
  const done: ContainerSpec[] = [];
  for (const container of containers) {
    const near = done.filter(({ name }) => container.links.some((link) => link.container === name));
    const node =
      container.placement === 'spread'
        ? spreadContainer(
            nodes.map(({ name }) => name),
            done.map((one) => one.node),
            near.map((one) => one.node),
          )
        : container.node;
    done.push({ ...container, node });
  }
  return done;
}

/** One that reaches no manager goes on trying, and the swarm is made without it. */
function join(cluster: Cluster, name: string, role: 'manager' | 'worker'): void {
  try {
    cluster.swarmJoin(name, role);
  } catch (error) {
    if (!(error instanceof DockerError && cluster.node(name).joining)) throw error;
  }
}

/** Without a word there is one, unless all that is asked for is containers on networks of their nodes. */
function hasSwarm(
  { swarm, services, containers = [], networks }: StackSpec,
  spans: (network: NetworkSpec) => boolean,
): boolean {
  return swarm ?? (services.length > 0 || networks.some(spans) || containers.length === 0);
}

/** `docker network create --config-only` on the nodes that have a word of their own. */
function configsOf({ nodes }: StackSpec, network: string): Pick<NetworkSpec, 'configs'> {
  const configs = Object.fromEntries(
    nodes.flatMap(({ name, networks }) => (networks?.[network] ? [[name, networks[network]]] : [])),
  );
  return Object.keys(configs).length > 0 ? { configs } : {};
}

/** A network of scope `local` is made by hand on the nodes whose containers join it. */
function nodesWith({ nodes, containers = [] }: StackSpec, network: string): string[] {
  const wanted = new Set(
    containers.filter(({ networks }) => networks.some(({ name }) => name === network)).map(({ node }) => node),
  );
  return nodes.map(({ name }) => name).filter((name) => wanted.has(name));
}

function whyPending({ constraints, maxReplicasPerNode, placement }: ServiceSpec): string {
  if (Array.isArray(placement)) return `not all of its nodes (${placement.join(', ')}) are free`;
  if (maxReplicasPerNode !== undefined)
    return `no node has room for one more: ${maxReplicasPerNode} on each (max_replicas_per_node)`;
  return constraints.length > 0 ? `no node meets ${constraints.join(' and ')}` : 'no node can have it';
}

/** Services with tasks that found no node, in words. */
export function pendingOf({ services }: Cluster): string[] {
  return [...services.values()].flatMap(({ spec, tasks }) => {
    const waits = [...tasks].some(({ state }) => state === 'pending') || (spec.mode === 'global' && tasks.size === 0);
    return waits ? [`${spec.name}: ${whyPending(spec)}`] : [];
  });
}
