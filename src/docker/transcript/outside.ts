/** The world outside, as far as a guide asks for it: one host that has every public name and address of its commands. */

import type { StackSpec } from '../../topology/spec.js';
import type { Step } from './steps.js';

const ASKS = /\b(?:ping6?|curl|wget|dig|nslookup|traceroute|host|telnet|nc)\b/;
const PUBLIC_NAME = /(?<![\w@./-])(?:https?:\/\/)?((?:[a-z0-9-]+\.)+(?:com|net|org|io|es|cn|de|dev))(?![\w.-]*@)/g;
const ADDRESS = /(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])/g;
/** Addresses that nobody outside has: Docker's own pools are among them. */
export const PRIVATE = /^(?:10|127|0|22[4-9]|2[345]\d)\.|^172\.(?:1[6-9]|2\d|3[01])\.|^192\.168\.|^169\.254\.|^100\./;

export function outsideFor(spec: StackSpec, steps: readonly Step[]): void {
  const [client] = spec.outside;
  if (!client) return;
  const asked = steps
    .filter(({ command }) => ASKS.test(command) || /--dns\b/.test(command))
    .map(({ command }) => command);
  const names = new Set(asked.flatMap((command) => [...command.matchAll(PUBLIC_NAME)].map(([, name = '']) => name)));
  const addresses = new Set(
    asked.flatMap((command) => command.match(ADDRESS) ?? []).filter((one) => !PRIVATE.test(one)),
  );
  const resolves: Record<string, string | string[]> = { ...client.resolves };
  const own = new Set(client.extraAddresses ?? []);
  let last = 20;
  for (const name of names) {
    if (Object.hasOwn(resolves, name)) continue;
    const address = `203.0.113.${++last}`;
    resolves[name] = address;
    own.add(`${address}/32`);
  }
  for (const address of addresses) own.add(`${address}/32`);
  client.resolves = resolves;
  client.extraAddresses = [...own];
}
