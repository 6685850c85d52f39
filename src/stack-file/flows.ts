/**
 * What is said over the networks: `traffic` (flows that a run sends) and `calls` (what a task asks before it answers).
 */
import type { CallSpec, ServiceSpec, TrafficSpec } from '../topology/spec.js';
import { answererOf, checkPort, endsOf, warnOfStrangers } from './ends.js';
import type { Findings } from './findings.js';
import { readLoad } from './load.js';
import type { Parties } from './parties.js';
import { below } from './places.js';
import { type FlowEntry, SECTION } from './section.js';
import { knownNames } from './wording.js';

export function readTraffic(entries: readonly FlowEntry[], parties: Parties, findings: Findings): TrafficSpec[] {
  return entries.flatMap(({ ping, http, udp, load }, index): TrafficSpec[] => {
    const pointer = `${SECTION}/traffic/${index}`;
    if (ping !== undefined) {
      const ends = endsOf(ping, undefined, `${pointer}/ping`, parties, findings);
      return [
        { kind: 'ping', from: ends.from, to: ends.to, count: ping.count ?? 1, size: ping.size ?? 56, ...ends.at },
      ];
    }
    if (http !== undefined) {
      const ends = endsOf(http, 80, `${pointer}/http`, parties, findings);
      return [
        {
          kind: 'http',
          from: ends.from,
          to: ends.to,
          port: ends.port,
          path: http.path ?? '/',
          requests: http.requests ?? 1,
          ...(http.hold === undefined ? {} : { hold: http.hold }),
          ...ends.at,
        },
      ];
    }
    if (udp !== undefined) {
      const ends = endsOf(udp, 'needed', `${pointer}/udp`, parties, findings);
      return [
        {
          kind: 'udp',
          from: ends.from,
          to: ends.to,
          port: ends.port,
          size: udp.size ?? 64,
          datagrams: udp.datagrams ?? 1,
          ...ends.at,
        },
      ];
    }
    return load === undefined ? [] : [readLoad(load, `${pointer}/load`, parties, findings)];
  });
}

const SCHEMES = { http: 80, redis: 6379 } as const;

export function readCalls(
  entries: Record<string, string | string[]>,
  parties: Parties,
  findings: Findings,
): CallSpec[] {
  const { places } = findings;
  const calls: CallSpec[] = [];
  for (const [name, urls] of Object.entries(entries)) {
    const pointer = below(`${SECTION}/calls`, name);
    const caller = parties.service(name);
    if (caller === undefined)
      findings.refuse(
        places.key(pointer),
        `there is no service "${name}" here`,
        knownNames(name, parties.serviceNames),
      );
    for (const [index, url] of (Array.isArray(urls) ? urls : [urls]).entries()) {
      const at = Array.isArray(urls) ? below(pointer, index) : pointer;
      const call = callOf(name, caller, url, at, parties, findings);
      if (call !== undefined) calls.push(call);
    }
  }
  return calls;
}

function callOf(
  service: string,
  caller: ServiceSpec | undefined,
  url: string,
  pointer: string,
  parties: Parties,
  findings: Findings,
): CallSpec | undefined {
  const where = findings.places.value(pointer);
  const [, scheme = '', host = '', port, path = ''] =
    /^([a-z][a-z0-9+.-]*):\/\/([^/:@?#]+)(?::(\d+))?(\/[!-~]*)?$/i.exec(url) ?? [];
  const protocol = (['http', 'redis'] as const).find((known) => known === scheme.toLowerCase());
  if (protocol === undefined) {
    findings.refuse(where, `"${url}" is nothing that a task can call`, 'write http://node:3000/ or redis://redis:6379');
    return undefined;
  }
  checkPort(port, where, findings);
  const answerer = answererOf(host, parties);
  if (answerer.kind === 'refused') findings.refuse(where, answerer.message, answerer.hint);
  else if (caller !== undefined && answerer.service !== undefined)
    warnOfStrangers(caller, answerer.service, host, pointer, findings);
  return { service, to: host, port: Number(port ?? SCHEMES[protocol]), protocol, path: path || '/' };
}
