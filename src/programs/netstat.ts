/** ifconfig, route, arp, netstat and ss: net-tools' and busybox's tables, from the engine's. */

import type { Device, SocketEntry } from '../engine/index.js';
import { linksOf } from '../engine/links.js';
import { neighboursOf } from '../engine/neighbours.js';
import { readOptions } from './arguments.js';
import { Exit, type Machine, type Process } from './process.js';
import type { Steps } from './steps.js';

// biome-ignore-start lint/correctness/useYield: every program is a generator, and these have nothing to wait for

export function* ifconfig(process: Process): Steps<number> {
  const [, ...args] = process.argv;
  const name = args.find((arg) => !arg.startsWith('-'));
  const { namespace } = process.machine;
  const more = args.filter((arg) => arg !== name && !arg.startsWith('-'));
  if (more.length > 0) throw changes(process, 'ifconfig', 'SIOCSIFFLAGS', 'ip link, ip addr');
  const links = linksOf(namespace).filter(({ device, up }) => (name === undefined ? up : device.name === name));
  if (name !== undefined && links.length === 0)
    throw new Exit(1, `ifconfig: ${name}: error fetching interface information: Device not found`);
  // Loopback last, as the kernel's list has it for ifconfig.
  const ordered = [...links].sort(
    (a, b) =>
      Number(a.device.kind === 'loopback') - Number(b.device.kind === 'loopback') ||
      compare(a.device.name, b.device.name),
  );
  for (const { device, up, carrier } of ordered) {
    const loopback = device.kind === 'loopback';
    const { rxPackets, rxBytes, txPackets, txBytes } = device.counters;
    const first = device.addresses[0];
    if (process.machine.flavour === 'debian') {
      process.stdout.write(netTools(device, up, carrier));
      continue;
    }
    const lines = [
      loopback ? 'Link encap:Local Loopback  ' : `Link encap:Ethernet  HWaddr ${device.mac.toUpperCase()}  `,
      ...(first
        ? [
            `inet addr:${first.address}${loopback ? '' : `  Bcast:${broadcast(first.address, first.length)}`}  Mask:${dotted(mask(first.length))}`,
          ]
        : []),
      `${[up ? 'UP' : '', loopback ? 'LOOPBACK' : 'BROADCAST', carrier ? 'RUNNING' : '', loopback ? '' : 'MULTICAST'].filter((word) => word).join(' ')}  MTU:${device.mtu}  Metric:1`,
      `RX packets:${rxPackets} errors:0 dropped:0 overruns:0 frame:0`,
      `TX packets:${txPackets} errors:0 dropped:0 overruns:0 carrier:0`,
      `collisions:0 txqueuelen:${loopback || device.kind === 'physical' ? 1000 : 0} `,
      `RX bytes:${rxBytes} (${human(rxBytes)})  TX bytes:${txBytes} (${human(txBytes)})`,
    ];
    process.stdout.write(
      `${lines.map((line, i) => `${i === 0 ? device.name.padEnd(10) : ' '.repeat(10)}${line}`).join('\n')}\n\n`,
    );
  }
  return 0;
}

/** A device as net-tools' ifconfig shows it. */
function netTools(
  { name, kind, mac, mtu, addresses, addresses6, counters }: Device,
  up: boolean,
  carrier: boolean,
): string {
  const loopback = kind === 'loopback';
  const words: [string, number, boolean][] = [
    ['UP', 1, up],
    ['BROADCAST', 2, !loopback],
    ['LOOPBACK', 8, loopback],
    ['RUNNING', 64, carrier],
    ['MULTICAST', 4096, !loopback],
  ];
  const set = words.filter(([, , on]) => on);
  const flags = `${set.reduce((sum, [, bit]) => sum + bit, 0)}<${set.map(([word]) => word).join(',')}>`;
  const [first] = addresses;
  const { rxPackets, rxBytes, txPackets, txBytes } = counters;
  const queue = loopback || kind === 'physical' ? 1000 : 0;
  const inet =
    first &&
    `inet ${first.address}  netmask ${dotted(mask(first.length))}${loopback ? '' : `  broadcast ${first.broadcast === false ? '0.0.0.0' : broadcast(first.address, first.length)}`}`;
  const scope = (address: string) =>
    address === '::1' ? '0x10<host>' : /^fe[89ab]/.test(address) ? '0x20<link>' : '0x0<global>';
  const lines = [
    ...(inet ? [inet] : []),
    ...addresses6.map(({ address, length }) => `inet6 ${address}  prefixlen ${length}  scopeid ${scope(address)}`),
    loopback ? `loop  txqueuelen ${queue}  (Local Loopback)` : `ether ${mac}  txqueuelen ${queue}  (Ethernet)`,
    `RX packets ${rxPackets}  bytes ${rxBytes} (${human(rxBytes)})`,
    'RX errors 0  dropped 0  overruns 0  frame 0',
    `TX packets ${txPackets}  bytes ${txBytes} (${human(txBytes)})`,
    'TX errors 0  dropped 0 overruns 0  carrier 0  collisions 0',
  ];
  return `${name}: flags=${flags}  mtu ${mtu}\n${lines.map((line) => `        ${line}\n`).join('')}\n`;
}

