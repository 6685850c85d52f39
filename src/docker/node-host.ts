/** What a served node has beside its Engine: namespaces by Docker's names for them, processes of containers, services. */

import type { Namespace, SocketEntry } from '../engine/index.js';
import type { Files, Host, Program, RunningProcess, Service } from '../programs/index.js';
import { DockerError } from '../swarm/errors.js';
import { type DaemonConfig, problemsOf } from '../topology/daemon.js';
import { endpointId, pidOf } from './api/container-json.js';
import { weaveProgram } from './weave/command.js';
import type { World } from './world.js';

const DAEMON_JSON = '/etc/docker/daemon.json';

/** Without the file: nothing is configured. */
function readDaemonJson(files: Files): { config: DaemonConfig; problem?: string } {
  const text = files.read(DAEMON_JSON) ?? '{}';
  const words = `unable to configure the Docker daemon with file ${DAEMON_JSON}: `;
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (error) {
    return { config: {}, problem: `${words}${error instanceof Error ? error.message : String(error)}` };
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config))
    return { config: {}, problem: `${words}it is no JSON object` };
  const [wrong] = problemsOf(config as Record<string, unknown>);
  return wrong ? { config: {}, problem: words + wrong.message } : { config: config as DaemonConfig };
}

/** dockerd's own process. */
const DAEMON = 614;

export class NodeHost implements Host {
  constructor(
    readonly world: World,
    readonly node: string,
  ) {}

  /** As libnetwork names their files: osl/namespace_linux.go, drivers/overlay/ov_network.go, service_common. */
  dockerNetns(): Map<string, Namespace> {
    const { topology, engine, cluster } = this.world;
    const found: [string, Namespace][] = [];
    const note = (name: string, namespace: string) => {
      const one = engine.namespaces.get(`${this.node}/${namespace}`);
      if (one) found.push([name, one]);
    };
    for (const { name, id, driver } of topology.networks) {
      if (driver !== 'overlay') continue;
      note(`1-${id.slice(0, 10)}`, `ov-${name}`);
      note(`lb_${id.slice(0, 9)}`, `lb-${name}`);
    }
    note('ingress_sbox', 'ingress_sbox');
    for (const container of cluster.containers.values()) {
      if (container.node !== this.node || !container.sandbox) continue;
      note(endpointId(container, 'sandbox').slice(0, 12), container.sandbox.name);
    }
    return new Map(found.sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** A host outside has none. */
  get #hasDocker(): boolean {
    return this.world.topology.nodes.some(({ name }) => name === this.node);
  }

  namespaceOf(pid: number): Namespace | undefined {
    if (pid === 1 || pid === DAEMON) return this.world.namespace(`${this.node}/host`);
    for (const container of this.world.cluster.containers.values()) {
      if (container.node === this.node && container.sandbox && pidOf(container) === pid)
        return this.world.computerOf(container)?.namespace;
    }
    return undefined;
  }

  /** Containers on the node's own network, and what dockerd itself has open for published ports. */
  owner(entry: SocketEntry, namespace: Namespace): RunningProcess | undefined {
    for (const container of this.world.cluster.containers.values()) {
      if (container.node !== this.node || !container.sandbox) continue;
      const computer = this.world.computerOf(container);
      const owner = computer?.namespace === namespace ? computer.owner(entry) : undefined;
      if (owner) return { ...owner, pid: pidOf(container) };
    }
    if (namespace.name !== `${this.node}/host` || !this.#hasDocker) return undefined;
    const published = this.world.topology.sandboxes
      .filter(({ node }) => node === this.node)
      .flatMap(({ publishes = [] }) => publishes)
      .some((one) => one.published === entry.local.port && one.protocol === entry.protocol);
    if (published) return { pid: DAEMON + entry.local.port, command: 'docker-proxy', started: 0 };
    return { pid: DAEMON, command: 'dockerd', started: 0 };
  }

  service(unit: string): Service | undefined {
    if (unit !== 'docker' || !this.#hasDocker) return undefined;
    return {
      description: 'Docker Application Container Engine',
      pid: DAEMON,
      // None of the keys that bear on networks is among those that SIGHUP has read (moby daemon/reload.go).
      reload: (files) => readDaemonJson(files).problem,
      restart: (files) => this.#restart(files),
    };
  }

  /** What of a node's programs has to know the whole swarm. */
  program(name: string): Program | undefined {
    return this.#hasDocker && /^(?:\/usr\/local\/bin\/|\.\/)?weave$/.test(name)
      ? weaveProgram(this.world.weave, this.node)
      : undefined;
  }

  /** What the stack file says of its daemon. */
  file(path: string): string | undefined {
    if (path !== DAEMON_JSON) return undefined;
    const daemon = this.world.topology.nodes.find(({ name }) => name === this.node)?.daemon;
    return daemon && `${JSON.stringify(daemon, undefined, 2)}\n`;
  }

  #restart(files: Files): string | undefined {
    const { config, problem } = readDaemonJson(files);
    if (problem !== undefined) return problem;
    try {
      this.world.cluster.daemonRestart(this.node, config);
      return undefined;
    } catch (error) {
      if (error instanceof DockerError) return error.message;
      throw error;
    }
  }
}
