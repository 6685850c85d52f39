/** Values in a command line of iptables: addresses, marks, places of NAT, kinds of rejection. */

import type { Iptables } from '../../engine/index.js';
import { REJECTIONS, type Rejection } from '../../engine/rule-bits.js';
import type { RuleTarget } from '../../engine/rules.js';
import { cidr6, prefixOf } from '../../engine/wire6.js';
import { Exit } from '../process.js';
import { isIpv4, isIpv6 } from '../resolve.js';

export const VERSION = 'iptables v1.8.9 (nf_tables)';
export const TRY = "Try `iptables -h' or 'iptables --help' for more information.";

/** iptables' "parameter problem". */
export function wrong(words: string): Exit {
  return new Exit(2, `${VERSION}: ${words}\n${TRY}`);
}

export function mark(options: Readonly<Record<string, string>>): RuleTarget {
  const [[name = '', text = ''] = []] = Object.entries(options).filter(([one]) => one.endsWith('mark'));
  if (name === '') throw wrong('MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required');
  const [value, mask = 0xffffffff] = text.split('/').map(Number);
  if (value === undefined || Number.isNaN(value) || Number.isNaN(mask))
    throw wrong(`MARK: bad value for option "--${name}", or out of range (0-4294967295).`);
  switch (name) {
    case 'set-xmark':
      return { target: 'MARK', value, mask };
    // --set-mark clears what it sets, too.
    case 'set-mark':
      return { target: 'MARK', value, mask: (mask | value) >>> 0 };
    case 'or-mark':
      return { target: 'MARK', value, mask: value };
    case 'and-mark':
      return { target: 'MARK', value: 0, mask: ~value >>> 0 };
    default:
      return { target: 'MARK', value, mask: 0 };
  }
}

export function rejection(text: string | undefined, family: Iptables['family']): RuleTarget {
  const prefixed = text?.replace(/^(?:icmp6?-)?/, family === 'ip6' ? 'icmp6-' : 'icmp-');
  const found = (Object.keys(REJECTIONS) as Rejection[]).find((one) => one === (prefixed ?? ''));
  if (found) return { target: 'REJECT', with: found };
  if (text === undefined)
    return { target: 'REJECT', with: family === 'ip6' ? 'icmp6-port-unreachable' : 'icmp-port-unreachable' };
  if (text === 'tcp-reset') throw wrong('--reject-with tcp-reset: not simulated');
  throw wrong(`unknown reject type "${text}"`);
}

/** `ADDRESS[:PORT]`, `:PORT`, `[ADDRESS]:PORT` */
export function place(text: string): { address?: string; port?: number } {
  const [, bracketed, plain = '', port] = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(text) ?? [];
  const address = bracketed ?? (text.split(':').length > 2 ? text : plain);
  if ((address === '' && port === undefined) || (address !== '' && !isIpv4(address) && !isIpv6(address)))
    throw wrong(`Bad IP address "${text}"`);
  if (port !== undefined && Number(port) > 65535) throw wrong(`Port \`${port}' not valid`);
  return { ...(address ? { address } : {}), ...(port === undefined ? {} : { port: Number(port) }) };
}

/** `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `10.0.0.1`: host bits are cleared. */
export function prefix(text: string): string {
  const [address = '', given = '32'] = text.split('/');
  // inet_aton takes fewer parts, too.
  const parts = address.split('.');
  const whole =
    parts.length < 4 && parts.every((part) => /^\d+$/.test(part))
      ? [...parts, '0', '0', '0'].slice(0, 4).join('.')
      : address;
  if (!isIpv4(whole)) throw wrong(`host/network \`${text}' not found`);
  const length = given.includes('.') && isIpv4(given) ? bitsOf(given) : /^\d+$/.test(given) ? Number(given) : 33;
  if (length > 32) throw wrong(`invalid mask \`${given}' specified`);
  const bits = length === 0 ? 0 : (0xffffffff << (32 - length)) >>> 0;
  const value = (whole.split('.').reduce((sum, part) => sum * 256 + Number(part), 0) & bits) >>> 0;
  return `${[24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.')}/${length}`;
}

export function prefix6(text: string): string {
  const [address = '', given = '128'] = text.split('/');
  if (!isIpv6(address)) throw wrong(`host/network \`${text}' not found`);
  if (!/^\d+$/.test(given) || Number(given) > 128) throw wrong(`invalid mask \`${given}' specified`);
  const { length } = cidr6(`${address}/${given}`);
  return `${prefixOf(`${address}/${given}`)}/${length}`;
}

function bitsOf(dotted: string): number {
  const value = dotted.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const length = 32 - Math.log2(0x100000000 - value);
  return Number.isInteger(length) ? length : 33;
}
