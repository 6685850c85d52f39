/**
 * From what a person asked for to a topology with every choice made, as a swarm's managers and engines make them, without an
 * engine: the swarm is stood up, and nothing is programmed.
 */

import { type Driver, Drivers } from '../drivers/index.js';
import type { StackSpec } from '../topology/spec.js';
import type { Topology } from '../topology/topology.js';
import { NoTime } from './clock.js';
import { Cluster } from './cluster.js';
import { deploy, emptyTopology, pendingOf } from './deploy.js';
import type { Programmer } from './realize.js';

export { PlanError } from './deploy.js';
export { INGRESS } from './members.js';

export interface Plan {
  topology: Topology;
  /** Tasks that found no node, in words. */
  pending: string[];
}

const nothing = () => {};
const NOTHING: Programmer = {
  addHost: nothing,
  addNode: nothing,
  setNodeUp: nothing,
  createNetwork: nothing,
  deleteNetwork: nothing,
  part: nothing,
  forget: nothing,
  meet: nothing,
  deny: nothing,
  allow: nothing,
  addSandbox: nothing,
  addResolver: nothing,
  removeSandbox: nothing,
  attach: nothing,
  detach: nothing,
  programMesh: nothing,
  revokeMesh: nothing,
  redirect: nothing,
  addBackend: nothing,
  disableBackend: nothing,
  removeBackend: nothing,
};

/** Throws `PlanError`, and `UnknownDriver` for a network whose driver is none of Docker's and none of `drivers`. */
export function plan(spec: StackSpec, seed: number, drivers: readonly Driver[] = []): Plan {
  const topology = emptyTopology(spec);
  const cluster = new Cluster(topology, {
    seed,
    drivers: new Drivers(drivers),
    programmer: NOTHING,
    clock: new NoTime(),
  });
  deploy(cluster, spec);
  return { topology, pending: pendingOf(cluster) };
}
