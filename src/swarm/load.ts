/** A load in a swarm: who sends from which addresses to whom, and what came of it, task by task. */

import type { Names } from '../dns/index.js';
import { type Engine, Load, type LoadBooks, type LoadCount, type LoadSource, type Namespace } from '../engine/index.js';
import { spanOf, textOf } from '../topology/ipv4.js';
import type { LoadSpec } from '../topology/spec.js';
import { namespaceOf } from '../topology/topology.js';
import type { FlowReport, LoadReport } from './flow.js';
import type { Parties } from './parties.js';

/** Frames that are flooded and not taken are no loss. */
const NO_LOSS = new Set(['OTHERHOST']);

export class LoadRun {
  readonly report: FlowReport;
  #load: Load | undefined;
  #failed = false;
  /** Who took packets, by the ids of their namespaces. */
  readonly #tasks = new Map<number, string>();

  constructor(
    private readonly engine: Engine,
    private readonly parties: Parties,
    private readonly names: Names,
    readonly spec: LoadSpec,
    at: number,
  ) {
    const { from, to, port } = spec;
    this.report = {
      kind: 'load',
      from: from.join(', '),
      to: `${to}:${port}`,
      started: at,
      ok: false,
      journey: [],
      calls: [],
    };
    this.#lookUp(at);
  }

  /** It is over, or will never begin. */
  get done(): boolean {
    return this.#failed || (this.#load?.done ?? false);
  }

  get began(): boolean {
    return this.#load !== undefined;
  }

  /** Packets that are sent already. */
  get sent(): number {
    return this.#load ? this.spec.packets - this.#load.left : 0;
  }

