/** The changes of a stack file, asked of Docker at their times. */

import type { ChangeSpec } from '../topology/spec.js';
import type { Cluster } from './cluster.js';
import { ruleText } from './firewall.js';
import type { ContainerState } from './state.js';

/** @throws DockerError what Docker would refuse */
export function apply(cluster: Cluster, change: ChangeSpec): void {
  switch (change.what) {
    case 'scale':
      cluster.serviceUpdate(change.service, { replicas: change.replicas });
      break;
    case 'update':
      cluster.serviceUpdate(change.service, change.change);
      break;
    case 'rollback':
      cluster.serviceRollback(change.service);
      break;
    case 'remove':
      cluster.serviceRemove(change.service);
      break;
    case 'exit':
      cluster.containerExited(containerOf(cluster, change.name), change.code);
      break;
    case 'kill':
      cluster.containerKill(containerOf(cluster, change.name));
      break;
    case 'stop':
      cluster.containerStop(containerOf(cluster, change.name));
      break;
    case 'start':
      cluster.containerStart(cluster.container(change.container));
      break;
    case 'availability':
      cluster.nodeUpdate(change.node, { availability: change.availability });
      break;
    case 'block':
      cluster.block(change.rule);
      break;
    case 'unblock':
      cluster.unblock(change.rule);
      break;
    case 'lose':
      cluster.nodeLost(change.node);
      break;
    case 'restore':
      cluster.nodeBack(change.node);
      break;
    case 'connect': {
      const { aliases, address } = change;
      cluster.networkConnect(change.network, cluster.container(change.container), {
        aliases,
        ...(address === undefined ? {} : { address }),
      });
      break;
    }
    case 'disconnect':
      cluster.networkDisconnect(change.network, cluster.container(change.container));
      break;
  }
}

/** `web.2` is the task's container, anything else a container's name. */
function containerOf(cluster: Cluster, name: string): ContainerState {
  const task = cluster.orchestrator.tasks.find((one) => one.name === name && one.container?.sandbox);
  return task?.container ?? cluster.container(name);
}

/** `scale web=1`, as one would type it. */
export function words(change: ChangeSpec): string {
  switch (change.what) {
    case 'scale':
      return `docker service scale ${change.service}=${change.replicas}`;
    case 'update':
      return `docker service update ${change.service}`;
    case 'rollback':
      return `docker service rollback ${change.service}`;
    case 'remove':
      return `docker service rm ${change.service}`;
    case 'exit':
      return `${change.name} exits with ${change.code}`;
    case 'kill':
    case 'stop':
      return `docker ${change.what} ${change.name}`;
    case 'start':
      return `docker start ${change.container}`;
    case 'availability':
      return `docker node update --availability ${change.availability} ${change.node}`;
    case 'block':
      return `the firewall blocks ${ruleText(change.rule)}`;
    case 'unblock':
      return `the firewall lets ${ruleText(change.rule)} through again`;
    case 'lose':
      return `${change.node} is lost`;
    case 'restore':
      return `${change.node} is back`;
    case 'connect':
    case 'disconnect':
      return `docker network ${change.what} ${change.network} ${change.container}`;
  }
}
