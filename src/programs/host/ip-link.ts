/** `ip link`: shows, makes, changes and removes devices. */

import type { Device, Namespace } from '../../engine/index.js';
import { madeDown, setUp } from '../../engine/interface.js';
import type { Link } from '../../engine/links.js';
import { linksOf } from '../../engine/links.js';
import { linkLines, nameAndFlags, stateOf } from '../../views/ip-link.js';
import { Exit, type Process, pathOf } from '../process.js';
import { OWN_NETNS } from './files.js';
import { hostFiles } from './inside.js';
import { answers, deviceOf, type IpOptions, keywords, refused, shows, verbOf } from './ip-words.js';

const KINDS = ['bridge', 'veth', 'vxlan', 'vlan', 'macvlan', 'ipvlan', 'dummy'] as const;
type Made = (typeof KINDS)[number];

export function ipLink(process: Process, [verb, ...words]: readonly string[], options: IpOptions): string {
  const { namespace } = process.machine;
  if (shows(verb)) return shownLinks(namespace, words, options);
  switch (verbOf('link', verb ?? '', ['set', 'add', 'delete', 'change', 'help'])) {
    case 'set':
    case 'change':
      set(process, words);
      return '';
    case 'add':
      add(process, words);
      return '';
    case 'delete': {
      const { dev, operand = dev ?? '' } = keywords(words, ['dev', 'type']);
      const device = deviceOf(namespace, operand);
      if (device.kind === 'loopback' || device.kind === 'physical') throw answers('Operation not supported');
      namespace.removeDevice(device);
      return '';
    }
    default:
      throw new Exit(255, 'Usage: ip link { add | set | delete | show } …');
  }
}

/** What `ip link show` and `ip addr show` have in common. */
export function selectedLinks(namespace: Namespace, words: readonly string[]): (link: Link) => boolean {
  const {
    dev,
    operand = dev,
    type,
    master,
    flags,
  } = keywords(words, ['dev', 'type', 'master', 'scope', 'to', 'label'], ['up']);
  if (operand !== undefined && !namespace.devices.has(operand))
    throw new Exit(1, `Device "${operand}" does not exist.`);
  if (master !== undefined) deviceOf(namespace, master);
  const slave = type?.endsWith('_slave') ? type.replace('_slave', '') : undefined;
  return ({ device, up }) =>
    (operand === undefined || device.name === operand) &&
    (type === undefined || device.kind === type || (slave !== undefined && device.master?.kind === slave)) &&
    (master === undefined || device.master?.name === master) &&
    (!flags.has('up') || up);
}

function shownLinks(namespace: Namespace, words: readonly string[], options: IpOptions): string {
  const links = linksOf(namespace).filter(selectedLinks(namespace, words));
  if (options.brief) return links.map((link) => `${briefly(link)}${link.device.mac} <${flagsOf(link)}> \n`).join('');
  return links.map((link) => joined(linkLines(link, options), options.oneline)).join('');
}

/** `veth0@if5       UP             ` */
export function briefly(link: Link): string {
  const name = /^\d+: (\S+):/.exec(nameAndFlags(link))?.[1] ?? '';
  return `${name.padEnd(16)} ${stateOf(link).padEnd(14)} `;
}
function flagsOf(link: Link): string {
  return /<(.*)>/.exec(nameAndFlags(link))?.[1] ?? '';
}

/** `-o`: a line an object, its own lines joined by backslashes. */
export function joined(lines: readonly string[], oneline: boolean): string {
  return oneline ? `${lines.join('\\')}\n` : lines.map((line) => `${line}\n`).join('');
}

