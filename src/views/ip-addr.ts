/** `ip [-d] addr` of one namespace (iproute2 6.1). `-d` shows what is modelled: a device's kind and its place on a bridge. */

import type { Device, Namespace } from '../engine/index.js';
import { linksOf } from '../engine/links.js';
import { cidr, ipv4Text, mask } from '../engine/wire.js';
import { detailsOf, hardware, heading } from './ip-link.js';

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

/** Docker gives an address its broadcast address, where there is one; an operator's `ip addr add` does not. */
function addressText(device: Device, address: string, length: number): string {
  const operators = ['loopback', 'physical', 'vlan'].includes(device.kind);
  const broadcast = ipv4Text((cidr(address).address | ~mask(length)) >>> 0);
  const words = [`${address}/${length}`];
  if (!operators && length < 31) words.push('brd', broadcast);
  return `${words.join(' ')} scope ${address.startsWith('127.') ? 'host' : 'global'} ${device.name}`;
}
