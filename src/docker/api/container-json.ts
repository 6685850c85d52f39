/** Containers as the Engine API tells of them. */

import { DockerError } from '../../swarm/errors.js';
import type { ContainerState } from '../../swarm/state.js';
import type { EngineVersion } from '../../topology/daemon.js';
import type { Endpoint, PublishedPort } from '../../topology/topology.js';
import type { ContainerConfig } from '../container-config.js';
import { digestOf } from '../images.js';
import { isPaused } from '../pause.js';
import type { World } from '../world.js';
import { timeText } from './context.js';

const MINUTE = 60_000_000_000;

/** `Up 5 seconds`, `Exited (0) 2 minutes ago` (cli's HumanDuration). */
export function statusText(world: World, container: ContainerState): string {
  const { status, exitCode, started, finished } = container;
  const { now } = world.engine;
  if (status === 'created') return 'Created';
  if (status === 'running') {
    const health = world.healthOf(container)?.status;
    const more = isPaused(world, container)
      ? ' (Paused)'
      : health === 'starting'
        ? ' (health: starting)'
        : health === undefined
          ? ''
          : ` (${health})`;
    return `Up ${duration(now - (started ?? now))}${more}`;
  }
  const word = status === 'restarting' ? 'Restarting' : 'Exited';
  return `${word} (${exitCode}) ${duration(now - (finished ?? now))} ago`;
}

/** As the Engine API calls it: a frozen one runs, too. */
export function statusOf(world: World, container: ContainerState): string {
  return isPaused(world, container) ? 'paused' : container.status;
}

function healthJson(world: World, container: ContainerState) {
  const health = world.healthOf(container);
  if (!health) return {};
  return {
    Health: {
      Status: health.status,
      FailingStreak: health.failing,
      Log: health.log.map(({ start, end, exitCode, output }) => ({
        Start: timeText(world.at(start)),
        End: timeText(world.at(end)),
        ExitCode: exitCode,
        Output: output,
      })),
    },
  };
}

export function duration(nanoseconds: number): string {
  const seconds = Math.floor(nanoseconds / 1e9);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(nanoseconds / MINUTE);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(minutes / 60);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  return `${Math.floor(hours / 24)} days`;
}

/** One that nobody gave an address is bound at [::] as well, where the node listens there (libnetwork, drivers/bridge). */
function publishedOf(world: World, { sandbox, node }: ContainerState): PublishedPort[] {
  const { engine, nodes } = world.topology;
  const listensOver6 = world.namespace(`${node}/host`).device('lo').ipv6;
  const proxied = nodes.find(({ name }) => name === node)?.daemon?.['userland-proxy'] !== false;
  const over6 =
    listensOver6 &&
    (engine === '20.10' || proxied || sandbox?.endpoints.some(({ address6 }) => address6 !== undefined));
  const [preset] = (sandbox?.endpoints ?? []).flatMap(({ network: name }) => {
    const network = world.cluster.attachments.find(name, node);
    const at = network?.onNode[node]?.hostBinding ?? network?.options?.['com.docker.network.bridge.host_binding_ipv4'];
    return at === undefined ? [] : [at];
  });
  return (sandbox?.publishes ?? []).flatMap((port) => {
    const hostAddress = port.hostAddress ?? preset;
    if (hostAddress !== undefined) return [{ ...port, hostAddress }];
    return over6 ? [port, { ...port, hostAddress: '::' }] : [port];
  });
}

/** Ports as `docker ps` wants them; a running container's alone. */
export function portsJson(world: World, container: ContainerState, config: ContainerConfig) {
  const { sandbox } = container;
  // One that shares a namespace, or has an empty one, has no ports of its own.
  if (!ownDevices(container) || !sandbox) return [];
  const published = publishedOf(world, container);
  const bare = config.exposes.filter(
    ({ port, protocol }) => !published.some((one) => one.target === port && one.protocol === protocol),
  );
  return [
    ...published.map(({ hostAddress, published: PublicPort, target: PrivatePort, protocol: Type }) => ({
      IP: hostAddress ?? '0.0.0.0',
      PrivatePort,
      PublicPort,
      Type,
    })),
    ...bare.map(({ port: PrivatePort, protocol: Type }) => ({ PrivatePort, Type })),
  ];
}

export function endpointJson(world: World, container: ContainerState, endpoint: Endpoint) {
  const network = world.cluster.attachments.network(endpoint.network, container.node);
  const [address = '', length = '0'] = endpoint.address.split('/');
  const [address6 = '', length6 = '0'] = (endpoint.address6 ?? '').split('/');
  const wish = container.spec.networks.find(({ name }) => name === endpoint.network);
  const on = network.onNode[container.node];
  const bridge = network.name === 'bridge';
  return {
    IPAMConfig: wish?.address ? { IPv4Address: wish.address } : bridge ? null : {},
    Links: null,
    ...namesOf(world, container, endpoint, bridge),
    NetworkID: network.id,
    EndpointID: endpointId(container, endpoint.network),
    Gateway: network.driver === 'overlay' ? '' : (on?.gateway ?? ''),
    IPAddress: address,
    IPPrefixLen: Number(length),
    IPv6Gateway: on?.gateway6 ?? '',
    GlobalIPv6Address: address6,
    GlobalIPv6PrefixLen: Number(length6),
    MacAddress: endpoint.mac,
    DriverOpts: null,
  };
}

