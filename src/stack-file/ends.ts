/** Who speaks with whom: the ends of a flow as they are written, and what is wrong with them. */

import { isIpv4 } from '../topology/ipv4.js';
import type { ServiceSpec } from '../topology/spec.js';
import { isAddress6 } from './addresses.js';
import type { Findings } from './findings.js';
import type { Answerer, Parties } from './parties.js';

interface Ends {
  from: string;
  to: string;
  port: number;
  at: { at?: number };
}

/**
 * @param port what stands in for a missing port; undefined where a flow has none
 * @param spoken where the file says who speaks
 */
export function endsOf(
  flow: { from?: string; to: string; at?: number },
  port: number | 'needed' | undefined,
  pointer: string,
  parties: Parties,
  findings: Findings,
  spoken = `${pointer}/from`,
): Ends {
  const { places } = findings;
  const from = flow.from ?? 'client';
  const speaker = parties.speaker(from);
  if (speaker.kind === 'refused') findings.refuse(places.value(spoken), speaker.message, speaker.hint);
  const where = places.value(`${pointer}/to`);
  const target = splitTarget(flow.to);
  if (flow.to.includes('://')) {
    findings.refuse(
      where,
      `"to" is a host and a port, not the URL "${flow.to}"`,
      'write to: node1:8080, and path: / beside it',
    );
  } else if (port === undefined && target.port !== undefined) {
    findings.refuse(where, 'a ping goes to a host, not to a port', `write to: ${target.host}`);
  } else if (port === 'needed' && target.port === undefined) {
    findings.refuse(where, `"${flow.to}" lacks a port`, `write to: ${target.host}:53`);
  } else {
    checkPort(target.port, where, findings);
    const answerer = answererOf(target.host, parties);
    if (answerer.kind === 'refused') findings.refuse(where, answerer.message, answerer.hint);
    else if (speaker.kind === 'host' && answerer.service !== undefined) {
      findings.refuse(
        where,
        `"${from}" is outside the networks of service "${target.host}" and cannot ask for it by name`,
        'ask a node at a published port: to: node1:8080',
      );
    } else if (speaker.kind === 'task' && answerer.service !== undefined) {
      warnOfStrangers(speaker.service, answerer.service, target.host, `${pointer}/to`, findings);
    }
  }
  const fallback = typeof port === 'number' ? port : 0;
  return {
    from,
    to: target.host,
    port: Number(target.port ?? fallback),
    at: flow.at === undefined ? {} : { at: flow.at },
  };
}

/** `host:port` of somebody that can answer; undefined, and a finding, where it is none. */
export function targetOf(
  text: string,
  pointer: string,
  parties: Parties,
  findings: Findings,
): { host: string; port: number } | undefined {
  const where = findings.places.value(pointer);
  const { host, port } = splitTarget(text);
  if (port === undefined) {
    findings.refuse(where, `"${text}" lacks a port`, `write to: ${host}:80`);
    return undefined;
  }
  checkPort(port, where, findings);
  const answerer = answererOf(host, parties);
  if (answerer.kind === 'refused') findings.refuse(where, answerer.message, answerer.hint);
  return { host, port: Number(port) };
}

/** `host`, `host:80`, `2001:db8::3` or `[2001:db8::3]:80`. */
function splitTarget(text: string): { host: string; port?: string } {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
  if (bracketed) {
    const [, host = '', port] = bracketed;
    return port === undefined ? { host } : { host, port };
  }
  if (isAddress6(text)) return { host: text };
  const colon = text.lastIndexOf(':');
  return colon < 0 ? { host: text } : { host: text.slice(0, colon), port: text.slice(colon + 1) };
}

export function checkPort(port: string | undefined, where: { line: number; column: number }, findings: Findings): void {
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65535)) {
    findings.refuse(where, `"${port}" is no port`, 'a port is a number from 1 to 65535');
  }
}

export function answererOf(host: string, parties: Parties): Answerer {
  return isIpv4(host) || isAddress6(host) ? { kind: 'known' } : parties.answerer(host);
}

/** Allowed, since a name that is not found is worth seeing too; but hardly what was meant. */
export function warnOfStrangers(
  from: ServiceSpec,
  to: ServiceSpec,
  name: string,
  pointer: string,
  findings: Findings,
): void {
  const shared = from.networks.some((network) => to.networks.some((other) => other.name === network.name));
  if (!shared)
    findings.warn(
      name,
      findings.places.value(pointer),
      `services "${from.name}" and "${to.name}" share no network, so "${name}" will not be found`,
    );
}
