/**
 * Keys of a service that have no effect, and why.
 * Source: docker/cli, cli/compose/types/types.go (UnsupportedProperties, DeprecatedProperties, ForbiddenProperties),
 * and the keys of the Compose Specification that file format 3 does not have.
 */

const BY_DOCKER = 'docker stack deploy ignores it';
const FORBIDDEN = 'docker stack deploy refuses it; it has no bearing on networks, so it is ignored here';
const COMPOSE_ONLY = 'docker stack deploy does not know it; only docker compose does';

/** Of no bearing on networks, by what `docker stack deploy` makes of them. */
const LEFT_OUT = 'cgroupns_mode cgroup_parent devices ipc pid privileged security_opt shm_size userns_mode';
const REFUSED = 'volume_driver volumes_from cpu_quota cpu_shares cpuset mem_limit memswap_limit';
const LATER =
  'annotations attach blkio_config cgroup cpu_count cpu_percent cpu_period cpu_rt_period cpu_rt_runtime cpus develop device_cgroup_rules ' +
  'gpus group_add label_file mem_reservation mem_swappiness models oom_kill_disable oom_score_adj pids_limit platform post_start pre_stop ' +
  'provider pull_policy pull_refresh_after runtime storage_opt use_api_socket uts';

function each(keys: string, why: string): [string, string][] {
  return keys.split(' ').map((key) => [key, why]);
}

export const IGNORED_KEYS = new Map<string, string>([
  ['build', `${BY_DOCKER}, and swarmwire runs no image`],
  ['depends_on', `${BY_DOCKER}; all services start together`],
  ['restart', `${BY_DOCKER}; a swarm has deploy.restart_policy`],
  ['container_name', `${BY_DOCKER}; a task is named after its service`],
  ['expose', `${BY_DOCKER}; tasks on one network reach each other on every port`],
  ['links', `${BY_DOCKER}; tasks on one network find each other by the service's name`],
  ['external_links', `${BY_DOCKER}; tasks on one network find each other by the service's name`],
  ['scale', `${COMPOSE_ONLY}; a swarm has deploy.replicas`],
  ['profiles', `${COMPOSE_ONLY}; every service is deployed`],
  ...each(LEFT_OUT, BY_DOCKER),
  ...each(REFUSED, FORBIDDEN),
  ...each(LATER, COMPOSE_ONLY),
]);

export const UNSUPPORTED_KEYS = new Map<string, string>([
  ['mac_address', 'docker stack deploy ignores it too; a MAC address is derived from the IP address'],
  [
    'network_mode',
    'docker stack deploy ignores it too; join the network host instead (networks: {outside: {external: true, name: host}}), or write x-swarmwire: {swarm: false} for containers as docker compose makes them',
  ],
]);

/** Keys of a service's entry under `networks`. */
export const UNSUPPORTED_ATTACHMENT_KEYS = new Map<string, string>([
  ['ipv4_address', 'docker stack deploy ignores it too; a task gets the next free address'],
  ['ipv6_address', 'docker stack deploy ignores it too; a task has IPv4 addresses only'],
  ['link_local_ips', 'docker stack deploy ignores it too'],
  ['mac_address', 'docker stack deploy ignores it too; a MAC address is derived from the IP address'],
  ['interface_name', 'interfaces are named eth0, eth1, …'],
  ['driver_opts', 'no option is passed to the driver'],
  ['priority', 'networks are joined in the order of their names'],
  ['gw_priority', 'the default route goes by docker_gwbridge'],
]);

/** The same for containers as `docker compose up` makes them. */
export const COMPOSE_IGNORED_KEYS = new Map<string, string>([
  ['external_links', 'containers on one network find each other by name'],
  ['profiles', 'every service is started'],
  ...each(`build ${LEFT_OUT} ${REFUSED} ${LATER}`, 'it has no bearing on networks'),
]);

/** Keys of such a service's entry under `networks`. */
export const COMPOSE_UNSUPPORTED_ATTACHMENT_KEYS = new Map<string, string>([
  ['interface_name', 'interfaces are named eth0, eth1, …'],
  ['driver_opts', 'no option is passed to the driver'],
]);
