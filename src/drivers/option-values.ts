/** What is wrong with an option's value, in dockerd's words (libnetwork drivers/bridge/bridge.go, parseErr). */

import { isIpv4 } from '../topology/ipv4.js';
import { groupsOf } from '../topology/ipv6.js';

type Check = (value: string) => string | undefined;

const FLAGS = new Set(['1', 't', 'T', 'TRUE', 'true', 'True', '0', 'f', 'F', 'FALSE', 'false', 'False']);
const OFF = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

/** As Go's strconv.ParseBool reads it, once `flag` has let it pass. */
export function isOff(value: string | undefined): boolean {
  return value !== undefined && OFF.has(value);
}

export function flag(option: string): Check {
  return (value) =>
    FLAGS.has(value)
      ? undefined
      : `failed to parse ${option} value: ${value} (strconv.ParseBool: parsing "${value}": invalid syntax)`;
}

export function wholeNumber(option: string): Check {
  return (value) =>
    /^[+-]?\d+$/.test(value)
      ? undefined
      : `failed to parse ${option} value: ${value} (strconv.Atoi: parsing "${value}": invalid syntax)`;
}

export function address(option: string): Check {
  return (value) => (isIpv4(value) ? undefined : `failed to parse ${option} value: ${value} (nil ip)`);
}

/** An address of either family. */
export function addressOfEither(option: string): Check {
  return (value) => (isIpv4(value) || isIpv6(value) ? undefined : `failed to parse ${option} value: ${value} (nil ip)`);
}

function isIpv6(text: string): boolean {
  try {
    return text.includes(':') && groupsOf(text).length === 8;
  } catch {
    return false;
  }
}

export function oneOf(option: string, values: readonly string[], wrong: (value: string) => string): Check {
  return (value) =>
    values.includes(value) ? undefined : `failed to parse ${option} value: ${value} (${wrong(value)})`;
}
