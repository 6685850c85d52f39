/**
 * A DNS server outside the swarm: it knows a few names by heart and says of all others that they do not exist. Its answers
 * are those of the oracle's own "internet": flags 0x8180, lifetime 300 s, names compressed.
 */

import type { Handler, Transport } from './listener.js';
import { type Answer, FLAG, type Query, RCODE, reply, TCP_SIZE, UDP_SIZE } from './message.js';

const TTL = 300;

/** Addresses by name, lower case; looked up anew for each query. */
export type Zone = (name: string) => readonly string[] | undefined;

export function zoneHandler(zone: Zone, after: (time: number) => number): Handler {
  return (query, transport, time, done) => done(zoneReply(query, zone, transport), after(time));
}

/** The zone's answer: addresses of the family asked for, nothing for another type, NXDOMAIN for a name it does not have. */
export function zoneReply(query: Query, zone: Zone, transport: Transport): Uint8Array {
  const addresses = query.plain ? zone(query.name.toLowerCase()) : undefined;
  if (!addresses) return reply(query, { flags: FLAG.RA, rcode: RCODE.NXDOMAIN });
  const { name, type } = query;
  const wanted = addresses.filter((address) => type === (address.includes(':') ? 'AAAA' : 'A'));
  const answers = wanted.map((data): Answer => ({ name, type: type as 'A' | 'AAAA', ttl: TTL, class: 'IN', data }));
  const limit = transport === 'tcp' ? TCP_SIZE : Math.max(query.udpSize ?? 0, UDP_SIZE);
  for (let kept = answers.length; ; kept--) {
    const flags = FLAG.RA | (kept < answers.length ? FLAG.TC : 0);
    const made = reply(query, { flags, answers: answers.slice(0, kept), compress: true });
    if (made.length <= limit || kept === 0) return made;
  }
}
