/**
 * A command's arguments, read strictly: an unknown option, a missing value or a value too many is bad input, never silently
 * dropped. Node's own `parseArgs` splits them; here are its errors in our words, with a hint.
 */

import { type ParseArgsConfig, parseArgs } from 'node:util';
import { BadInput } from './bad-input.js';
import { nearest } from './nearest.js';

export type Options = NonNullable<ParseArgsConfig['options']>;

type Read<T extends Options> = ReturnType<typeof parseArgs<{ options: T; strict: true; allowPositionals: true }>>;

/** @throws BadInput */
export function readArguments<T extends Options>(args: readonly string[], options: T): Read<T> {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
      const [, given = ''] = /'(-[^']*)'/.exec(message) ?? [];
      throw unknownOption(given, options);
    }
    if (code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE') throw wrongValue(message);
    throw error;
  }
}

function unknownOption(given: string, options: Options): BadInput {
  const names = Object.keys(options).map((name) => `--${name}`);
  const meant = nearest(given, names);
  const hint = meant === undefined ? `there are ${names.sort().join(' ')}` : `did you mean ${meant}?`;
  return new BadInput(`unknown option ${given}`, hint);
}

/** Node names the option and says one of three things of it. */
function wrongValue(message: string): BadInput {
  const option = /--[\w-]+/.exec(message)?.[0] ?? 'an option';
  if (message.includes('does not take')) return new BadInput(`${option} takes no value`);
  if (message.includes('ambiguous')) {
    return new BadInput(`${option}: its value is missing`, `a value that begins with "-" is written ${option}=VALUE`);
  }
  return new BadInput(`${option}: its value is missing`);
}

/** A whole number from `least` to `most`. */
export function wholeNumber(name: string, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) {
    const range = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`;
    throw new BadInput(`--${name} ${text}: not a whole number ${range}`);
  }
  return value;
}

export function oneOf<T extends string>(name: string, text: string, choices: readonly T[]): T {
  const chosen = choices.find((choice) => choice === text);
  if (chosen === undefined) throw new BadInput(`--${name} ${text}: no such choice`, `it is ${choices.join(' or ')}`);
  return chosen;
}
