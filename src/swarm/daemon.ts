/**
 * `systemctl restart docker` on a node: what runs there ends, dockerd reads its daemon.json anew, and docker0 comes up as that
 * says (moby cmd/dockerd, daemon/daemon_unix.go initBridgeDriver). Containers start again if their restart policy says so; a swarm
 * replaces its tasks.
 */

import type { DaemonConfig } from '../topology/daemon.js';
import type { Network } from '../topology/topology.js';
import type { Containers } from './containers.js';
import { DockerError } from './errors.js';
import type { Records } from './records.js';

/** What dockerd programmed for all networks of a node at once, when it first came up. */
const FIXED = ['iptables', 'ip-forward', 'userland-proxy'] as const;

/** `config` has been checked. @throws DockerError in dockerd's words: the daemon that ran goes on as it was. */
export function restartDaemon(records: Records, containers: Containers, name: string, config: DaemonConfig): void {
  const node = records.topology.nodes.find((one) => one.name === name);
  if (!node) throw new DockerError(404, `there is no node ${name}`);
  const before = node.daemon;
  const fixed = FIXED.find((key) => (config[key] ?? true) !== (before?.[key] ?? true));
  if (fixed)
    throw new DockerError(
      400,
      `${fixed}: not simulated on a node that runs; a stack file says it beforehand (docs/stack-files.md)`,
    );
  if (config.ipv6 && !config['fixed-cidr-v6'])
    throw new DockerError(
      500,
      'failed to start daemon: Error initializing network controller: Error creating default "bridge" network: could not find an available, non-overlapping IPv6 address pool among the defaults to assign to the network',
    );
  for (const container of records.containersOn(name)) containers.halt(container);
  node.daemon = config;
  const docker0 = records.attachments.find('bridge', name);
  if (docker0) recreate(records, docker0, name);
  records.changed();
}

/** The bridge itself stays: with its hardware address. */
function recreate({ attachments }: Records, network: Network, node: string): void {
  const old = network.onNode[node];
  if (old) attachments.renew(network, node, { bridge: old.bridge, bridgeMac: old.bridgeMac });
}
