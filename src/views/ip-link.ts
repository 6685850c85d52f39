/**
 * `ip [-d] link` of one namespace (iproute2 6.1). `-d` shows what is modelled: a device's kind, what that kind has of its own,
 * and its place on a bridge.
 */

import type { Device, Namespace } from '../engine/index.js';
import { type Link, linkOf, linksOf } from '../engine/links.js';
import { netnsid } from './netnsid.js';

export interface LinkOptions {
  /** `-d` */
  details?: boolean;
}

export function ipLink(namespace: Namespace, { details = false }: LinkOptions = {}): string {
  return linksOf(namespace)
    .flatMap((link) => [heading(link, ' mode DEFAULT'), hardware(link), ...(details ? detailsOf(link) : [])])
    .map((line) => `${line}\n`)
    .join('');
}

/** `more` stands behind the state, where `ip link` shows one thing more than `ip addr`. */
export function heading({ device, index, up, carrier, noarp }: Link, more = ''): string {
  const { kind } = device;
  const loopback = kind === 'loopback';
  const flags = [
    ...(up && !carrier ? ['NO-CARRIER'] : []),
    ...(loopback ? ['LOOPBACK'] : ['BROADCAST']),
    ...(loopback || kind === 'dummy' ? [] : ['MULTICAST']),
    ...(noarp || kind === 'dummy' ? ['NOARP'] : []),
    ...(up ? ['UP'] : []),
    ...(carrier ? ['LOWER_UP'] : []),
  ];
  // Devices that report no carrier of their own have no operational state.
  const stateless = STATELESS.has(kind);
  const words = [
    `${index}: ${device.name}${otherEnd(device, index)}: <${flags.join(',')}> mtu ${device.mtu} qdisc noqueue`,
    ...(device.master ? [`master ${device.master.name}`] : []),
    `state ${stateless ? 'UNKNOWN' : carrier ? 'UP' : 'DOWN'}${more} group default`,
  ];
  return `${words.join(' ')} ${isOperators(device) ? 'qlen 1000' : ''}`;
}

/** What Docker makes is made without a queue length, and its VLANs have no address. */
function isOperators({ kind, addresses }: Device): boolean {
  return kind === 'loopback' || kind === 'physical' || (kind === 'vlan' && addresses.length > 0);
}
const STATELESS = new Set(['loopback', 'vxlan', 'ipvlan', 'dummy']);

/** `@if46`: the number of the other end, or of the device below, in its own namespace. */
function otherEnd({ kind, peer: end, lower, namespace }: Device, index: number): string {
  if (kind === 'vxlan') return `@if${index}`;
  const peer = end ?? lower;
  if (!peer) return '';
  return peer.namespace === namespace ? `@${peer.name}` : `@if${linkOf(peer).index}`;
}

export function hardware({ device }: Link): string {
  const loopback = device.kind === 'loopback';
  const broadcast = loopback ? '00:00:00:00:00:00' : 'ff:ff:ff:ff:ff:ff';
  return `    link/${loopback ? 'loopback' : 'ether'} ${device.mac} brd ${broadcast}${netnsid(device.namespace, device)}`;
}

export function detailsOf({ device, portNumber, vxlanPort }: Link): string[] {
  const lines: string[] = [];
  if (device.kind === 'veth') lines.push('    veth ');
  if (device.kind === 'bridge') lines.push('    bridge ');
  if (device.kind === 'vxlan') {
    lines.push(`    vxlan id ${device.vni} srcport 0 0 dstport ${vxlanPort} proxy l2miss l3miss ttl auto ageing 300 `);
  }
  if (device.kind === 'vlan') lines.push(`    vlan protocol 802.1Q id ${device.vid} <REORDER_HDR> `);
  if (device.kind === 'macvlan') lines.push(`    macvlan mode ${device.mode} bcqueuelen 1000 usedbcqueuelen 1000 `);
  if (device.kind === 'ipvlan') lines.push(`    ipvlan  mode ${device.mode} ${device.flag} `);
  if (device.kind === 'dummy') lines.push('    dummy ');
  if (device.master) lines.push(`    bridge_slave state forwarding port_no 0x${portNumber.toString(16)} `);
  return lines;
}
