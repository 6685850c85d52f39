/** The address that an operand means, or busybox's and the others' words for one that means none. */

import type { Lookup } from '../dns/index.js';
import { Exit, now, type Process } from './process.js';
import { type Steps, until } from './steps.js';

const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;

export function isIpv4(text: string): boolean {
  return IPV4.test(text) && text.split('.').every((part) => Number(part) < 256);
}

export function isIpv6(text: string): boolean {
  return text.includes(':') && /^[0-9a-f:.]+(%\w+)?$/i.test(text);
}

/** All that the name stands for, of a family (0: both), in getaddrinfo()'s order, by real queries. Empty: nobody knows it. */
export function* lookUp(process: Process, name: string, family: 0 | 4 | 6): Steps<string[]> {
  const { names, namespace } = process.machine;
  const { addresses } = yield* until<Lookup>((done) => {
    names.lookUp(namespace, name, now(process), done);
    return undefined;
  });
  return addresses.filter((address) => family === 0 || isIpv6(address) === (family === 6));
}

/** @throws Exit with `words` for a name that nobody knows. */
export function* addressOf(
  process: Process,
  name: string,
  family: 0 | 4 | 6,
  words: string,
  status = 1,
): Steps<string> {
  if (isIpv4(name) || isIpv6(name)) return name;
  const [address] = yield* lookUp(process, name, family);
  if (address === undefined) throw new Exit(status, words);
  return address;
}
