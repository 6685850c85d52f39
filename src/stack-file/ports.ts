/**
 * Published ports, in Compose's short form (`"8080-8085:80-85/tcp"`) and long form (target, published, protocol, mode),
 * expanded to one entry a port as docker/cli does (opts/port.go, ConvertPortToPortConfig; docker/go-connections, nat/nat.go).
 */
import type { PortSpec, Protocol } from '../topology/spec.js';

/** What a port's author wrote wrong, or what is understood in another way. Places are the caller's business. */
export interface PortReading {
  ports: PortSpec[];
  /** The address before the ports, if there is one: a swarm publishes on every address of every node. */
  hostAddress?: string;
}

export class PortError extends Error {
  override readonly name = 'PortError';
  readonly hint: string | undefined;
  /** The long form's key that is at fault. */
  readonly key: string | undefined;

  constructor(message: string, hint?: string, key?: string) {
    super(message);
    this.hint = hint;
    this.key = key;
  }
}

/** A port as the long form has it. */
export interface LongPort {
  target: number | string;
  published?: number | string;
  protocol?: string;
  mode?: 'ingress' | 'host';
  host_ip?: string;
}

interface Range {
  first: number;
  last: number;
}

/** `[[address:][published]:]target[/protocol]`. @throws PortError */
export function shortPort(text: string): PortReading {
  const slash = text.lastIndexOf('/');
  const body = slash < 0 ? text : text.slice(0, slash);
  const protocol = protocolOf(slash < 0 ? 'tcp' : text.slice(slash + 1));
  const found = /^(?:(?<address>\[[^\]]*\]|[^:]*):)??(?:(?<published>[^:]*):)?(?<target>[^:]+)$/.exec(body);
  const { address, published, target } = found?.groups ?? {};
  if (target === undefined)
    throw new PortError(`"${text}" is no port`, 'write "8080:80", "8080:80/udp" or a range "8080-8085:80-85"');
  const ports = expand(
    range(target, 'target'),
    isAssigned(published) ? undefined : range(published ?? '', 'published'),
    protocol,
    'ingress',
  );
  return address ? { ports, hostAddress: address } : { ports };
}

/** @throws PortError */
export function longPort(port: LongPort): PortReading {
  const target = range(port.target, 'target');
  if (target.first !== target.last)
    throw new PortError(
      `target is one port, not the range "${port.target}"`,
      'a range needs the short form "8080-8085:80-85"',
      'target',
    );
  const published = isAssigned(port.published) ? undefined : range(port.published ?? '', 'published');
  const ports = expand(target, published, protocolOf(port.protocol ?? 'tcp'), port.mode ?? 'ingress');
  return port.host_ip ? { ports, hostAddress: port.host_ip } : { ports };
}

/** Without a published port, and with port 0, swarm chooses one. */
function isAssigned(published: number | string | undefined): boolean {
  return published === undefined || published === '' || String(published) === '0';
}

function protocolOf(text: string): Protocol {
  const protocol = text.toLowerCase();
  if (protocol === 'tcp' || protocol === 'udp') return protocol;
  if (protocol === 'sctp')
    throw new PortError('protocol sctp is not supported yet', 'swarmwire publishes tcp and udp', 'protocol');
  throw new PortError(`protocol must be "tcp" or "udp", not "${text}"`, undefined, 'protocol');
}

function range(value: number | string, key: 'target' | 'published'): Range {
  const found = /^(\d+)(?:-(\d+))?$/.exec(String(value));
  if (found === null)
    throw new PortError(
      `"${value}" is no ${key} port`,
      'a port is a number from 1 to 65535, a range is written 8080-8085',
      key,
    );
  const first = Number(found[1]);
  const last = found[2] === undefined ? first : Number(found[2]);
  for (const port of [first, last]) {
    if (port < 1 || port > 65535)
      throw new PortError(`port ${port} is out of range`, 'a port is a number from 1 to 65535', key);
  }
  if (last < first) throw new PortError(`the range ${value} ends before it begins`, `write ${last}-${first}`, key);
  return { first, last };
}

function expand(target: Range, published: Range | undefined, protocol: Protocol, mode: 'ingress' | 'host'): PortSpec[] {
  const targets = target.last - target.first + 1;
  if (published === undefined) {
    return Array.from({ length: targets }, (_, i) => ({ target: target.first + i, protocol, mode }));
  }
  const publishes = published.last - published.first + 1;
  // One target may be published at several ports; otherwise both ranges go in step.
  if (targets !== 1 && targets !== publishes) {
    throw new PortError(
      `${publishes} published ports cannot go to ${targets} target ports`,
      `write ${published.first}-${published.first + targets - 1}:${target.first}-${target.last}`,
    );
  }
  return Array.from({ length: publishes }, (_, i) => ({
    published: published.first + i,
    target: targets === 1 ? target.first : target.first + i,
    protocol,
    mode,
  }));
}
