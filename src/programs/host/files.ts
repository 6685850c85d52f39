/**
 * A node's files as far as networks need them: what a shell wrote, symbolic links, and what the kernel and Docker show as files
 * (/proc/sys/net, /sys/class/net, namespaces).
 */

import type { Namespace } from '../../engine/index.js';
import { linkOf, linksOf } from '../../engine/links.js';
import { stateOf } from '../../views/ip-link.js';
import { xfrmStat } from '../../views/ip-xfrm.js';
import { MemoryFiles } from '../memory-files.js';
import type { Files, Host } from '../process.js';
import { setSysctl, sysctlsOf } from './sysctls.js';

export const OWN_NETNS = '/var/run/netns';
const DOCKER_NETNS = '/var/run/docker/netns';
const SYSCTLS = '/proc/sys/net';
const DEVICES = '/sys/class/net';

/** What all namespaces of a node see. */
export class HostStore {
  readonly memory: MemoryFiles;
  readonly links = new Map<string, string>();
  /** Made by `ip netns add`. */
  readonly ownNetns = new Map<string, Namespace>();

  constructor(
    readonly host: Host,
    below: (path: string) => string | undefined,
  ) {
    this.memory = new MemoryFiles(below, [
      '/etc/docker',
      '/etc/sysctl.d',
      '/usr/local/bin',
      '/var/run',
      '/var/run/docker',
      '/var/log',
    ]);
  }
}

export class HostFiles implements Files {
  constructor(
    readonly store: HostStore,
    private readonly namespace: Namespace,
  ) {}

  /** The same node's, seen from another network namespace. */
  from(namespace: Namespace): HostFiles {
    return new HostFiles(this.store, namespace);
  }

  read(path: string): string | undefined {
    const name = this.resolve(path);
    const shown = kernelFile(this.namespace, name);
    if (shown !== undefined) return shown;
    return this.netns(name) ? '' : this.store.memory.read(name);
  }

  bytes(path: string): Uint8Array | undefined {
    const name = this.resolve(path);
    const shown = kernelFile(this.namespace, name);
    return shown === undefined ? this.store.memory.bytes(name) : new TextEncoder().encode(shown);
  }

  write(path: string, data: string | Uint8Array): boolean {
    const name = this.resolve(path);
    if (name.startsWith(`${SYSCTLS}/`)) {
      const text = typeof data === 'string' ? data : new TextDecoder().decode(data);
      // The shell opens a file for writing with nothing in it.
      if (text === '') return sysctlsOf(this.namespace).has(name.slice(SYSCTLS.length + 1));
      return setSysctl(this.namespace, name.slice(SYSCTLS.length + 1), text) === 'set';
    }
    return this.store.memory.write(name, data);
  }

  remove(path: string): boolean {
    if (this.store.links.delete(tidy(path))) return true;
    return this.store.memory.remove(this.resolve(path));
  }

  list(path: string): string[] | undefined {
    const name = this.resolve(path);
    const { memory, links, ownNetns, host } = this.store;
    const linked = [...links.keys()].filter((one) => parentOf(one) === name).map(baseOf);
    const own = this.#directory(name) ?? memory.list(name);
    const inside: string[] =
      name === DOCKER_NETNS
        ? [...host.dockerNetns().keys()]
        : name === OWN_NETNS && ownNetns.size > 0
          ? [...ownNetns.keys()]
          : (own ?? []);
    if (own === undefined && inside.length + linked.length === 0 && name !== DOCKER_NETNS) return undefined;
    const directories = name === '/var/run' && ownNetns.size > 0 ? ['netns'] : [];
    return [...new Set([...inside, ...linked, ...directories])].sort();
  }

  /** `ln -s`. False: there is something of that name already. */
  link(path: string, target: string): boolean {
    const name = tidy(path);
    if (this.read(name) !== undefined || this.list(name) !== undefined) return false;
    this.store.links.set(name, target.startsWith('/') ? target : `${parentOf(name)}/${target}`);
    return true;
  }

