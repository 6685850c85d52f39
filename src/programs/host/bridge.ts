/** `bridge fdb|link|vlan` (iproute2 6.1) and brctl (bridge-utils 1.7). */

import type { Device, Namespace } from '../../engine/index.js';
import { brctlShow, brctlShowmacs, bridgeFdb, bridgeLink } from '../../views/index.js';
import { Exit, type Process } from '../process.js';
import type { Steps } from '../steps.js';
import { freshMac } from './ip-link.js';
import { answers, deviceOf, keywords } from './ip-words.js';

// biome-ignore-start lint/correctness/useYield: every program is a generator, and these have nothing to wait for

export function* bridge(process: Process): Steps<number> {
  const args = process.argv.slice(1);
  let details = false;
  while (args[0]?.startsWith('-')) {
    const flag = args.shift() ?? '';
    if (/^-d/.test(flag)) details = true;
    else if (/^-n$|^-netns$/.test(flag))
      throw new Exit(255, 'bridge: -n is not simulated: ip netns exec NAME bridge …');
    else if (!/^-(?:s|stat|c|color|4|6|o|t)/.test(flag))
      throw new Exit(255, `Option "${flag}" is unknown, try "bridge help".`);
  }
  const [object = '', verb = 'show', ...rest] = args;
  const { namespace } = process.machine;
  const showing = ['show', 'list', 'lst'].some((word) => word.startsWith(verb));
  if ('link'.startsWith(object) && object !== '') {
    if (showing) {
      const { dev } = keywords(rest, ['dev']);
      if (dev !== undefined) deviceOf(namespace, dev);
      process.stdout.write(
        bridgeLink(namespace, { details, only: ({ device }) => dev === undefined || device.name === dev }),
      );
      return 0;
    }
    if ('set'.startsWith(verb)) return setPort(namespace, rest);
  } else if ('fdb'.startsWith(object) && object !== '') {
    if (showing) {
      process.stdout.write(shownFdb(namespace, rest));
      return 0;
    }
    return changeFdb(namespace, verb, rest);
  } else if ('vlan'.startsWith(object) && object !== '') {
    process.stdout.write('port              vlan-id  \n');
    for (const { name, kind, master } of namespace.devices.values())
      if (kind === 'bridge' || master) process.stdout.write(`${name.padEnd(17)} 1 PVID Egress Untagged\n`);
    return 0;
  } else if (object === '') {
    throw new Exit(255, 'Usage: bridge [ OPTIONS ] OBJECT { COMMAND | help }\nwhere  OBJECT := { link | fdb | vlan }');
  } else throw new Exit(255, `Object "${object}" is unknown, try "bridge help".`);
  throw new Exit(255, `Command "${verb}" is unknown, try "bridge ${object} help".`);
}

/** `show [br BRIDGE] [brport DEV] [dev DEV]`: with a device its name is left out. */
function shownFdb(namespace: Namespace, words: readonly string[]): string {
  const [first = ''] = words;
  const named = words.length === 1 && !['br', 'brport', 'dev', 'state'].includes(first) ? ['dev', first] : words;
  const { br, brport, dev = brport } = keywords(named, ['br', 'brport', 'dev', 'state']);
  const lines = bridgeFdb(namespace)
    .split('\n')
    .filter((line) => line !== '');
  if (dev !== undefined) {
    deviceOf(namespace, dev);
    return lines
      .filter((line) => line.includes(` dev ${dev} `))
      .map((line) => `${line.replace(` dev ${dev}`, '')}\n`)
      .join('');
  }
  if (br === undefined) return lines.map((line) => `${line}\n`).join('');
  const members = new Set([br, ...deviceOf(namespace, br).ports.map(({ name }) => name)]);
  return lines
    .filter((line) => members.has(/ dev (\S+)/.exec(line)?.[1] ?? ''))
    .map((line) => `${line}\n`)
    .join('');
}

