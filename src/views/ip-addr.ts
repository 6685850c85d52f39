/** `ip [-d] addr` of one namespace (iproute2 6.1). `-d` shows what is modelled: a device's kind and its place on a bridge. */

import type { AddressEntry } from '../engine/device.js';
import type { Device, Namespace } from '../engine/index.js';
import { type Link, linksOf } from '../engine/links.js';
import { cidr, ipv4Text, mask } from '../engine/wire.js';
import { detailsOf, hardware, heading, type LinkOptions, statisticsOf } from './ip-link.js';

export interface AddrOptions extends LinkOptions {
  /** `-4`, `-6`: addresses of that family, and devices that have one. */
  family?: 4 | 6;
}

export function ipAddr(namespace: Namespace, { only = () => true, ...options }: AddrOptions = {}): string {
  return linksOf(namespace)
    .filter(only)
    .flatMap((link) => addrLines(link, options))
    .map((line) => `${line}\n`)
    .join('');
}

function addrLines(link: Link, { details = false, statistics = false, family }: AddrOptions): string[] {
  const addresses = addressLines(link, family);
  if (family && addresses.length === 0) return [];
  return [
    heading(link),
    ...(family ? [] : [hardware(link)]),
    ...(details && !family ? detailsOf(link) : []),
    ...addresses.flatMap((line) => [line, LIFETIME]),
    ...(statistics ? statisticsOf(link) : []),
  ];
}

export const LIFETIME = '       valid_lft forever preferred_lft forever';

/** A line an address: `    inet 10.0.0.2/24 brd 10.0.0.255 scope global eth0`. */
export function addressLines({ device }: Link, family?: 4 | 6): string[] {
  return [
    ...(family === 6
      ? []
      : [...device.addresses]
          .sort((a, b) => Number(isSecondary(device, a)) - Number(isSecondary(device, b)))
          .map((entry) => `    inet ${addressText(device, entry)}`)),
    ...(family === 4 ? [] : addresses6(device)),
  ];
}

/** Another one before it is in the same subnet: they stand behind the first ones. */
function isSecondary({ addresses }: Device, { address, length }: AddressEntry): boolean {
  const bits = mask(length);
  const inSubnet = addresses.filter(
    (one) => one.length === length && ((cidr(one.address).address ^ cidr(address).address) & bits) === 0,
  );
  return length < 32 && inSubnet[0]?.address !== address;
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

/** Docker gives an address its broadcast address, where there is one; an operator's `ip addr add` does not. */
function addressText(device: Device, entry: AddressEntry): string {
  const { address, length, broadcast: given } = entry;
  const secondary = isSecondary(device, entry);
  const operators = given === undefined ? ['loopback', 'physical', 'vlan'].includes(device.kind) : !given;
  const broadcast = ipv4Text((cidr(address).address | ~mask(length)) >>> 0);
  const words = [`${address}/${length}`];
  if (!operators && length < 31) words.push('brd', broadcast);
  const scope = address.startsWith('127.') ? 'host' : 'global';
  return `${words.join(' ')} scope ${scope} ${secondary ? 'secondary ' : ''}${device.name}`;
}
