/**
 * What a service or a container is told about names: `dns`, `dns_search`, `dns_opt`, `extra_hosts`, `hostname`, `domainname`
 * (docker/cli, opts/opts.go ValidateIPAddress, ValidateDNSSearch, hosts.go ValidateExtraHost).
 */

import { isIpv4 } from '../topology/ipv4.js';
import type { NamingSpec } from '../topology/spec.js';
import type { Findings } from './findings.js';
import { below } from './places.js';

export interface NamingEntry {
  dns?: string | string[];
  dns_search?: string | string[];
  dns_opt?: string[];
  extra_hosts?: string[] | Record<string, string | string[]>;
  hostname?: string;
  domainname?: string;
}

/** dockerd replaces it by the address of docker0. */
export const HOST_GATEWAY = 'host-gateway';
const DOMAIN = /^(\.|[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?)$/;

export function readNaming(entry: NamingEntry, pointer: string, findings: Findings): NamingSpec {
  const servers = list(entry.dns);
  for (const [i, address] of servers.entries()) {
    if (isIp(address)) continue;
    findings.refuse(place('dns', entry.dns, i), `dns: ${address} is not an ip address`, 'write dns: 192.168.99.1');
  }
  const search = list(entry.dns_search);
  for (const [i, domain] of search.entries()) {
    if (DOMAIN.test(domain) && domain.length <= 253) continue;
    findings.refuse(place('dns_search', entry.dns_search, i), `dns_search: ${domain} is not a valid domain`);
  }
  const options = entry.dns_opt ?? [];
  for (const [i, option] of options.entries()) {
    if (!option.startsWith('ndots:') || /^ndots:\d+$/.test(option)) continue;
    findings.refuse(place('dns_opt', options, i), `invalid number for ndots option: ${option.slice(6)}`);
  }
  const extraHosts = hostsOf(entry.extra_hosts, `${pointer}/extra_hosts`, findings);
  const { hostname, domainname } = entry;
  const dns = {
    ...(servers.length > 0 ? { servers } : {}),
    ...(search.length > 0 ? { search } : {}),
    ...(options.length > 0 ? { options } : {}),
  };
  return {
    ...(hostname ? { hostname } : {}),
    ...(domainname ? { domainname } : {}),
    ...(Object.keys(dns).length > 0 ? { dns } : {}),
    ...(extraHosts.length > 0 ? { extraHosts } : {}),
  };

  function place(key: string, value: unknown, index: number) {
    const at = `${pointer}/${key}`;
    return findings.places.value(Array.isArray(value) ? below(at, index) : at);
  }
}

function list(value: string | string[] | undefined): string[] {
  return value === undefined ? [] : [value].flat();
}

function isIp(text: string): boolean {
  return isIpv4(text) || (/^[0-9a-fA-F:.]+$/.test(text) && text.includes(':'));
}

function hostsOf(
  entry: NamingEntry['extra_hosts'],
  pointer: string,
  findings: Findings,
): { address: string; names: string[] }[] {
  const pairs: [string, string, string][] = Array.isArray(entry)
    ? entry.map((text, i): [string, string, string] => {
        // The name ends at the first separator: an IPv6 address has colons too.
        const [, name = '', address = ''] = /^([^:=]*)[:=](.*)$/.exec(text) ?? [];
        return [name.trim(), address.trim(), below(pointer, i)];
      })
    : Object.entries(entry ?? {}).flatMap(([name, addresses]) =>
        [addresses].flat().map((address): [string, string, string] => [name, address, below(pointer, name)]),
      );
  return pairs.flatMap(([name, written, at]) => {
    const where = findings.places.value(at);
    const address = written.replace(/^\[(.*)\]$/, '$1');
    if (name === '' || address === '') {
      findings.refuse(where, 'bad format for add-host', 'write "name:address": extra_hosts: ["db:10.1.2.3"]');
      return [];
    }
    if (address !== HOST_GATEWAY && !isIp(address)) {
      findings.refuse(where, `invalid IP address in add-host: "${address}"`, 'write "name:address"');
      return [];
    }
    return [{ address, names: [name] }];
  });
}
