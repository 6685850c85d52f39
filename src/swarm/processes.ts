/**
 * The processes of a swarm: every published target port has a listener, and every port that a call or a flow asks for.
 * A task whose service has calls to make makes them before it answers.
 */

import type { Namespace, Sockets } from '../engine/index.js';
import type { CallSpec, StackSpec } from '../topology/spec.js';
import { hostPart } from '../topology/topology.js';
import type { Exchange } from '../traffic/exchange.js';
import * as http from '../traffic/http.js';
import { listenTcp, listenUdp, type Upstream } from '../traffic/listener.js';
import * as redis from '../traffic/redis.js';
import { conclude, type FlowReport, newReport } from './flow.js';
import type { Parties } from './parties.js';

export class Processes {
  readonly #taken = new Set<string>();
  /** The flow that is being answered, and the calls that its answer waits for, innermost last. */
  #waiting: FlowReport[] = [];

  constructor(
    readonly spec: StackSpec,
    readonly sockets: Sockets,
    readonly parties: Parties,
  ) {}

  /** Calls made from now on belong to this flow. */
  answering(report: FlowReport): void {
    this.#waiting = [report];
  }

  listen(): void {
    const { topology, namespaces } = this.parties.realized;
    const asked = this.#asked();
    for (const sandbox of topology.sandboxes) {
      const namespace = namespaces.get(`${sandbox.node}/${sandbox.name}`);
      if (sandbox.kind === 'balancer' || !namespace) continue;
      const name = `${sandbox.task ?? sandbox.container} on ${sandbox.node}`;
      const upstreams = this.spec.calls
        .filter(({ service }) => service === sandbox.service)
        .map((call) => this.#upstream(namespace, call));
      const service = topology.services.find((one) => one.name === sandbox.service);
      const published = [...(service?.ports ?? []), ...(sandbox.publishes ?? [])];
      for (const { target, protocol } of published) this.#open(namespace, target, protocol, name, upstreams);
      for (const { to, port, protocol } of asked) {
        const wanted = to.replace(/^tasks\./, '');
        const own = [
          sandbox.service,
          sandbox.task,
          sandbox.container,
          ...sandbox.endpoints.map(({ address }) => hostPart(address)),
        ];
        if (own.includes(wanted)) this.#open(namespace, port, protocol, name, upstreams);
      }
    }
    for (const host of topology.hosts) {
      const namespace = namespaces.get(`${host.name}/host`);
      const own = [host.name, ...[...host.nic.addresses, ...host.extraAddresses].map(hostPart)];
      for (const { to, port, protocol } of asked) {
        if (namespace && own.includes(to)) this.#open(namespace, port, protocol, host.name, []);
      }
    }
  }

  /** What calls and flows ask for. */
  #asked(): { to: string; port: number; protocol: 'tcp' | 'udp' }[] {
    const calls = this.spec.calls.map(({ to, port }) => ({ to, port, protocol: 'tcp' as const }));
    const flows = this.spec.traffic.flatMap((flow) =>
      flow.kind === 'ping'
        ? []
        : [{ to: flow.to, port: flow.port, protocol: flow.kind === 'udp' ? ('udp' as const) : ('tcp' as const) }],
    );
    return [...calls, ...flows];
  }

  #open(namespace: Namespace, port: number, protocol: 'tcp' | 'udp', name: string, upstreams: Upstream[]): void {
    const key = `${namespace.name} ${protocol} ${port}`;
    if (this.#taken.has(key)) return;
    this.#taken.add(key);
    if (protocol === 'tcp') listenTcp(this.sockets, namespace, port, name, upstreams);
    else listenUdp(this.sockets, namespace, port, name);
  }

  #upstream(from: Namespace, { protocol, to: name, port, path }: CallSpec): Upstream {
    return {
      label: `${protocol}://${name}:${port}`,
      call: (at, done) => {
        const report = newReport(protocol, this.parties.nameOf(from), `${name}:${port}`, at);
        this.#waiting.at(-1)?.calls.push(report);
        const address = this.parties.targetOf(name, from);
        const to = { address: address ?? '', port };
        if (!address) {
          const detail = `${name} is no name on a network that ${report.from} is on`;
          conclude(report, this.parties.realized, { ok: false, data: new Uint8Array(), finished: at, detail }, to);
          done({ ok: false, data: new Uint8Array(), finished: at, detail });
          return;
        }
        this.#waiting.push(report);
        const finish = (result: Exchange) => {
          this.#waiting = this.#waiting.filter((one) => one !== report);
          conclude(report, this.parties.realized, result, to);
          done(result);
        };
        if (protocol === 'redis') redis.ping(this.sockets, from, to, at, finish);
        else http.get(this.sockets, from, to, { host: report.to, path, at }, finish);
      },
    };
  }
}