function set(process: Process, words: readonly string[]): void {
  const { namespace } = process.machine;
  const given = keywords(
    words,
    [
      'dev',
      'mtu',
      'master',
      'address',
      'name',
      'netns',
      'promisc',
      'txqueuelen',
      'alias',
      'group',
      'arp',
      'multicast',
      'type',
    ],
    ['up', 'down', 'nomaster'],
  );
  const { dev, operand = dev, mtu, master, address, name, netns, promisc } = given;
  if (operand === undefined) throw new Exit(255, 'Not enough information: "dev" argument is required.');
  const device = deviceOf(namespace, operand);
  if (given.type !== undefined || given.arp !== undefined || given.multicast !== undefined)
    throw answers('Operation not supported');
  if (master !== undefined) {
    const bridge = namespace.devices.get(master);
    if (!bridge) throw new Exit(255, `Error: argument "${master}" is wrong: Device does not exist\n`);
    if (bridge.kind !== 'bridge') throw answers('Operation not supported');
    if (bridge === device || device.kind === 'bridge' || device.kind === 'loopback')
      throw refused(
        device.kind === 'bridge'
          ? 'Can not enslave a bridge to a bridge.'
          : 'Can not enslave a loopback device to a bridge.',
      );
    if (device.uppers.some(({ kind }) => kind === 'macvlan' || kind === 'ipvlan'))
      throw answers('Device or resource busy');
    namespace.removePort(device);
    namespace.addPort(bridge, device);
  }
  if (given.flags.has('nomaster')) namespace.removePort(device);
  if (mtu !== undefined) {
    if (!/^\d+$/.test(mtu)) throw new Exit(255, `Error: argument "${mtu}" is wrong: Invalid "mtu" value\n`);
    if (Number(mtu) < 68) throw refused('mtu less than device minimum.');
    if (Number(mtu) > MOST) throw refused('mtu greater than device maximum.');
    device.mtu = Number(mtu);
  }
  if (address !== undefined) {
    if (!/^[0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5}$/i.test(address)) throw new Exit(1, `"${address}" is invalid lladdr.`);
    const mac = address.toLowerCase();
    if (device.kind === 'bridge') namespace.setBridgeMac(device, mac);
    else device.mac = mac;
  }
  if (promisc !== undefined && device.kind === 'bridge') device.promiscuous = promisc === 'on';
  if (name !== undefined) namespace.renameDevice(device, name);
  if (given.flags.has('up')) setUp(device, true);
  if (given.flags.has('down')) setUp(device, false);
  if (netns !== undefined) {
    const target = netnsOf(process, netns);
    if (device.kind === 'loopback' || device.kind === 'bridge' || device.kind === 'vxlan')
      throw refused('The interface netns is immutable.');
    if (device.kind !== 'veth')
      throw answers('Operation not supported (a device other than a veth cannot be moved in the simulation)');
    if (target !== namespace && target.devices.has(device.name)) throw answers('File exists');
    namespace.moveDevice(device, target);
  }
}
const MOST = 65535;

/** By name, or by the number of a process of a container's. */
function netnsOf(process: Process, text: string): Namespace {
  const files = hostFiles(process.machine);
  const found = /^\d+$/.test(text)
    ? (process.machine.host?.namespaceOf(Number(text)) ?? (text === '1' ? files.netns('/proc/1/ns/net') : undefined))
    : files.netns(text.includes('/') ? pathOf(process, text) : `${OWN_NETNS}/${text}`);
  if (found) return found;
  throw new Exit(255, `Error: argument "${text}" is wrong: Invalid "netns" value\n`);
}

/** `ip link add [link LOWER] [name] NAME [mtu N] [address MAC] type KIND ARGS` */
function add(process: Process, words: readonly string[]): void {
  const { namespace } = process.machine;
  const at = words.indexOf('type');
  const type = at < 0 ? undefined : words[at + 1];
  if (type === undefined) throw new Exit(1, 'Not enough information: "type" argument is required');
  const general = keywords(
    [...words.slice(0, at)],
    ['link', 'name', 'dev', 'mtu', 'address', 'txqueuelen', 'netns'],
    ['up'],
  );
  const kind = KINDS.find((one) => one === type);
  if (!kind) throw refused('Unknown device type.');
  const { link, operand, name = general.dev ?? operand ?? freeName(namespace, kind) } = general;
  if (namespace.devices.has(name)) throw answers('File exists');
  if (name.length > 15) throw new Exit(255, `Error: argument "${name}" is wrong: "name" not a valid ifname\n`);
  const wish: Wish = {
    process,
    namespace,
    name,
    mac: general.address?.toLowerCase() ?? freshMac(namespace, name),
    mtu: Number(general.mtu ?? 1500),
    given: general.mtu !== undefined,
    words: words.slice(at + 2),
    lower: link === undefined ? undefined : lowerOf(namespace, link),
  };
  const made = MAKERS[kind](wish);
  for (const device of made) madeDown(device);
}

function lowerOf(namespace: Namespace, name: string): Device {
  const device = namespace.devices.get(name);
  if (!device) throw new Exit(1, `Cannot find device "${name}"`);
  return device;
}

interface Wish {
  process: Process;
  namespace: Namespace;
  name: string;
  mac: string;
  mtu: number;
  /** Was the MTU given? */
  given: boolean;
  /** Behind `type KIND`. */
  words: readonly string[];
  lower: Device | undefined;
}

