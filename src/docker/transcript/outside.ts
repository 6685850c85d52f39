/** The world outside, as far as a guide asks for it: one host that has every public name and address of its commands. */

import { joined } from '../../bytes.js';
import type { StackSpec } from '../../topology/spec.js';
import { answer, isHttp, isWhole } from '../../traffic/http.js';
import type { World } from '../world.js';
import type { Step } from './steps.js';

/** Sites that tell who asks from where. */
const WHO_AM_I =
  /^Host: (?:ip-addr\.es|ifconfig\.(?:me|co|io)|icanhazip\.com|ident\.me|ipecho\.net|checkip\.amazonaws\.com)\b/im;
const HTTP = 80;

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

/** Its web server: a page for every name, and the caller's own address where that is what a site is for. */
export function serveOutside({ sockets, topology, engine }: World): void {
  const [client] = topology.hosts;
  const namespace = client && engine.namespaces.get(`${client.name}/host`);
  if (!client || !namespace) return;
  sockets.listen(namespace, HTTP, (connection) => {
    let received: Uint8Array = new Uint8Array();
    connection.onData = (piece, time) => {
      received = joined([received, piece]);
      if (!isHttp(received) || !isWhole(received)) return;
      const asksWho = WHO_AM_I.test(new TextDecoder().decode(received));
      const body = asksWho
        ? `${connection.remote.address}\n`
        : '<!DOCTYPE html>\n<html><body>The world outside</body></html>\n';
      answer(connection, received, client.name, body, sockets.after(time));
      received = new Uint8Array();
    };
    connection.onEnd = (time) => connection.close(sockets.after(time));
  });
}
