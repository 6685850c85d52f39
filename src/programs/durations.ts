/** `5`, `1.5`, `2m`: as sleep and timeout read them. */

import { Exit, SECOND } from './process.js';

const UNITS: Record<string, number> = { '': 1, s: 1, m: 60, h: 3600, d: 86400 };

/** ns. @throws Exit */
export function durationOf(program: string, text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([smhd]?)$/.exec(text) ?? [];
  if (number === undefined) throw new Exit(1, `${program}: invalid number '${text}'`);
  return Number(number) * (UNITS[unit] ?? 1) * SECOND;
}