const MAKERS: Record<Made, (wish: Wish) => Device[]> = {
  bridge: ({ namespace, name, mac, mtu }) => [namespace.addBridge(name, { mac, mtu })],
  dummy: ({ namespace, name, mac, mtu }) => [namespace.addDummy(name, { mac, mtu })],
  veth: (wish) => {
    const { namespace, name, mac, mtu, process } = wish;
    const words = wish.words[0] === 'peer' ? wish.words.slice(1) : wish.words;
    const peer = keywords(words, ['name', 'netns', 'address', 'mtu']);
    const other = peer.name ?? peer.operand ?? freeName(namespace, 'veth', [name]);
    const target = peer.netns === undefined ? namespace : netnsOf(process, peer.netns);
    if (target.devices.has(other) || (target === namespace && other === name)) throw answers('File exists');
    const address = peer.address ?? freshMac(target, other);
    return namespace.addVeth(
      name,
      { mac, mtu },
      { namespace: target, name: other, mac: address, mtu: Number(peer.mtu ?? mtu) },
    );
  },
  vlan: ({ namespace, name, lower, words }) => {
    const { id } = keywords(words, ['id', 'protocol']);
    if (!lower) throw refused('Device not found.');
    if (id === undefined || !/^\d+$/.test(id) || Number(id) > 4094)
      throw new Exit(255, `Error: argument "${id ?? ''}" is wrong: id is invalid\n`);
    if (lower.uppers.some((one) => one.kind === 'vlan' && one.vid === Number(id))) throw answers('File exists');
    return [namespace.addVlan(name, { lower, id: Number(id) })];
  },
  vxlan: ({ namespace, name, mac, mtu, given, words }) => {
    const { id, dstport = '8472' } = keywords(
      words,
      ['id', 'vni', 'dstport', 'remote', 'local', 'dev', 'ttl'],
      ['proxy', 'l2miss', 'l3miss', 'nolearning', 'learning'],
    );
    if (id === undefined) throw new Exit(255, 'vxlan: missing virtual network identifier');
    return [
      namespace.addVxlan(name, {
        mac,
        mtu: given ? mtu : 1450,
        vni: Number(id),
        port: Number(dstport),
        underlay: namespace,
      }),
    ];
  },
  macvlan: ({ namespace, name, mac, lower, words }) => {
    const { mode = 'vepa' } = keywords(words, ['mode']);
    if (!lower) throw answers('Invalid argument');
    if (mode !== 'bridge' && mode !== 'private' && mode !== 'vepa' && mode !== 'passthru')
      throw new Exit(
        255,
        `Error: argument of "mode" must be "private", "vepa", "bridge", "passthru" or "source", not "${mode}"`,
      );
    return busy(() => namespace.addMacvlan(name, { mac, mtu: lower.mtu, lower, mode }));
  },
  ipvlan: ({ namespace, name, lower, words }) => {
    const { mode = 'l3', flags } = keywords(words, ['mode'], ['bridge', 'private', 'vepa']);
    if (!lower) throw answers('Invalid argument');
    if (mode !== 'l2' && mode !== 'l3' && mode !== 'l3s')
      throw new Exit(255, `Error: argument of "mode" must be either "l2", "l3" or "l3s"`);
    const flag = flags.has('private') ? 'private' : flags.has('vepa') ? 'vepa' : 'bridge';
    return busy(() => namespace.addIpvlan(name, { lower, mtu: lower.mtu, mode, flag }));
  },
};

function busy(make: () => Device): Device[] {
  try {
    return [make()];
  } catch {
    throw answers('Device or resource busy');
  }
}

function freeName(namespace: Namespace, kind: Made, taken: readonly string[] = []): string {
  for (let i = 0; ; i++) {
    const name = `${kind}${i}`;
    if (!namespace.devices.has(name) && !taken.includes(name)) return name;
  }
}

/** Locally administered, from the device's name and how many there are: the same commands give the same address. */
export function freshMac(namespace: Namespace, name: string): string {
  let hash = 0x811c9dc5 ^ namespace.engine.devices.length;
  for (const c of `${namespace.name}/${name}`) hash = Math.imul(hash ^ c.charCodeAt(0), 0x01000193) >>> 0;
  const bytes = [0x02, 0x5e, hash >>> 24, (hash >>> 16) & 255, (hash >>> 8) & 255, hash & 255];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