/** Since API 1.45 what a network's names are is said apart from the aliases that were asked for. */
function namesOf({ topology }: World, { id, name }: ContainerState, { aliases = [] }: Endpoint, bridge: boolean) {
  const short = id.slice(0, 12);
  if (topology.engine === '20.10') return { Aliases: bridge ? null : [...aliases, short] };
  return {
    Aliases: aliases.length > 0 ? aliases : null,
    DNSNames: bridge ? null : [...new Set([name, ...aliases, short])],
    GwPriority: 0,
  };
}

/** One that has not joined yet. */
function emptyEndpoint() {
  return {
    IPAMConfig: null,
    Links: null,
    Aliases: null,
    NetworkID: '',
    EndpointID: '',
    Gateway: '',
    IPAddress: '',
    IPPrefixLen: 0,
    IPv6Gateway: '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    MacAddress: '',
    DriverOpts: null,
  };
}

/** Its first process' number on the node. */
export function pidOf({ id }: ContainerState): number {
  return 1000 + (Number.parseInt(id.slice(0, 4), 16) % 30000);
}

/** A port that is taken is told of as the endpoint's whose it would be (libnetwork sandbox.go, endpoint.go). */
export function withEndpoint(error: unknown, container: ContainerState, engine: EngineVersion): unknown {
  if (!(error instanceof DockerError) || !/^Bind for .* failed: port is already allocated$/.test(error.message))
    return error;
  const [network = 'bridge'] = networkNames(container);
  const words = `driver failed programming external connectivity on endpoint ${container.name} (${endpointId(container, network)}): ${error.message}`;
  return new DockerError(error.status, engine === '28' ? `failed to set up container networking: ${words}` : words);
}

/** 64 digits of its own for each endpoint, from the ids that there are. */
export function endpointId({ id }: { id: string }, network: string): string {
  return digestOf(`${id} ${network}`);
}

/** The networks that it is on, or is to be on. */
export function networkNames({ spec, sandbox }: ContainerState): string[] {
  if (spec.sharesWith !== undefined) return [];
  const joined = sandbox?.endpoints.map(({ network }) => network).filter((name) => name !== 'docker_gwbridge') ?? [];
  if (joined.length > 0) return joined;
  if (spec.networks.length > 0) return spec.networks.map(({ name }) => name);
  // It runs and has left the last of them.
  return sandbox ? [] : ['bridge'];
}

/** host and none have an id of their own on each node. */
export function networkIdOf({ cluster }: World, node: string, name: string): string | undefined {
  if (!cluster.options.drivers.withOnly(name)) return cluster.attachments.find(name, node)?.id;
  let text = '';
  for (const letter of `${name}${cluster.node(node).id}`) text += letter.charCodeAt(0).toString(16);
  return text.padEnd(64, '0').slice(0, 64);
}

export function networksJson(world: World, container: ContainerState) {
  return Object.fromEntries(
    networkNames(container).map((name) => {
      const endpoint = container.sandbox?.endpoints.find(({ network }) => network === name);
      if (endpoint) return [name, endpointJson(world, container, endpoint)];
      const running = container.sandbox !== undefined;
      const ids = { NetworkID: networkIdOf(world, container.node, name), EndpointID: endpointId(container, name) };
      return [name, { ...emptyEndpoint(), ...(running ? ids : {}) }];
    }),
  );
}

/** Where its namespace is mounted; one that is another container's is that one's business. */
function sandboxKey(container: ContainerState): string {
  const { sandbox, spec } = container;
  if (!sandbox || spec.sharesWith !== undefined) return '';
  if (sandbox.shares === 'host') return '/var/run/docker/netns/default';
  return `/var/run/docker/netns/${endpointId(container, 'sandbox').slice(0, 12)}`;
}

/** On `none` there is nothing to publish by. */
function ownDevices({ sandbox }: ContainerState): boolean {
  return (sandbox?.endpoints.length ?? 0) > 0;
}

/** `size`: what `docker ps -s` wants besides. */
export function summaryJson(world: World, container: ContainerState, size = false) {
  const config = world.configOf(container);
  return {
    Id: container.id,
    Names: [`/${container.name}`],
    Image: config.reference,
    ImageID: config.image.id,
    Command: [...config.entrypoint, ...config.command].map((word) => (/\s/.test(word) ? `'${word}'` : word)).join(' '),
    Created: Number(world.at(container.created) / 1_000_000_000n),
    Ports: portsJson(world, container, config),
    Labels: config.labels,
    State: statusOf(world, container),
    Status: statusText(world, container),
    HostConfig: { NetworkMode: config.networkMode },
    NetworkSettings: { Networks: networksJson(world, container) },
    Mounts: [],
    ...(size ? sizes(config) : {}),
  };
}

