/**
 * Who has a manager: agents and managers talk on port 2377 (swarmkit agent/session.go, manager/dispatcher). An agent dials any
 * manager that it can reach; managers among themselves have to reach each other, both ways.
 */

import { MANAGEMENT_PORT } from '../traffic/management.js';
import type { Records } from './records.js';
import type { NodeState } from './state.js';

type Cluster = Pick<Records, 'nodes' | 'firewall'>;

/** Managers that can speak with the leader, which is the first of those that are not lost. */
export function managersOf(cluster: Cluster): NodeState[] {
  const [leader, ...others] = [...cluster.nodes.values()].filter(
    ({ member, role, lost }) => member && role === 'manager' && !lost,
  );
  if (!leader) return [];
  return [leader, ...others.filter((one) => isOpen(cluster, one, leader) && isOpen(cluster, leader, one))];
}

/** Is the member heard by a manager? Where there is none nobody notices. */
export function hasSession(cluster: Cluster, node: NodeState): boolean {
  const managers = managersOf(cluster);
  if (managers.length === 0 || managers.includes(node)) return true;
  return node.role === 'worker' && managers.some((one) => isOpen(cluster, node, one));
}

/** Can the node join? A manager to be has to be reached, too. */
export function reachesManager(cluster: Cluster, node: NodeState): boolean {
  if (node.lost) return false;
  return managersOf(cluster).some(
    (one) => isOpen(cluster, node, one) && (node.role === 'worker' || isOpen(cluster, one, node)),
  );
}

function isOpen({ firewall }: Cluster, from: NodeState, to: NodeState): boolean {
  return firewall.isOpen(from.name, to.name, 'tcp', MANAGEMENT_PORT);
}
