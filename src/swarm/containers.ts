/** `docker run`, `start`, `stop`, `kill`, `rm`, `network connect`: containers and their sandboxes (moby daemon/container_operations.go). */

import type { AttachmentSpec, ContainerSpec, NamingSpec } from '../topology/spec.js';
import type { Network, Sandbox } from '../topology/topology.js';
import { DockerError } from './errors.js';
import { linkAliasesOf, linksOf } from './links.js';
import { checkConnect, checkDisconnect, checkMode, checkTogether, checkWish, withoutDevices } from './network-mode.js';
import type { Networks } from './networks.js';
import { STOP_GRACE, TEARDOWN } from './pace.js';
import type { Records } from './records.js';
import { Restarts } from './restart.js';
import { GWBRIDGE } from './sandbox.js';
import { reachesManager } from './sessions.js';
import type { ContainerState, TaskState } from './state.js';

/** Whose containers are tasks. */
interface TaskWatcher {
  /** Its endpoints are about to go. */
  leaving(task: TaskState): void;
  ended(task: TaskState, exitCode: number): void;
}

interface Joining {
  attachment: AttachmentSpec;
  network: Network;
}

export class Containers {
  constructor(
    readonly records: Records,
    readonly networks: Networks,
    readonly tasks: TaskWatcher,
  ) {}

  /** By name or id (or its first digits), on a node. */
  find(name: string, node?: string): ContainerState {
    const here = [...this.records.containers.values()].filter((one) => node === undefined || one.node === node);
    const found =
      here.find((one) => one.name === name || one.id === name) ?? here.find(({ id }) => id.startsWith(name));
    if (found && name !== '') return found;
    throw new DockerError(404, `No such container: ${name}`);
  }

  create(spec: ContainerSpec, task?: TaskState): ContainerState {
    this.records.node(spec.node);
    checkMode(spec);
    const conflict = this.records.containers.named(spec.node, spec.name);
    if (conflict)
      throw new DockerError(
        409,
        `Conflict. The container name "/${spec.name}" is already in use by container "${conflict.id}". You have to remove (or rename) that container to be able to reuse that name.`,
      );
    const container: ContainerState = {
      id: this.records.allocator.containerId(),
      name: spec.name,
      node: spec.node,
      spec: { ...spec, networks: [...spec.networks] },
      status: 'created',
      exitCode: 0,
      created: this.records.clock.now,
      restarts: new Restarts(spec.restart ?? { name: 'no' }),
      ...(task ? { task } : {}),
    };
    this.records.containers.set(container.id, container);
    this.#tell(container, 'create');
    return container;
  }

  /** Its networks in the order in which it joins them. */
  start(container: ContainerState): Sandbox {
    if (container.sandbox) return container.sandbox;
    container.restarts.begin();
    return this.#start(container);
  }