export function* route(process: Process): Steps<number> {
  const [, ...args] = process.argv;
  const options = readOptions('route', args, { short: 'neA:' });
  if (options.operands.length > 0) throw changes(process, 'route', 'SIOCADDRT', 'ip route');
  const numeric = options.has('n');
  const rows = process.machine.namespace.routes
    .filter(({ table, type }) => table === 'main' && type === 'unicast')
    // The kernel goes through them by address (fib_trie).
    .sort((a, b) => numberOf(a.destination.split('/')[0] ?? '') - numberOf(b.destination.split('/')[0] ?? ''))
    .map(({ destination, gateway, device }) => {
      const [given = '', length = '0'] = destination.split('/');
      const address = dotted((numberOf(given) & mask(Number(length))) >>> 0);
      const flags = `U${gateway ? 'G' : ''}${length === '32' ? 'H' : ''}`;
      const cells: [string, number][] = [
        [address === '0.0.0.0' && !numeric ? 'default' : address, 16],
        [gateway ?? (numeric ? '0.0.0.0' : '*'), 16],
        [dotted(mask(Number(length))), 16],
        [flags, 6],
        ['0', 7],
        ['0', 5],
      ];
      return `${cells.map(([text, width]) => text.padEnd(width - 1)).join(' ')}   0 ${device.name}`;
    });
  process.stdout.write(
    [
      'Kernel IP routing table',
      'Destination     Gateway         Genmask         Flags Metric Ref    Use Iface',
      ...rows,
      '',
    ].join('\n'),
  );
  return 0;
}

export function* arp(process: Process): Steps<number> {
  const options = readOptions('arp', process.argv.slice(1), { short: 'anevdsi:' });
  if (options.has('d') || options.has('s')) throw changes(process, 'arp', 'SIOCSARP', 'ip neigh');
  // net-tools have a table, unless -a asks for lines as BSD's.
  const table = process.machine.flavour === 'debian' && !options.has('a');
  if (table) process.stdout.write('Address                  HWtype  HWaddress           Flags Mask            Iface\n');
  for (const { address, mac, device, state } of neighboursOf(process.machine.namespace)) {
    if (state === 'NONE' || address.includes(':')) continue;
    if (table) {
      const [type, hardware, flags] = mac
        ? ['ether', mac, state === 'PERMANENT' ? 'CM' : 'C']
        : ['', '(incomplete)', ''];
      process.stdout.write(
        `${address.padEnd(24)} ${type.padEnd(7)} ${hardware.padEnd(19)} ${flags.padEnd(21)} ${device.name}\n`,
      );
      continue;
    }
    const permanent = state === 'PERMANENT' ? ' PERM' : '';
    process.stdout.write(
      mac
        ? `? (${address}) at ${mac} [ether]${permanent} on ${device.name}\n`
        : `? (${address}) at <incomplete>  on ${device.name}\n`,
    );
  }
  return 0;
}

/** Options that guides use: `-tulpn`, `-an`, `-r`, `-i`. */
export function* netstat(process: Process): Steps<number> {
  const [, ...args] = process.argv;
  const options = readOptions('netstat', args, {
    short: 'tulpnarWewxi',
    long: ['tcp', 'udp', 'listening', 'numeric', 'programs', 'all'],
  });
  const on = (letter: string, word: string) => options.has(letter) || options.has(word);
  if (options.has('r')) return yield* route({ ...process, argv: ['route', ...(on('n', 'numeric') ? ['-n'] : [])] });
  const both = !on('t', 'tcp') && !on('u', 'udp');
  const listening = on('l', 'listening');
  const all = on('a', 'all');
  const programs = on('p', 'programs');
  const rows = sockets(process.machine).filter(
    ({ protocol, state }) =>
      (both || on(protocol === 'tcp' ? 't' : 'u', protocol)) &&
      (all || (state === 'LISTEN' || state === 'BOUND') === listening),
  );
  const kind = listening ? '(only servers)' : all ? '(servers and established)' : '(w/o servers)';
  process.stdout.write(
    `Active Internet connections ${kind}\nProto Recv-Q Send-Q Local Address           Foreign Address         State       ${programs ? 'PID/Program name    ' : ''}\n`,
  );
  // busybox calls both families by one name.
  const six = process.machine.flavour === 'busybox' ? '' : '6';
  for (const entry of rows) {
    const state = entry.protocol === 'udp' ? '' : (STATES[entry.state] ?? entry.state);
    const owner = programs ? ownerOf(process, entry) : '';
    process.stdout.write(
      `${`${entry.protocol}${entry.ipv6 ? six : ''}`.padEnd(5)} ${'0'.padStart(6)} ${'0'.padStart(6)} ${place(entry.local).padEnd(23)} ${place(entry.remote).padEnd(23)} ${state.padEnd(11)} ${owner}\n`,
    );
  }
  return 0;
}