  #fail(detail: string): void {
    this.#failed = true;
    this.report.detail = detail;
  }

  /** Every sender looks the name up for itself; the load begins when all have found an address. */
  #lookUp(at: number): void {
    const speakers = [...new Set(this.spec.from.flatMap((name) => this.#namespaces(name)))];
    if (speakers.length === 0) this.#fail(`nobody here is called ${this.spec.from.join(', ')}`);
    const found: LoadSource[] = [];
    let latest = at;
    for (const namespace of speakers) {
      this.names.find(namespace, this.spec.to, at, ({ address, failure, lookup, time }) => {
        if (lookup.from !== 'number') this.report.lookup ??= lookup;
        latest = Math.max(latest, time);
        const source = this.#found(namespace, address, failure);
        if (!source) return;
        found.push(source);
        if (found.length === speakers.length && !this.#failed) this.#begin(found, latest);
      });
    }
  }

  /** Where one of them sends from, once its look-up has come to an end. */
  #found(namespace: Namespace, address: string | undefined, failure = 'no such name'): LoadSource | undefined {
    if (address === undefined) this.#fail(failure);
    else if (address.includes(':') && this.spec.sources !== undefined)
      this.#fail(`"sources" are IPv4 addresses, and ${address} is reached from IPv6 addresses`);
    else {
      const source = this.#source(namespace, address);
      if (!source) this.#fail(`no route to ${address}`);
      return source;
    }
    return undefined;
  }

  /** A host, a container, a task, or all tasks of a service. */
  #namespaces(name: string): Namespace[] {
    const { namespaces } = this.parties.realized;
    const host = namespaces.get(`${name}/host`);
    if (host) return [host];
    return this.parties.tasksOf(name).flatMap((task) => namespaces.get(namespaceOf(task)) ?? []);
  }

  #source(namespace: Namespace, address: string): LoadSource | undefined {
    const to = { address, port: this.spec.port };
    const { sources } = this.spec;
    const own = namespace.sourceFor(address);
    if (own === undefined || sources === undefined)
      return own === undefined ? own : { namespace, address: own, count: 1, to };
    const { first, last } = spanOf(sources);
    const size = last - first + 1;
    const local = (route: { table: string; destination: string }) =>
      route.table === 'local' && route.destination === sources;
    if (!namespace.routes.some(local)) namespace.addLocalRoute(sources);
    return { namespace, address: textOf(size > 2 ? first + 1 : first), count: size > 2 ? size - 2 : size, to };
  }

  #begin(sources: LoadSource[], time: number): void {
    const { protocol, flows, packets, sizes, rate, arrivals, answered } = this.spec;
    const options = { protocol, flows, packets, sizes, rate, poisson: arrivals === 'poisson', answered };
    const load = new Load(this.engine, options, sources, time);
    if (load.placed === flows) this.#load = load;
    else {
      const hint = sources.some(({ to }) => to.address.includes(':'))
        ? ''
        : '; name addresses to send from (sources: 198.18.0.0/15)';
      this.#fail(`only ${load.placed} of ${flows} flows find a source port${hint}`);
    }
  }

  /** What came of it so far. */
  conclude(): FlowReport {
    const { report } = this;
    if (!this.#load) return report;
    const { books } = this.#load;
    const load = this.#reportOf(books);
    const { lost, notSent, flows, received } = load;
    report.load = load;
    report.finished = books.lastReceived;
    report.ok = this.done && received.packets > 0 && lost.packets + notSent + flows.refused + flows.unanswered === 0;
    report.detail = `${received.packets} of ${this.spec.packets} packets arrived`;
    this.#load.end();
    return report;
  }

  #reportOf(books: LoadBooks): LoadReport {
    const { spec } = this;
    const { sent, received, answered, left, cut, opened, refused, unanswered } = books;
    const gone = sent.packets - received.packets;
    // Of the copies of one packet several engines may count some: it is known when all of them are put together.
    const lost = this.engine.isShared
      ? { packets: gone, reasons: Object.fromEntries(books.losses) }
      : lossesOf(gone, books.losses, this.done);
    const duration = Math.max(books.lastReceived - books.firstSent, 0);
    const rateOf = (count: number) => (duration > 0 ? (count * 1e9) / duration : 0);
    return {
      protocol: spec.protocol,
      asked: spec.packets,
      over: this.done,
      flows: { asked: spec.flows, opened, refused, unanswered },
      sent,
      received,
      ...(spec.answered ? { answered } : {}),
      lost,
      notSent: left,
      cut,
      firstSent: books.firstSent,
      lastReceived: books.lastReceived,
      duration,
      rate: { packets: rateOf(received.packets), bits: rateOf(received.bytes * 8) },
      tasks: this.#sharesOf(books),
    };
  }

  /** Who has taken packets so far is called by its name: later it may be gone. */
  nameTasks(): void {
    const newcomers = this.#load?.newcomers() ?? [];
    if (newcomers.length === 0) return;
    const namespaces = this.#load?.namespaces();
    for (const namespace of newcomers) {
      const there = namespaces?.get(namespace);
      if (!there) continue;
      const sandbox = this.parties.sandboxOf(there);
      const name = this.parties.nameOf(there);
      this.#tasks.set(namespace, sandbox ? `${name} on ${sandbox.node}` : name);
    }
  }

  #sharesOf({ receivers, received }: LoadBooks): LoadReport['tasks'] {
    this.nameTasks();
    const tasks = receivers.map(({ namespace, ...counts }) => ({
      name: this.#tasks.get(namespace) ?? 'one that is gone',
      ...counts,
    }));
    return sharesOf(tasks, received);
  }
}

type Task = LoadReport['tasks'][number];

/** Those of one name together: a task's containers, or what several engines say of it. */
export function sharesOf(tasks: readonly Omit<Task, 'share'>[], received: LoadCount): Task[] {
  const byName = new Map<string, Task>();
  for (const task of tasks) {
    const before = byName.get(task.name) ?? { flows: 0, packets: 0, bytes: 0 };
    const packets = before.packets + task.packets;
    byName.set(task.name, {
      name: task.name,
      flows: before.flows + task.flows,
      packets,
      bytes: before.bytes + task.bytes,
      share: received.packets > 0 ? packets / received.packets : 0,
    });
  }
  return [...byName.values()].sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

/**
 * Of `gone` packets that have not arrived, and why copies of packets have ended: those that are lost. While the load is not `over`, the
 * rest is still on its way.
 */
export function lossesOf(gone: number, ended: Iterable<[string, number]>, over: boolean): LoadReport['lost'] {
  const losses = [...ended].filter(([reason]) => !NO_LOSS.has(reason));
  losses.sort(([x, a], [y, b]) => b - a || (x < y ? -1 : 1));
  const all = losses.reduce((sum, [, count]) => sum + count, 0);
  const packets = over ? gone : Math.min(gone, all);
  const reasons: Record<string, number> = {};
  let left = packets;
  for (const [reason, count] of losses) {
    if (left === 0) break;
    reasons[reason] = Math.min(count, left);
    left -= reasons[reason];
  }
  return { packets, reasons };
}
