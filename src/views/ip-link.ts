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
  /** `-s` */
  statistics?: boolean;
  /** Those that are asked for. */
  only?: (link: Link) => boolean;
}

export function ipLink(namespace: Namespace, { only = () => true, ...options }: LinkOptions = {}): string {
  return linksOf(namespace)
    .filter(only)
    .flatMap((link) => linkLines(link, options))
    .map((line) => `${line}\n`)
    .join('');
}

/** Of one device. */
export function linkLines(link: Link, { details = false, statistics = false }: LinkOptions = {}): string[] {
  return [
    heading(link, ' mode DEFAULT'),
    hardware(link),
    ...(details ? detailsOf(link) : []),
    ...(statistics ? statisticsOf(link) : []),
  ];
}

/** Frames that were dropped at a device count as received ones, as most are. */
export function statisticsOf({ device }: Link): string[] {
  const { rxPackets, rxBytes, txPackets, txBytes } = device.counters;
  const dropped = [...device.drops.values()].reduce((sum, count) => sum + count, 0);
  const row = (...values: number[]) => `    ${values.map((n, i) => `${n}`.padStart(WIDTHS[i] ?? 7)).join(' ')} `;
  return [
    '    RX:  bytes packets errors dropped  missed   mcast           ',
    row(rxBytes, rxPackets, 0, dropped, 0, 0),
    '    TX:  bytes packets errors dropped carrier collsns           ',
    row(txBytes, txPackets, 0, 0, 0, 0),
  ];
}

const WIDTHS = [10, 7, 6];

/** Operational state: devices that report no carrier of their own have none. */
export function stateOf({ device, up, carrier }: Link): 'UNKNOWN' | 'UP' | 'DOWN' | 'LOWERLAYERDOWN' {
  if (!up) return 'DOWN';
  if (STATELESS.has(device.kind)) return 'UNKNOWN';
  if (carrier) return 'UP';
  return device.peer || device.lower ? 'LOWERLAYERDOWN' : 'DOWN';
}

/** `more` stands behind the state, where `ip link` shows one thing more than `ip addr`. */
export function heading(link: Link, more = ''): string {
  const { device } = link;
  const words = [
    `${nameAndFlags(link)} mtu ${device.mtu} qdisc ${link.fresh ? 'noop' : 'noqueue'}`,
    ...(device.master ? [`master ${device.master.name}`] : []),
    `state ${stateOf(link)}${more} group default`,
  ];
  return `${words.join(' ')} ${isOperators(device) ? 'qlen 1000' : ''}`;
}

/** `47: veth9e9627c@if46: <BROADCAST,MULTICAST,UP,LOWER_UP>` */
export function nameAndFlags({ device, index, up, carrier, noarp }: Link): string {
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
  return `${index}: ${device.name}${otherEnd(device, index)}: <${flags.join(',')}>`;
}

/** What Docker makes is made without a queue length, and its VLANs have no address. */
function isOperators({ kind, addresses }: Device): boolean {
  return kind === 'loopback' || kind === 'physical' || (kind === 'vlan' && addresses.length > 0);
}
const STATELESS = new Set(['loopback', 'vxlan', 'ipvlan', 'dummy']);

/** `@if46`: the number of the other end, or of the device below, in its own namespace. */
function otherEnd({ kind, peer: end, lower, namespace }: Device, index: number): string {
  // An overlay's was made in its node's namespace; one beside its NIC has no other end.
  if (kind === 'vxlan') return namespace.name.endsWith('/host') ? '' : `@if${index}`;
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