export function* ss(process: Process): Steps<number> {
  const [, ...args] = process.argv;
  const options = readOptions('ss', args, { short: 'tulpnaH46' });
  const both = !options.has('t') && !options.has('u');
  const rows = sockets(process.machine).filter(
    ({ protocol, state }) =>
      (both || options.has(protocol === 'tcp' ? 't' : 'u')) &&
      (options.has('a') || (state === 'LISTEN' || state === 'BOUND') === options.has('l')),
  );
  // Of one kind alone it need not say which.
  const kind = (protocol: string) => (options.has('t') !== options.has('u') ? '' : `${protocol.padEnd(5)} `);
  if (!options.has('H'))
    process.stdout.write(`${kind('Netid')}State  Recv-Q Send-Q Local Address:Port  Peer Address:Port Process\n`);
  for (const entry of rows) {
    const state =
      entry.protocol === 'udp' ? 'UNCONN' : entry.state === 'ESTABLISHED' ? 'ESTAB' : entry.state.replaceAll('_', '-');
    const owner = options.has('p') ? ` ${ownerOf(process, entry)}` : '';
    process.stdout.write(
      `${kind(entry.protocol)}${state.padEnd(6)} ${'0'.padEnd(6)} ${(entry.state === 'LISTEN' ? '511' : '0').padEnd(6)} ${place(entry.local).padStart(18)} ${place(entry.remote).padStart(18)}${owner}\n`,
    );
  }
  return 0;
}

// biome-ignore-end lint/correctness/useYield: every program is a generator, and these have nothing to wait for

/** They show here, and no more: in a container nobody may change anything, and on a node `ip` does. */
function changes({ machine }: Process, program: string, call: string, instead: string): Exit {
  return new Exit(
    1,
    machine.host
      ? `${program}: changing is not simulated: there is ${instead}`
      : `${program}: ${call}: Operation not permitted`,
  );
}

const STATES: Record<string, string> = { SYN_RECEIVED: 'SYN_RECV', FIN_WAIT_1: 'FIN_WAIT1', FIN_WAIT_2: 'FIN_WAIT2' };

function sockets(machine: Machine): SocketEntry[] {
  const entries = machine.sockets.entries(machine.namespace).filter(({ state }) => state !== 'FOREIGN');
  // Go listens to both families with one socket, which is an IPv6 one.
  const isHalf = (entry: SocketEntry) =>
    !entry.ipv6 &&
    entry.local.address === '0.0.0.0' &&
    machine.owner(entry)?.command === 'dockerd' &&
    entries.some(({ ipv6, protocol, local }) => ipv6 && protocol === entry.protocol && local.port === entry.local.port);
  return entries
    .filter((entry) => !isHalf(entry))
    .sort((a, b) => compare(a.protocol, b.protocol) || a.local.port - b.local.port);
}

/** Who listens there, as far as it is one of this machine's programs. */
function ownerOf({ machine }: Process, entry: SocketEntry): string {
  const owner = machine.owner(entry);
  return owner ? `${owner.pid}/${owner.command.split(' ')[0]?.split('/').pop()}` : '-';
}

function place({ address, port }: { address: string; port: number }): string {
  return `${address}:${port === 0 ? '*' : port}`;
}

function mask(length: number): number {
  return length === 0 ? 0 : (0xffffffff << (32 - length)) >>> 0;
}
function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => ((sum << 8) | Number(part)) >>> 0, 0);
}
function dotted(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
}
function broadcast(address: string, length: number): string {
  return dotted((numberOf(address) | ~mask(length)) >>> 0);
}
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
function human(bytes: number): string {
  if (bytes < 1024) return `${bytes.toFixed(1)} B`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