  /** The network namespace that the file of that name stands for. */
  netns(path: string): Namespace | undefined {
    const name = this.resolve(path);
    if (parentOf(name) === DOCKER_NETNS) return this.store.host.dockerNetns().get(baseOf(name));
    if (parentOf(name) === OWN_NETNS) return this.store.ownNetns.get(baseOf(name));
    const [, pid] = /^\/proc\/(\d+)\/ns\/net$/.exec(name) ?? [];
    return pid === undefined ? undefined : this.store.host.namespaceOf(Number(pid));
  }

  /** Links followed, `/run` being `/var/run`. */
  resolve(path: string): string {
    let name = tidy(path);
    for (let depth = 0; depth < 8; depth++) {
      const [from, to] = [...this.store.links].find(([link]) => name === link || name.startsWith(`${link}/`)) ?? [];
      if (from === undefined || to === undefined) break;
      name = tidy(to + name.slice(from.length));
    }
    return name;
  }

  /** Directories of the kernel's. */
  #directory(name: string): string[] | undefined {
    if (name === DEVICES) return [...this.namespace.devices.keys()];
    const [, device] = /^\/sys\/class\/net\/([^/]+)(?:\/brif)?$/.exec(name) ?? [];
    if (device !== undefined) {
      const found = this.namespace.devices.get(device);
      if (!found) return undefined;
      if (name.endsWith('/brif')) return found.kind === 'bridge' ? found.ports.map((port) => port.name) : undefined;
      const bridge = found.kind === 'bridge' ? ['brif'] : [];
      return ['address', ...bridge, 'carrier', 'ifindex', 'iflink', 'mtu', 'operstate', 'statistics'];
    }
    if (name === SYSCTLS || name.startsWith(`${SYSCTLS}/`)) {
      const prefix = name === SYSCTLS ? '' : `${name.slice(SYSCTLS.length + 1)}/`;
      const inside = [...sysctlsOf(this.namespace).keys()].filter((key) => key.startsWith(prefix));
      const names = inside.map((key) => key.slice(prefix.length).split('/')[0] ?? '');
      return names.length > 0 ? [...new Set(names)] : undefined;
    }
    return undefined;
  }
}

function tidy(path: string): string {
  const name = `/${path
    .split('/')
    .filter((part) => part !== '')
    .join('/')}`;
  return name === '/run' || name.startsWith('/run/') ? `/var${name}` : name;
}

function parentOf(name: string): string {
  return name.slice(0, name.lastIndexOf('/')) || '/';
}
function baseOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}

/** What the kernel shows as a file. */
export function kernelFile(namespace: Namespace, name: string): string | undefined {
  if (name.startsWith(`${SYSCTLS}/`)) {
    const value = sysctlsOf(namespace)
      .get(name.slice(SYSCTLS.length + 1))
      ?.get();
    return value === undefined ? undefined : `${value}\n`;
  }
  if (name === '/proc/net/xfrm_stat') return xfrmStat(namespace);
  if (name.startsWith(`${DEVICES}/`)) return deviceFile(namespace, name.slice(DEVICES.length + 1));
  return undefined;
}

function deviceFile(namespace: Namespace, name: string): string | undefined {
  const [device, file, counter] = name.split('/');
  const link = linksOf(namespace).find((one) => one.device.name === device);
  if (!link) return undefined;
  const below = link.device.peer ?? link.device.lower;
  const { rxBytes, rxPackets, txBytes, txPackets } = link.device.counters;
  const statistics: Record<string, number> = {
    rx_bytes: rxBytes,
    rx_packets: rxPackets,
    tx_bytes: txBytes,
    tx_packets: txPackets,
  };
  const values: Record<string, string | number | undefined> = {
    address: link.device.mac,
    mtu: link.device.mtu,
    ifindex: link.index,
    iflink: below ? linkOf(below).index : link.index,
    carrier: link.up ? Number(link.carrier) : undefined,
    operstate: stateOf(link).toLowerCase(),
    statistics: counter === undefined ? undefined : statistics[counter],
  };
  const value = file === undefined || !Object.hasOwn(values, file) ? undefined : values[file];
  return value === undefined ? undefined : `${value}\n`;
}