  #start(container: ContainerState): Sandbox {
    const { spec, node } = container;
    const { shares, networks } = this.#placeOf(container);
    const sandbox: Sandbox = {
      name: this.#sandboxName(node, container.task ? `task-${container.task.name}` : `ct-${container.name}`, container),
      node,
      kind: container.task ? 'task' : 'container',
      ...(shares === undefined ? {} : { shares }),
      endpoints: [],
      container: container.name,
      id: container.id,
      ...(spec.image ? { image: spec.image } : {}),
      ...namingOf(spec),
      ...(spec.sysctls ? { sysctls: spec.sysctls } : {}),
      ...(container.task ? { service: container.task.service.spec.name, task: container.task.name } : {}),
    };
    try {
      this.#standUp(container, sandbox, networks);
    } catch (error) {
      this.#takeDown(container, sandbox);
      throw error;
    }
    container.status = 'running';
    container.started = this.records.clock.now;
    delete container.finished;
    container.exitCode = 0;
    this.records.options.runtime?.started?.(container, sandbox);
    this.#tell(container, 'start');
    this.records.changed();
    return sandbox;
  }

  /** Its ports, its namespace, its endpoints in their order. */
  #standUp(container: ContainerState, sandbox: Sandbox, networks: readonly Joining[]): void {
    const { node, spec } = container;
    // Ports of a container that has the node's own are the node's: they are not published.
    for (const port of sandbox.shares === undefined ? spec.ports : [])
      sandbox.publishes = [...(sandbox.publishes ?? []), this.records.allocator.ports.publish(node, port)];
    if (networks.some(({ network }) => network.name !== 'bridge')) sandbox.resolver = this.records.allocator.resolver();
    // A manager gives a container its address first; the load balancer that comes to the node with the network has the next one.
    const taken = new Map<Network, string>();
    for (const { network, attachment } of networks)
      if (!container.task && !this.records.allocator.isLocal(network) && !network.onNode[node])
        taken.set(network, this.records.allocator.address(node, network, attachment.address));
    for (const { network } of networks) this.networks.reach(network, node);
    this.records.attachments.addSandbox(sandbox);
    container.sandbox = sandbox;
    for (const { network, attachment } of networks)
      this.#join(container, sandbox, network, attachment, taken.get(network));
  }

  /** It could not start: what it has got so far is given back (daemon/start.go). */
  #takeDown(container: ContainerState, sandbox: Sandbox): void {
    const names = sandbox.endpoints.map(({ network }) => network);
    if (container.sandbox) this.records.attachments.removeSandbox(sandbox);
    else for (const port of sandbox.publishes ?? []) this.records.allocator.ports.unpublish(container.node, port);
    delete container.sandbox;
    container.exitCode = 128;
    this.networks.tidy(container.node, names);
  }

  /** In whose namespace it is to be, and which networks it joins. */
  #placeOf(container: ContainerState): { shares?: string; networks: Joining[] } {
    const { spec, node } = container;
    if (spec.sharesWith !== undefined) return { shares: this.#sharedWith(container, spec.sharesWith), networks: [] };
    const wanted: AttachmentSpec[] = spec.networks.length > 0 ? spec.networks : [{ name: 'bridge', aliases: [] }];
    checkTogether(wanted.map(({ name }) => name));
    for (const attachment of wanted) {
      const network = this.records.attachments.find(attachment.name, node);
      checkWish(attachment, network && this.records.networkSpecs.get(network));
    }
    const alone = withoutDevices(wanted, this.records.options.drivers);
    if (alone) return { ...(alone === 'node' ? { shares: 'host' } : {}), networks: [] };
    return {
      networks: wanted.map((attachment) => ({ attachment, network: this.#attachable(container, attachment.name) })),
    };
  }

  /** Its namespace is another container's, which runs (daemon/container_operations_unix.go, getNetworkedContainer). */
  #sharedWith(container: ContainerState, name: string): string {
    const other = this.find(name, container.node);
    if (other === container) throw new DockerError(500, 'cannot join own network');
    if (!other.sandbox) throw new DockerError(409, `cannot join network of a non running container: ${other.id}`);
    return other.sandbox.shares ?? other.sandbox.name;
  }

  /** A name of our own: the one before may not have gone yet. */
  #sandboxName(node: string, name: string, { id }: ContainerState): string {
    return this.records.attachments.isTaken(node, name) ? `${name}.${id.slice(0, 5)}` : name;
  }

  #attachable(container: ContainerState, name: string): Network {
    if (this.records.configNetworks.find(name, container.node))
      throw new DockerError(403, 'cannot create endpoint on configuration-only network');
    const network = this.records.attachments.network(name, container.node);
    if ((this.records.allocator.isLocal(network) && network.scope !== 'swarm') || container.task) return network;
    // A manager gives the address; who reaches none gives up after a while (daemon/cluster/networks.go, AttachNetwork).
    const node = this.records.node(container.node);
    if (node.role === 'worker' && !reachesManager(this.records, node))
      throw new DockerError(500, `Could not attach to network ${name}: context deadline exceeded`);
    if (this.records.networkSpecs.get(network)?.attachable === false)
      throw new DockerError(
        403,
        `Could not attach to network ${name}: rpc error: code = PermissionDenied desc = network ${name} not manually attachable`,
      );
    return network;
  }

  #join(
    container: ContainerState,
    sandbox: Sandbox,
    network: Network,
    attachment: AttachmentSpec,
    given?: string,
  ): void {
    const taken = given ?? container.task?.addresses.get(network.name);
    if (taken) container.task?.addresses.delete(network.name);
    this.networks.reach(network, container.node);
    const links = network.name === 'bridge' ? linksOf(container, sandbox, this.records) : undefined;
    const aliases = network.name !== 'bridge' && !links ? linkAliasesOf(container) : undefined;
    const { name: _, ...wish } = attachment;
    this.records.attachments.connect(sandbox, network, {
      ...wish,
      ...(taken ? { taken } : {}),
      ...(links ? { links } : {}),
      ...(aliases ? { linkAliases: aliases } : {}),
    });
    this.#tellOfNetwork(container, 'connect', network);
  }

  /** SIGTERM, and SIGKILL after `grace` (ns) for whoever has not ended by then. */
  stop(container: ContainerState, grace = STOP_GRACE, done: () => void = () => {}): void {
    const { sandbox } = container;
    container.restarts.stopped = true;
    if (!sandbox) {
      if (container.status === 'restarting') container.status = 'exited';
      done();
      return;
    }
    const { after, exitCode } = this.records.options.runtime?.terminated?.(container, sandbox) ?? {
      after: 0,
      exitCode: 0,
    };
    const late = after > grace;
    const wait = late ? grace : after;
    // Without a limit it ends when it ends.
    if (Number.isFinite(wait))
      this.records.clock.after(wait, () => this.#end(container, sandbox, late ? 137 : exitCode, done));
  }

  /** `docker kill`: a signal that its process does not survive. */
  kill(container: ContainerState, exitCode = 137, signal = 9): void {
    const { sandbox } = container;
    container.restarts.stopped = true;
    if (!sandbox)
      throw new DockerError(409, `Cannot kill container: ${container.name}: Container ${container.id} is not running`);
    this.#tell(container, 'kill', { signal: String(signal) });
    this.#end(container, sandbox, exitCode);
  }

  /** Its process has ended by itself. */
  exited(container: ContainerState, exitCode: number): void {
    if (container.sandbox) this.#end(container, container.sandbox, exitCode);
  }

  readonly #ending = new Set<Sandbox>();

  #end(container: ContainerState, sandbox: Sandbox, exitCode: number, done: () => void = () => {}): void {
    if (container.sandbox !== sandbox || this.#ending.has(sandbox)) return;
    this.#ending.add(sandbox);
    this.records.options.runtime?.ended?.(container, sandbox);
    this.records.clock.after(TEARDOWN, () => {
      this.#ending.delete(sandbox);
      if (container.sandbox === sandbox) this.finish(container, exitCode);
      this.#startAgain(container, exitCode);
      done();
    });
  }

  /** Its restart policy. A task has none: its swarm sees to it. */
  #startAgain(container: ContainerState, exitCode: number): void {
    const { restarts, started = 0, finished = 0 } = container;
    const wait = restarts.after(exitCode, finished - started);
    if (wait === undefined || !this.records.containers.has(container.id)) return;
    container.status = 'restarting';
    this.records.clock.after(wait, () => {
      if (container.status !== 'restarting' || !this.records.containers.has(container.id)) return;
      try {
        this.#start(container);
      } catch (error) {
        if (!(error instanceof DockerError)) throw error;
        container.status = 'exited';
      }
    });
  }

  /** dockerd itself ends: its process ends at once, whatever it does with the signal. */
  halt(container: ContainerState): void {
    const { sandbox } = container;
    if (!sandbox) return;
    const { runtime } = this.records.options;
    const { exitCode } = runtime?.terminated?.(container, sandbox) ?? { exitCode: 0 };
    if (!this.#ending.has(sandbox)) runtime?.ended?.(container, sandbox);
    this.finish(container, exitCode);
    this.#startAgain(container, exitCode);
  }

  /** dockerd takes the endpoints away (releaseNetwork). */
  finish(container: ContainerState, exitCode: number): void {
    const { sandbox, task, node } = container;
    if (!sandbox) return;
    if (task) this.tasks.leaving(task);
    const names = sandbox.endpoints.map(({ network }) => network);
    const left = names.filter((name) => name !== GWBRIDGE).map((name) => this.records.attachments.network(name, node));
    this.records.attachments.removeSandbox(sandbox);
    delete container.sandbox;
    container.status = 'exited';
    container.exitCode = exitCode;
    container.finished = this.records.clock.now;
    this.#tell(container, 'die', { exitCode: String(exitCode) });
    for (const network of left) this.#tellOfNetwork(container, 'disconnect', network);
    if (task) this.tasks.ended(task, exitCode);
    this.networks.tidy(node, names);
    this.records.changed();
  }

  remove(container: ContainerState, force = false): void {
    if (container.sandbox && !force)
      throw new DockerError(
        409,
        `You cannot remove a running container ${container.id}. Stop the container before attempting removal or force remove`,
      );
    if (container.sandbox) {
      if (!this.#ending.has(container.sandbox)) this.records.options.runtime?.ended?.(container, container.sandbox);
      this.finish(container, 137);
    }
    if (container.status === 'restarting' && !force)
      throw new DockerError(
        409,
        `You cannot remove a restarting container ${container.id}. Stop the container before attempting removal or force remove`,
      );
    this.records.containers.delete(container.id);
    this.#tell(container, 'destroy');
  }

  rename(container: ContainerState, name: string): void {
    const other = this.records.containers.named(container.node, name);
    if (other === container) throw new DockerError(400, 'Renaming a container with the same name as its current name');
    if (other)
      throw new DockerError(
        409,
        `Error when allocating new name: Conflict. The container name "/${name}" is already in use by container "${other.id}". You have to remove (or rename) that container to be able to reuse that name.`,
      );
    const oldName = `/${container.name}`;
    this.records.containers.rename(container, name);
    if (container.sandbox) container.sandbox.container = name;
    this.#tell(container, 'rename', { oldName });
  }

  #tell({ id, name, node, spec }: ContainerState, action: string, more: Record<string, string> = {}): void {
    this.records.tell('container', action, name, { id, image: spec.image ?? '', ...more }, node);
  }

  #tellOfNetwork({ id: container, node }: ContainerState, action: string, { id, name, driver }: Network): void {
    this.records.tell('network', action, name, { id, container, type: driver }, node);
  }

  /** `docker network connect`: aliases, an address, links. A stopped container joins when it starts. */
  connect(name: string, container: ContainerState, attachment: Omit<AttachmentSpec, 'name'> = { aliases: [] }): void {
    const { networks } = container.spec;
    if (networks.length === 0 && container.spec.sharesWith === undefined)
      networks.push({ name: 'bridge', aliases: [] });
    checkConnect(
      container.spec,
      networks.map((one) => one.name),
      this.records.attachments.find(name, container.node)?.name ?? name,
    );
    const network = this.#attachable(container, name);
    if (networks.some((one) => one.name === network.name))
      throw new DockerError(403, `endpoint with name ${container.name} already exists in network ${network.name}`);
    const { sandbox } = container;
    const joined: AttachmentSpec = { ...attachment, name: network.name };
    checkWish(joined, this.records.networkSpecs.get(network));
    if (sandbox) {
      sandbox.resolver ??= this.#resolverFor(sandbox);
      this.#join(container, sandbox, network, joined);
    }
    networks.push(joined);
    this.records.changed();
  }

  /** A container that was on docker0 alone gets its DNS server with its first network that has names. */
  #resolverFor(sandbox: Sandbox): { udp: number; tcp: number } {
    const resolver = this.records.allocator.resolver();
    this.records.options.programmer.addResolver(sandbox, resolver);
    return resolver;
  }

  disconnect(name: string, container: ContainerState): void {
    const { networks, sharesWith } = container.spec;
    checkDisconnect(container.spec, name);
    const bare = this.records.options.drivers.withOnly(name) !== undefined;
    const network = bare ? undefined : this.records.attachments.network(name, container.node);
    const known = network?.name ?? name;
    if (networks.length === 0 && sharesWith === undefined) networks.push({ name: 'bridge', aliases: [] });
    const at = networks.findIndex((one) => one.name === known);
    if (at < 0) throw new DockerError(403, `container ${container.id} is not connected to network ${known}`);
    networks.splice(at, 1);
    if (container.sandbox && network) {
      this.records.attachments.disconnect(container.sandbox, network);
      this.networks.tidy(container.node, [known]);
    }
    if (network) this.#tellOfNetwork(container, 'disconnect', network);
    this.records.changed();
  }
}

export function namingOf({ hostname, domainname, dns, extraHosts }: NamingSpec): NamingSpec {
  return {
    ...(hostname === undefined ? {} : { hostname }),
    ...(domainname === undefined ? {} : { domainname }),
    ...(dns === undefined ? {} : { dns }),
    ...(extraHosts === undefined ? {} : { extraHosts: [...extraHosts] }),
  };
}
