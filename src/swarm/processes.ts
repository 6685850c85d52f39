/**
 * The processes of a swarm: every published target port has a listener, and every port that a call or a flow asks for.
 * A task whose service has calls to make makes them before it answers.
 */

import { domainNames, type Names, namesOfSandbox } from '../dns/index.js';
import type { Listener, Namespace, Sockets, UdpSocket } from '../engine/index.js';
import type { CallSpec, Protocol, StackSpec, TrafficSpec } from '../topology/spec.js';
import { hostPart, namespaceOf, type Sandbox } from '../topology/topology.js';
import type { Exchange } from '../traffic/exchange.js';
import * as http from '../traffic/http.js';
import { listenTcp, listenUdp, type Upstream } from '../traffic/listener.js';
import * as redis from '../traffic/redis.js';
import { listenRelay } from '../traffic/relay.js';
import { conclude, type FlowReport, newReport } from './flow.js';
import type { Parties } from './parties.js';

export class Processes {
  /** By namespace: ports that have a listener. */
  readonly #taken = new Map<string, Set<string>>();
  /** What is open in a namespace that is not its sandbox's own. */
  readonly #guests = new Map<Sandbox, { listeners: Listener[]; udp: UdpSocket[]; ports: string[] }>();
  /** The flow that is being answered, and the calls that its answer waits for, innermost last. */
  #waiting: FlowReport[] = [];

  constructor(
    readonly spec: StackSpec,
    readonly sockets: Sockets,
    readonly parties: Parties,
    readonly names: Names,
  ) {}

  /** Calls made from now on belong to this flow. */
  answering(report: FlowReport): void {
    this.#waiting = [report];
  }

  /** Those of hosts; a sandbox's come with `start`. */
  listen(): void {
    const { topology, namespaces } = this.parties.realized;
    const asked = this.#asked();
    for (const host of topology.hosts) {
      const namespace = namespaces.get(`${host.name}/host`);
      const addresses = [...host.nic.addresses, ...host.extraAddresses].map(hostPart);
      // Names of its own, and those that a name server outside has for its addresses.
      const called = topology.hosts.flatMap(({ resolves = {} }) =>
        Object.entries(resolves).flatMap(([name, to]) =>
          [to].flat().some((one) => addresses.includes(one)) ? [name] : [],
        ),
      );
      const own = new Set([host.name, ...addresses, ...called]);
      for (const { to, port, protocol } of asked) {
        if (namespace && (own.has(to) || own.has(to.toLowerCase())))
          this.#open(namespace, port, protocol, host.name, []);
      }
    }
  }

  /** A sandbox's process comes up. */
  start(sandbox: Sandbox): void {
    const { topology, namespaces } = this.parties.realized;
    const namespace = namespaces.get(namespaceOf(sandbox));
    if (!namespace) return;
    const name = `${sandbox.task ?? sandbox.container} on ${sandbox.node}`;
    const upstreams = this.spec.calls
      .filter(({ service }) => service === sandbox.service)
      .map((call) => this.#upstream(namespace, call));
    this.#play(sandbox, namespace);
    if (sandbox.shares !== undefined) {
      this.#startAsGuest(sandbox, namespace, name, upstreams);
      return;
    }
    const service = topology.services.find((one) => one.name === sandbox.service);
    const published = [...(service?.ports ?? []), ...(sandbox.publishes ?? [])];
    for (const { target, protocol } of published) this.#open(namespace, target, protocol, name, upstreams);
    const addresses = sandbox.endpoints.flatMap(({ address, address6 }) => [address, ...(address6 ? [address6] : [])]);
    const own = [sandbox.task, ...addresses.map(hostPart)];
    const domains = (this.spec.roles ?? []).flatMap((role) => (role.role === 'dns' ? [role.domain] : []));
    const asked = this.#asked();
    // To find all names of one of thousands takes time: only if somebody asks.
    const called = new Set([
      ...(asked.length > 0 ? namesOfSandbox(topology, sandbox) : []),
      ...domains.flatMap((domain) => domainNames(sandbox, domain)),
    ]);
    for (const { to, port, protocol } of asked)
      if (own.includes(to) || called.has(to.toLowerCase().replace(/\.$/, '')))
        this.#open(namespace, port, protocol, name, upstreams);
    // Whom it is linked to has one more name now.
    const linked = (sandbox.extraHosts ?? []).map(({ address }) => address);
    for (const other of linked.length > 0 ? topology.sandboxes : [])
      if (other.node === sandbox.node && other.endpoints.some(({ address }) => linked.includes(hostPart(address))))
        this.start(other);
  }

  /** In the node's own namespace, or another container's: it listens on what it exposes, or on all that its node is asked for. */
  #startAsGuest(sandbox: Sandbox, namespace: Namespace, name: string, upstreams: Upstream[]): void {
    const { exposes = [] } = this.spec.containers?.find((one) => one.name === sandbox.container) ?? {};
    const node = this.parties.realized.topology.nodes.find((one) => one.name === sandbox.node);
    const called = new Set([sandbox.node, ...(node?.nic.addresses ?? []).map(hostPart)]);
    const asked = sandbox.shares === 'host' ? this.#asked().filter(({ to }) => called.has(to)) : [];
    const guest = this.#guests.get(sandbox) ?? { listeners: [], udp: [], ports: [] };
    this.#guests.set(sandbox, guest);
    for (const { port, protocol } of exposes.length > 0 ? exposes : asked) {
      // A docker-proxy is there before it, or another guest.
      const entries = this.sockets.entries(namespace);
      if (
        entries.some(
          ({ local, protocol: other, state }) =>
            local.port === port && other === protocol && /LISTEN|BOUND/.test(state),
        )
      )
        continue;
      if (!this.#take(namespace, protocol, port)) continue;
      guest.ports.push(`${protocol} ${port}`);
      if (protocol === 'tcp') guest.listeners.push(listenTcp(this.sockets, namespace, port, name, upstreams));
      else guest.udp.push(listenUdp(this.sockets, namespace, port, name));
    }
  }

  #endAsGuest(sandbox: Sandbox): void {
    const { listeners = [], udp = [], ports = [] } = this.#guests.get(sandbox) ?? {};
    this.#guests.delete(sandbox);
    for (const listener of listeners) this.sockets.endListener(listener, this.sockets.engine.now);
    for (const socket of udp) this.sockets.closeUdp(socket);
    for (const port of ports) this.#taken.get(namespaceOf(sandbox))?.delete(port);
  }

