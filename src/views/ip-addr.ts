/** `ip [-d] addr` of one namespace (iproute2 6.1). `-d` shows what is modelled: a device's kind and its place on a bridge. */

import type { Device, Namespace } from '../engine/index.js';
import { type Link, linkOf, linksOf } from '../engine/links.js';
import { cidr, ipv4Text, mask } from '../engine/wire.js';
import { netnsid } from './netnsid.js';

export interface AddrOptions {
  /** `-d` */
  details?: boolean;
}

export function ipAddr(namespace: Namespace, { details = false }: AddrOptions = {}): string {
  return linksOf(namespace)
    .flatMap((link) => [
      heading(link),
      hardware(link),
      ...(details ? detailsOf(link) : []),
      ...link.device.addresses.flatMap(({ address, length }) => [
        `    inet ${addressText(link.device, address, length)}`,
        '       valid_lft forever preferred_lft forever',
      ]),
      ...addresses6(link.device).flatMap((line) => [line, '       valid_lft forever preferred_lft forever']),
    ])
    .map((line) => `${line}\n`)
    .join('');
}

/** In the kernel's order: the wider scope first, and of one scope the one added last. */
function addresses6({ addresses6: all }: Device): string[] {
  const scopes = ['global', 'site', 'link', 'host'];
  const scopeOf = (address: string) => {
    if (address === '::1') return 'host';
    if (/^fe[89ab]/.test(address)) return 'link';
    return /^fe[c-f]/.test(address) ? 'site' : 'global';
  };
  return [...all]
    .reverse()
    .sort((a, b) => scopes.indexOf(scopeOf(a.address)) - scopes.indexOf(scopeOf(b.address)))
    .map(({ address, length, nodad }) => {
      const scope = scopeOf(address);
      return `    inet6 ${address}/${length} scope ${scope} ${nodad && scope !== 'host' ? 'nodad ' : ''}`;
    });
}

function heading({ device, index, up, carrier }: Link): string {
  const loopback = device.kind === 'loopback';
  const flags = [
    ...(up && !carrier ? ['NO-CARRIER'] : []),
    ...(loopback ? ['LOOPBACK'] : ['BROADCAST', 'MULTICAST']),
    ...(up ? ['UP'] : []),
    ...(carrier ? ['LOWER_UP'] : []),
  ];
  // Devices that report no carrier of their own have no operational state.
  const stateless = loopback || device.kind === 'vxlan';
  const words = [
    `${index}: ${device.name}${otherEnd(device, index)}: <${flags.join(',')}> mtu ${device.mtu} qdisc noqueue`,
    ...(device.master ? [`master ${device.master.name}`] : []),
    `state ${stateless ? 'UNKNOWN' : carrier ? 'UP' : 'DOWN'} group default`,
  ];
  // What Docker makes is made without a queue length.
  return `${words.join(' ')} ${loopback || device.kind === 'physical' ? 'qlen 1000' : ''}`;
}

/** `@if46`: the other end's number, in its own namespace. */
function otherEnd({ kind, peer, namespace }: Device, index: number): string {
  if (kind === 'vxlan') return `@if${index}`;
  if (!peer) return '';
  return peer.namespace === namespace ? `@${peer.name}` : `@if${linkOf(peer).index}`;
}

function hardware({ device }: Link): string {
  const loopback = device.kind === 'loopback';
  const broadcast = loopback ? '00:00:00:00:00:00' : 'ff:ff:ff:ff:ff:ff';
  return `    link/${loopback ? 'loopback' : 'ether'} ${device.mac} brd ${broadcast}${netnsid(device.namespace, device)}`;
}

function detailsOf({ device, portNumber, vxlanPort }: Link): string[] {
  const lines: string[] = [];
  if (device.kind === 'veth') lines.push('    veth ');
  if (device.kind === 'bridge') lines.push('    bridge ');
  if (device.kind === 'vxlan') {
    lines.push(`    vxlan id ${device.vni} srcport 0 0 dstport ${vxlanPort} proxy l2miss l3miss ttl auto ageing 300 `);
  }
  if (device.master) lines.push(`    bridge_slave state forwarding port_no 0x${portNumber.toString(16)} `);
  return lines;
}

/** Docker gives an address its broadcast address, where there is one; an operator's `ip addr add` does not. */
function addressText(device: Device, address: string, length: number): string {
  const operators = device.kind === 'loopback' || device.kind === 'physical';
  const broadcast = ipv4Text((cidr(address).address | ~mask(length)) >>> 0);
  const words = [`${address}/${length}`];
  if (!operators && length < 31) words.push('brd', broadcast);
  return `${words.join(' ')} scope ${address.startsWith('127.') ? 'host' : 'global'} ${device.name}`;
}