/** `add MAC dev DEV [self|master] [dst ADDRESS] [permanent|static|dynamic]` */
function changeFdb(namespace: Namespace, verb: string, words: readonly string[]): number {
  if (!['add', 'append', 'replace', 'delete', 'del'].some((known) => known.startsWith(verb)))
    throw new Exit(255, `Command "${verb}" is unknown, try "bridge fdb help".`);
  const flags = ['self', 'master', 'permanent', 'static', 'dynamic', 'local', 'use', 'temp'];
  const given = keywords(words, ['dev', 'dst', 'port', 'vni', 'via'], flags);
  const mac = given.operand;
  if (given.dev === undefined || mac === undefined) throw new Exit(255, 'Device and address are required arguments.');
  if (!/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i.test(mac)) throw new Exit(255, `Invalid address "${mac}"`);
  const device = deviceOf(namespace, given.dev);
  const owner = given.flags.has('master') ? device.master : device.kind === 'vxlan' ? device : undefined;
  if (!owner) throw answers(given.flags.has('master') ? 'Operation not supported' : 'Operation not supported', 255);
  const hardware = mac.toLowerCase();
  if (verb.startsWith('d')) {
    if (!namespace.removeFdb(owner, hardware)) throw answers('No such file or directory', 255);
    return 0;
  }
  if (owner.kind === 'vxlan') {
    if (given.dst === undefined) throw answers('Invalid argument', 255);
    namespace.addVxlanFdb(owner, hardware, given.dst);
  } else namespace.addBridgeFdb(owner, hardware, device, !given.flags.has('dynamic'));
  return 0;
}

/** `bridge link set dev PORT hairpin on|off` */
function setPort(namespace: Namespace, words: readonly string[]): number {
  const { dev = '', hairpin } = keywords(words, ['dev', 'hairpin']);
  const device = deviceOf(namespace, dev);
  if (!device.master) throw answers('Operation not supported', 255);
  if (hairpin !== undefined) device.hairpin = hairpin === 'on';
  return 0;
}

export function* brctl(process: Process): Steps<number> {
  const [verb = '', name = '', port = ''] = process.argv.slice(1);
  const { namespace } = process.machine;
  const bridges = [...namespace.devices.values()].filter(({ kind }) => kind === 'bridge');
  const bridge = (): Device => {
    const found = bridges.find((one) => one.name === name);
    if (found) return found;
    throw new Exit(1, `bridge ${name} does not exist!`);
  };
  switch (verb) {
    case 'show': {
      const wanted = name === '' ? [...bridges].sort((a, b) => (a.name < b.name ? -1 : 1)) : [bridge()];
      process.stdout.write(brctlShow(wanted));
      return 0;
    }
    case 'showmacs':
      process.stdout.write(brctlShowmacs(namespace, bridge()));
      return 0;
    case 'addbr':
      if (namespace.devices.has(name))
        throw new Exit(1, `device ${name} already exists; can't create bridge with the same name`);
      namespace.addBridge(name, { mac: freshMac(namespace, name), mtu: 1500 }).up = false;
      return 0;
    case 'delbr':
      if (bridge().up) throw new Exit(1, `bridge ${name} is still up; can't delete it`);
      namespace.removeDevice(bridge());
      return 0;
    case 'addif': {
      const device = namespace.devices.get(port);
      if (!device) throw new Exit(1, `interface ${port} does not exist!`);
      if (device.master)
        throw new Exit(1, `device ${port} is already a member of a bridge; can't enslave it to bridge ${name}.`);
      namespace.addPort(bridge(), device);
      return 0;
    }
    case 'delif': {
      const device = namespace.devices.get(port);
      if (!device) throw new Exit(1, `interface ${port} does not exist!`);
      if (device.master !== bridge()) throw new Exit(1, `device ${port} is not a slave of ${name}`);
      namespace.removePort(device);
      return 0;
    }
    case 'hairpin': {
      const device = namespace.devices.get(port);
      if (device?.master !== bridge()) throw new Exit(1, `${port}: can't set hairpin: Invalid argument`);
      device.hairpin = ['on', 'yes', '1'].includes(process.argv[4] ?? '');
      return 0;
    }
    case 'stp':
      bridge();
      if (['off', 'no', '0'].includes(port)) return 0;
      throw new Exit(1, 'set stp status failed: Operation not supported (spanning tree is not simulated)');
    default:
      throw new Exit(
        1,
        `${verb === '' ? 'Usage: brctl [commands]' : `never heard of command [${verb}]`}\ncommands:\n\taddbr     \t<bridge>\t\tadd bridge\n\tdelbr     \t<bridge>\t\tdelete bridge\n\taddif     \t<bridge> <device>\tadd interface to bridge\n\tdelif     \t<bridge> <device>\tdelete interface from bridge\n\thairpin   \t<bridge> <port> {on|off}\tturn hairpin on/off\n\tshow      \t[ <bridge> ]\t\tshow a list of bridges\n\tshowmacs  \t<bridge>\t\tshow a list of mac addrs\n\tstp       \t<bridge> {on|off}\tturn stp on/off`,
      );
  }
}
// biome-ignore-end lint/correctness/useYield: every program is a generator, and these have nothing to wait for
