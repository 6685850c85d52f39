/**
 * A firewall between the nodes, as a cloud's security group is one: it stands on the wire, so a frame leaves its sender and
 * never arrives. Which rules there are, what is closed by them, and what the wire has to stop.
 */

import type { FirewallPort, FirewallRule } from '../topology/spec.js';
import type { Topology } from '../topology/topology.js';

/** VXLAN's port, unless the swarm was given another. */
const DATA_PATH_PORT = 4789;

/** One entry of the access list towards a node. */
export interface Stop {
  /** A node; without it whoever. */
  from?: string;
  to: string;
  protocol: 'tcp' | 'udp' | 'esp';
  port?: number;
}

/** What stops frames on the wire. */
export interface Wire {
  deny(stop: Stop): void;
  allow(stop: Stop): void;
}

export class Firewall {
  readonly #rules: FirewallRule[] = [];
  readonly #stops = new Map<string, Stop>();

  constructor(
    readonly topology: Topology,
    readonly wire: Wire,
  ) {}

  get isEmpty(): boolean {
    return this.#rules.length === 0;
  }

  /** What is closed now, an entry a node and port. */
  get stops(): Stop[] {
    return [...this.#stops.values()];
  }

  add(rule: FirewallRule): void {
    this.#rules.push(rule);
    this.program();
  }

  /** Takes the last rule of the same words away; false: there is none. */
  remove(rule: FirewallRule): boolean {
    const at = this.#rules.findLastIndex((one) => one === rule || text(one) === text(rule));
    if (at < 0) return false;
    this.#rules.splice(at, 1);
    this.program();
    return true;
  }

  /** Does this get through? */
  isOpen(from: string, to: string, protocol: Stop['protocol'], port: number): boolean {
    return ![{ to }, { from, to }].some((way) => this.#stops.has(keyOf({ ...way, protocol, port })));
  }

  /** The wire stops what the rules say, for the nodes that there are. */
  program(): void {
    const wanted = new Map(this.#rules.flatMap((rule) => this.#expand(rule)).map((stop) => [keyOf(stop), stop]));
    for (const [key, stop] of this.#stops) {
      if (wanted.has(key)) continue;
      this.#stops.delete(key);
      this.wire.allow(stop);
    }
    for (const [key, stop] of wanted) {
      if (this.#stops.has(key)) continue;
      this.#stops.set(key, stop);
      this.wire.deny(stop);
    }
  }

  #expand({ block, from, to }: FirewallRule): Stop[] {
    const nodes = this.topology.nodes.map(({ name }) => name);
    const ways: Pick<Stop, 'from' | 'to'>[] = (to ?? nodes).flatMap((there) =>
      from ? from.filter((one) => one !== there).map((one) => ({ from: one, to: there })) : [{ to: there }],
    );
    const known = ways.filter((way) => nodes.includes(way.to) && nodes.includes(way.from ?? way.to));
    return known.flatMap((way) => block.map((port) => ({ ...way, ...this.#portOf(port) })));
  }

  #portOf(blocked: FirewallPort): Pick<Stop, 'protocol' | 'port'> {
    if (blocked.protocol !== 'data-path') return blocked;
    return { protocol: 'udp', port: dataPathPort(this.topology) };
  }
}

export function dataPathPort({ swarmInit }: Topology): number {
  return swarmInit?.dataPathPort ?? DATA_PATH_PORT;
}

function keyOf({ from = '*', to, protocol, port = 0 }: Stop): string {
  return `${from} ${to} ${protocol}/${port}`;
}

function text({ block, from = [], to = [] }: FirewallRule): string {
  return JSON.stringify([block.map(({ protocol, ...more }) => ({ protocol, ...more })), from, to]);
}

/** `tcp/2377`, `ESP` */
export function portText({ protocol, port }: Pick<Stop, 'protocol' | 'port'>): string {
  return protocol === 'esp' ? 'ESP' : `${protocol}/${port}`;
}

/** `tcp/2377, udp/7946 from node1 to node2 and node3` */
export function ruleText({ block, from, to }: FirewallRule): string {
  const ports = block.map((one) => {
    if (one.protocol === 'esp') return 'ESP';
    return one.protocol === 'data-path' ? 'the data path' : `${one.protocol}/${one.port}`;
  });
  const way = [from ? ` from ${from.join(' and ')}` : '', to ? ` to ${to.join(' and ')}` : ''].join('');
  return `${ports.join(', ')}${way || ' between the nodes'}`;
}