/** Nothing is ever written to an image's layers here. */
function sizes({ image }: ContainerConfig) {
  return { SizeRw: 0, SizeRootFs: image.size };
}

export function inspectJson(world: World, container: ContainerState, size = false) {
  const config = world.configOf(container);
  const { sandbox } = container;
  const bindings = Object.fromEntries(
    config.exposes.map(({ port, protocol }) => [
      `${port}/${protocol}`,
      null as null | { HostIp: string; HostPort: string }[],
    ]),
  );
  for (const { hostAddress, published, target, protocol } of publishedOf(world, container)) {
    const key = `${target}/${protocol}`;
    bindings[key] = [...(bindings[key] ?? []), { HostIp: hostAddress ?? '0.0.0.0', HostPort: String(published) }];
  }
  const first = sandbox?.endpoints.find(({ network }) => network === 'bridge');
  const firstJson = first && endpointJson(world, container, first);
  const running = container.status === 'running';
  const restarting = container.status === 'restarting';
  const environment = Object.entries(config.environment).map(([name, value]) => `${name}=${value}`);
  const asked = Object.fromEntries(
    container.spec.ports.map(({ target, protocol, published, hostAddress }) => [
      `${target}/${protocol}`,
      [{ HostIp: hostAddress ?? '', HostPort: published === undefined ? '' : String(published) }],
    ]),
  );
  return {
    Id: container.id,
    Created: timeText(world.at(container.created)),
    Path: [...config.entrypoint, ...config.command][0] ?? '',
    Args: [...config.entrypoint, ...config.command].slice(1),
    State: {
      Status: statusOf(world, container),
      Running: running || restarting,
      Paused: isPaused(world, container),
      Restarting: restarting,
      OOMKilled: false,
      Dead: false,
      Pid: running ? pidOf(container) : 0,
      ExitCode: running ? 0 : container.exitCode,
      Error: '',
      StartedAt: timeText(container.started === undefined ? undefined : world.at(container.started)),
      FinishedAt: timeText(container.finished === undefined ? undefined : world.at(container.finished)),
      ...healthJson(world, container),
    },
    Image: config.image.id,
    ResolvConfPath: '',
    HostnamePath: '',
    HostsPath: '',
    LogPath: '',
    Name: `/${container.name}`,
    RestartCount: container.restarts.count,
    Driver: 'overlay2',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: null,
    HostConfig: {
      NetworkMode: config.networkMode,
      PortBindings: asked,
      RestartPolicy: {
        Name: container.restarts.policy.name,
        MaximumRetryCount: container.restarts.policy.most ?? 0,
      },
      AutoRemove: config.autoRemove,
      LogConfig: { Type: 'json-file', Config: {} },
      Links:
        container.spec.links.length > 0
          ? container.spec.links.map(({ container: to, alias }) => `/${to}:/${container.name}/${alias}`)
          : null,
    },
    GraphDriver: { Data: null, Name: 'overlay2' },
    Mounts: [],
    ...(size ? sizes(config) : {}),
    Config: {
      Hostname: world.hostnameOf(container),
      Domainname: container.spec.domainname ?? '',
      User: '',
      AttachStdin: config.openStdin,
      AttachStdout: config.attachStdout,
      AttachStderr: config.attachStdout,
      Tty: config.tty,
      OpenStdin: config.openStdin,
      StdinOnce: config.stdinOnce,
      ExposedPorts: Object.fromEntries(config.exposes.map(({ port, protocol }) => [`${port}/${protocol}`, {}])),
      Env: environment,
      Cmd: config.command,
      Image: config.reference,
      Volumes: null,
      WorkingDir: '',
      Entrypoint: config.entrypoint.length > 0 ? config.entrypoint : null,
      OnBuild: null,
      Labels: config.labels,
    },
    NetworkSettings: {
      Bridge: '',
      SandboxID: sandbox && container.spec.sharesWith === undefined ? endpointId(container, 'sandbox') : '',
      HairpinMode: false,
      LinkLocalIPv6Address: '',
      LinkLocalIPv6PrefixLen: 0,
      Ports: running && sandbox?.shares === undefined && ownDevices(container) ? bindings : {},
      SandboxKey: sandboxKey(container),
      SecondaryIPAddresses: null,
      SecondaryIPv6Addresses: null,
      EndpointID: firstJson?.EndpointID ?? '',
      Gateway: firstJson?.Gateway ?? '',
      GlobalIPv6Address: firstJson?.GlobalIPv6Address ?? '',
      GlobalIPv6PrefixLen: firstJson?.GlobalIPv6PrefixLen ?? 0,
      IPAddress: firstJson?.IPAddress ?? '',
      IPPrefixLen: firstJson?.IPPrefixLen ?? 0,
      IPv6Gateway: firstJson?.IPv6Gateway ?? '',
      MacAddress: firstJson?.MacAddress ?? '',
      Networks: networksJson(world, container),
    },
  };
}