  /** It ends: the kernel closes what it had open. */
  end(sandbox: Sandbox): void {
    if (sandbox.shares !== undefined) {
      this.#endAsGuest(sandbox);
      return;
    }
    const name = `${sandbox.node}/${sandbox.name}`;
    const namespace = this.parties.realized.namespaces.get(name);
    this.#taken.delete(name);
    if (namespace) this.sockets.kill(namespace, this.sockets.engine.now);
  }

  /** What it does beside answering: its ports are its own. */
  #play(sandbox: Sandbox, namespace: Namespace): void {
    for (const role of this.spec.roles ?? []) {
      if (![sandbox.service, sandbox.task, sandbox.container].includes(role.party)) continue;
      if (role.role === 'dns') {
        for (const protocol of ['tcp', 'udp'] as const) this.#take(namespace, protocol, 53);
        this.names.serveDomain(sandbox, namespace, role.domain);
        continue;
      }
      this.#take(namespace, 'tcp', role.listen);
      listenRelay(this.sockets, namespace, role.listen, {
        port: role.port,
        find: (at, done) => this.names.find(namespace, role.to, at, ({ address, time }) => done(address, time)),
      });
    }
  }

  /** What calls, flows and relays ask for. */
  #asked(): { to: string; port: number; protocol: 'tcp' | 'udp' }[] {
    const relays = (this.spec.roles ?? []).flatMap((role) =>
      role.role === 'relay' ? [{ to: role.to, port: role.port, protocol: 'tcp' as const }] : [],
    );
    const calls = this.spec.calls.map(({ to, port }) => ({ to, port, protocol: 'tcp' as const }));
    const flows = this.spec.traffic.flatMap((flow) =>
      flow.kind === 'ping' ? [] : [{ to: flow.to, port: flow.port, protocol: protocolOf(flow) }],
    );
    return [...calls, ...relays, ...flows];
  }

  /** False: somebody listens there already. */
  #take({ name }: Namespace, protocol: 'tcp' | 'udp', port: number): boolean {
    const taken = this.#taken.get(name) ?? new Set();
    const key = `${protocol} ${port}`;
    if (taken.has(key)) return false;
    this.#taken.set(name, taken.add(key));
    return true;
  }

  #open(namespace: Namespace, port: number, protocol: 'tcp' | 'udp', name: string, upstreams: Upstream[]): void {
    if (!this.#take(namespace, protocol, port)) return;
    const families = namespace.ipv6.routes.length > 0 ? ['0.0.0.0', '::'] : ['0.0.0.0'];
    for (const address of families) {
      if (protocol === 'tcp') listenTcp(this.sockets, namespace, port, name, upstreams, address);
      else listenUdp(this.sockets, namespace, port, name, address);
    }
  }

  #upstream(from: Namespace, { protocol, to: name, port, path }: CallSpec): Upstream {
    return {
      label: `${protocol}://${name}:${port}`,
      call: (at, done) => {
        const report = newReport(protocol, this.parties.nameOf(from), `${name}:${port}`, at);
        this.#waiting.at(-1)?.calls.push(report);
        this.#waiting.push(report);
        const finish = (result: Exchange, address: string) => {
          this.#waiting = this.#waiting.filter((one) => one !== report);
          conclude(report, this.parties.realized, result, { address, port });
          done(result);
        };
        this.names.find(from, name, at, ({ address, failure, lookup, time }) => {
          if (lookup.from !== 'number') report.lookup = lookup;
          if (address === undefined) {
            finish({ ok: false, data: new Uint8Array(), finished: time, detail: failure }, '');
            return;
          }
          const to = { address, port };
          const answered = (result: Exchange) => finish(result, address);
          if (protocol === 'redis') redis.ping(this.sockets, from, to, time, answered);
          else http.get(this.sockets, from, to, { host: report.to, path, at: time }, answered);
        });
      },
    };
  }
}

function protocolOf(flow: Exclude<TrafficSpec, { kind: 'ping' }>): Protocol {
  if (flow.kind === 'load') return flow.protocol;
  return flow.kind === 'udp' ? 'udp' : 'tcp';
}
