/** `ip addr`: shows, adds and removes addresses. */

import type { Device, Namespace } from '../../engine/index.js';
import { linksOf } from '../../engine/links.js';
import { isIpv6 } from '../../engine/wire6.js';
import { addressLines, ipAddr, LIFETIME } from '../../views/ip-addr.js';
import { Exit } from '../process.js';
import { isIpv4 } from '../resolve.js';
import { briefly, joined, selectedLinks } from './ip-link.js';
import { answers, deviceOf, type IpOptions, keywords, refused, shows, verbOf } from './ip-words.js';

export function ipAddress(namespace: Namespace, [verb, ...words]: readonly string[], options: IpOptions): string {
  if (shows(verb)) return shown(namespace, words, options);
  const kind = verbOf('address', verb ?? '', ['add', 'change', 'replace', 'delete', 'flush', 'help']);
  if (kind === 'help') throw new Exit(255, 'Usage: ip address { add | delete | flush | show } …');
  if (kind === 'flush') {
    const wanted = selectedLinks(namespace, words);
    for (const { device } of linksOf(namespace).filter(wanted))
      for (const { address, length } of [...device.addresses, ...device.addresses6])
        namespace.removeAddress(device, `${address}/${length}`);
    return '';
  }
  const given = keywords(
    words,
    ['dev', 'local', 'brd', 'broadcast', 'scope', 'label', 'peer', 'valid_lft', 'preferred_lft'],
    ['nodad', 'noprefixroute'],
  );
  const { local, operand = local, dev } = given;
  const brd = given.brd ?? given.broadcast;
  if (dev === undefined) throw new Exit(1, 'Not enough information: "dev" argument is required.');
  if (operand === undefined) throw new Exit(2, 'RTNETLINK answers: Invalid argument');
  const prefix = prefixOf(operand);
  const device = deviceOf(namespace, dev);
  const entry = [...device.addresses, ...device.addresses6].find(
    ({ address, length }) => `${address}/${length}` === prefix,
  );
  if (kind === 'delete') {
    if (!entry) throw isIpv6(prefix) ? answers('Cannot assign requested address') : refused('ipv4: Address not found.');
    remove(namespace, device, entry);
    return '';
  }
  if (entry && kind === 'add')
    throw isIpv6(prefix) ? answers('File exists') : refused('ipv4: Address already assigned.');
  if (!entry) {
    namespace.addAddress(
      device,
      prefix,
      isIpv6(prefix) ? { nodad: given.flags.has('nodad') } : { broadcast: brd !== undefined },
    );
    // The kernel's routes for it come when the device is up.
    if (!device.up)
      for (const route of namespace.routes.filter((one) => one.device === device && one.type !== 'local'))
        namespace.removeRoute(route);
  }
  return '';
}

/** The kernel takes secondary addresses with their primary one. */
function remove(namespace: Namespace, device: Device, { address, length }: { address: string; length: number }): void {
  namespace.removeAddress(device, `${address}/${length}`);
}

/** @throws Exit */
export function prefixOf(text: string): string {
  const [address = '', length] = text.split('/');
  const six = isIpv6(address);
  const most = six ? 128 : 32;
  const right = (six || isIpv4(address)) && (length === undefined || (/^\d+$/.test(length) && Number(length) <= most));
  if (!right) throw new Exit(1, `Error: any valid prefix is expected rather than "${text}".`);
  return `${address}/${length ?? most}`;
}

function shown(namespace: Namespace, words: readonly string[], options: IpOptions): string {
  const { details, statistics, family, brief, oneline } = options;
  const only = selectedLinks(namespace, words);
  if (!brief && !oneline) return ipAddr(namespace, { details, statistics, only, ...(family ? { family } : {}) });
  const links = linksOf(namespace).filter(only);
  if (brief)
    return links
      .map((link) => {
        const addresses = addressLines(link, family).map((line) => line.trim().split(' ')[1]);
        return family && addresses.length === 0
          ? ''
          : `${briefly(link)}${addresses.map((one) => `${one} `).join('')}\n`;
      })
      .join('');
  return links
    .flatMap((link) =>
      addressLines(link, family).map((line) => joined([`${link.index}: ${link.device.name}${line}`, LIFETIME], true)),
    )
    .join('');
}
