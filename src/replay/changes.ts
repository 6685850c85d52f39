/**
 * What changed while a scenario was recorded: which destinations came to its load balancers and went from them. The recording
 * holds the lists at some moments (`later`), in order and without times. So a change is made directly before the first stimulus
 * that shows it, and the table says so:
 *
 *   came   the connection, or else the packet, to which the new destination's first frame is the answer; lists grow at their
 *          head, so all that was added before it is there by then
 *   gone   another destination is given out a second time since this one's last turn, so the scheduler has passed it by; or a
 *          segment of one of its connections, which the load balancer resets
 *
 * A task that came and that no stimulus shows, came when its container started.
 */

import { type Layer, layersOf, u16, u32 } from '../dissect/layers.js';
import { ipv4 } from '../dissect/notation.js';
import { hostPart } from '../topology/topology.js';
import type { Inputs } from './inputs.js';
import type { Stimulus } from './scenario.js';

export interface Change {
  /** `idle`: given nothing new any more (its weight is 0), as its last frames are still to come. */
  kind: 'came' | 'idle' | 'gone';
  mark: number;
  address: string;
  /** Directly before this stimulus (its place in the list); none shows it where it is left out. */
  before?: number;
  /** Not before this one: until then it sends. */
  from?: number;
  /** Where no stimulus shows it: ns after the first frame; without it when all is over. */
  time?: number;
}

/** A list of destinations at one moment: mark → addresses in the kernel's order. */
type Lists = ReadonlyMap<number, readonly string[]>;

/** The lists one after the other: those of the start first, those of the last dump last. */
export function listsOf(inputs: Inputs): Lists[] {
  const snapshots = Object.entries(inputs.later)
    .sort(([one], [other]) => one.localeCompare(other, 'en', { numeric: true }))
    .map(([, lists]) => lists);
  const [first] = snapshots;
  if (!first) return [];
  const bare = (list: readonly string[]) => list.map((line) => hostPart(line.split(' ')[0] ?? ''));
  const lists = snapshots.map((one) => new Map(Object.entries(one).map(([mark, list]) => [Number(mark), bare(list)])));
  const marks = new Set(lists.flatMap((one) => [...one.keys()]));
  const started = startsOf(inputs);
  const start = [...marks].map(
    (mark) => [mark, (lists[0]?.get(mark) ?? []).filter((address) => (started.get(address) ?? 0) <= 0)] as const,
  );
  const end = [...marks].map((mark) => [mark, lastDumpOf(inputs, mark, lists.at(-1)?.get(mark) ?? [])] as const);
  return [new Map(start), ...lists, new Map(end)];
}

/** The dumped list, of whichever node has the same destinations in the same order, or else the same ones. */
function lastDumpOf({ services }: Inputs, mark: number, last: readonly string[]): readonly string[] {
  const dumped = services.flatMap(({ balancers }) => balancers.filter((one) => one.mark === mark));
  const same = dumped.find(({ destinations }) => destinations.join() === last.join());
  return (same ?? dumped[0])?.destinations ?? last;
}

function startsOf({ tasks, containers }: Inputs): Map<string, number> {
  const found = new Map<string, number>();
  for (const { networks, started } of [...tasks, ...containers]) {
    for (const { address } of Object.values(networks)) {
      if (address && started != null) found.set(hostPart(address), started);
    }
  }
  return found;
}

/** Every address that stands in one of the lists; `true` where it is there from the start. */
export function listed(inputs: Inputs): Map<string, boolean> {
  const found = new Map<string, boolean>();
  for (const [index, lists] of listsOf(inputs).entries()) {
    for (const list of lists.values()) {
      for (const address of list) if (!found.has(address)) found.set(address, index === 0);
    }
  }
  return found;
}

/** A balancer's list at the start, in its own order where the dumps tell it: that of another node may differ. */
export function startList(inputs: Inputs, mark: number, own: readonly string[]): string[] | undefined {
  const list = listsOf(inputs)[0]?.get(mark);
  return list && inOwnOrder(list, own);
}

/** `addresses`, but those that `own` has too as they stand there. */
export function inOwnOrder(addresses: readonly string[], own: readonly string[]): string[] {
  const known = own.filter((address) => addresses.includes(address));
  const left = [...known];
  return addresses.map((address) => (known.includes(address) ? (left.shift() ?? address) : address));
}

/** Every address that one of the lists has and the next one has not. */
export function leaving(inputs: Inputs): Set<string> {
  const lists = listsOf(inputs);
  return new Set(
    lists
      .slice(1)
      .flatMap((now, index) =>
        [...now].flatMap(([mark, list]) =>
          (lists[index]?.get(mark) ?? []).filter((address) => !list.includes(address)),
        ),
      ),
  );
}

/** All changes, in the order in which they are to be made. */
export function changesOf(inputs: Inputs, stimuli: readonly Stimulus[]): Change[] {
  const lists = listsOf(inputs);
  if (lists.length === 0) return [];
  const shown = new Shown(inputs, stimuli);
  const started = startsOf(inputs);
  const steps: Change[][] = [];
  for (const [index, now] of lists.entries()) {
    const before = lists[index - 1];
    if (!before) continue;
    const step: Change[] = [];
    for (const [mark, list] of now) {
      const had = before.get(mark) ?? [];
      for (const address of had.filter((one) => !list.includes(one))) step.push(...shown.gone(mark, address));
      // The head is what was added last.
      for (const address of list.filter((one) => !had.includes(one)).reverse()) {
        const at = shown.came(address);
        const seconds = started.get(address);
        step.push({
          kind: 'came',
          mark,
          address,
          ...(at === undefined ? {} : { before: at }),
          ...(seconds === undefined ? {} : { time: Math.round(seconds * 1e9) }),
        });
      }
    }
    steps.push(step);
  }
  return inOrder(steps, stimuli);
}

/** None is made later than what follows it in the lists. */
function inOrder(steps: readonly Change[][], stimuli: readonly Stimulus[]): Change[] {
  const all: Change[] = [];
  let next = Number.POSITIVE_INFINITY;
  for (const step of [...steps].reverse()) {
    let earliest = next;
    /** Mark → when the one that is added after this one comes. */
    const follower = new Map<number, number>();
    for (const change of [...step].reverse()) {
      const { kind, mark } = change;
      const bound = kind === 'came' ? (follower.get(mark) ?? next) : next;
      const at = Math.max(Math.min(change.before ?? Number.POSITIVE_INFINITY, bound), change.from ?? 0);
      if (kind === 'came') follower.set(mark, at);
      if (at < stimuli.length) {
        change.before = at;
        delete change.time;
      }
      earliest = Math.min(earliest, at);
      all.unshift(change);
    }
    next = earliest;
  }
  const end = stimuli.length;
  const place = ({ before, time }: Change) =>
    before ?? (time === undefined ? end : stimuli.filter((one) => one.time < time).length);
  return all
    .map((change) => ({ change, place: place(change) }))
    .sort((one, other) => one.place - other.place || (one.change.time ?? 0) - (other.change.time ?? 0))
    .map(({ change }) => change);
}

interface Connection {
  /** The SYN's place in the list of stimuli. */
  syn: number;
  port: number;
  /** Which load balancer gave it out: the address that its SNAT shows. */
  balancer: string;
  /** Who answered. */
  address: string;
}

/** What the stimuli tell of the destinations. */
class Shown {
  readonly #connections: Connection[];

  constructor(
    readonly inputs: Inputs,
    readonly stimuli: readonly Stimulus[],
  ) {
    this.#connections = connectionsIn(stimuli);
  }

  came(address: string): number | undefined {
    const opened = this.#connections.find((one) => one.address === address)?.syn;
    const first = this.stimuli.findIndex((one) => isFrom(one, address));
    if (first < 0) return opened;
    const where = this.stimuli[first]?.tap;
    const asked = this.stimuli.findLastIndex(
      (one, index) => index < first && one.class === 'application' && one.tap !== where,
    );
    return Math.min(opened ?? first, asked < 0 ? first : asked);
  }

  gone(mark: number, address: string): Change[] {
    const last = this.stimuli.findLastIndex((one) => isFrom(one, address));
    const passed = this.#passedBy(address);
    const reset = this.#reset(address, last);
    const shown = [passed, reset].filter((one) => one !== undefined && one > last) as number[];
    const gone: Change = {
      kind: 'gone',
      mark,
      address,
      from: last + 1,
      ...(shown.length > 0 ? { before: Math.min(...shown) } : {}),
    };
    if (passed === undefined || passed > last) return [gone];
    return [{ kind: 'idle', mark, address, before: passed }, gone];
  }

  /** The first connection that goes to a destination for the second time since this one had its last turn. */
  #passedBy(address: string): number | undefined {
    const mine = this.#connections.filter((one) => one.address === address);
    for (const balancer of new Set(mine.map((one) => one.balancer))) {
      const given = this.#connections.filter((one) => one.balancer === balancer);
      const since = given.slice(given.findLastIndex((one) => one.address === address) + 1);
      const again = since.find((one, index) => since.slice(0, index).some((other) => other.address === one.address));
      if (again) return again.syn;
    }
    return undefined;
  }

  /** The first segment of one of its connections, after its own last word, that a load balancer answers with a reset. */
  #reset(address: string, last: number): number | undefined {
    const balancers = new Set(this.inputs.loadBalancers.map(({ namespace }) => namespace));
    const ports = new Set(this.#connections.filter((one) => one.address === address).map(({ port }) => port));
    for (const [index, { kind, namespace, data }] of this.stimuli.entries()) {
      const reset = kind === 'tcp-rst' && balancers.has(namespace) ? tcpOf(data) : undefined;
      if (index <= last || !reset || !ports.has(u16(data, reset.start + 2))) continue;
      const port = u16(data, reset.start + 2);
      const at = this.stimuli.findLastIndex((one, place) => {
        const segment = place < index && one.kind.startsWith('tcp-') ? tcpOf(one.data) : undefined;
        return segment !== undefined && u16(one.data, segment.start) === port;
      });
      if (at >= 0) return at;
    }
    return undefined;
  }
}

/** A SYN and its SYN, ACK belong together by their sequence numbers, which no NAT changes. */
function connectionsIn(stimuli: readonly Stimulus[]): Connection[] {
  const answers = new Map<number, Stimulus>();
  for (const one of stimuli) {
    const tcp = one.kind === 'tcp-synack' ? tcpOf(one.data) : undefined;
    if (tcp) answers.set(u32(one.data, tcp.start + 8) >>> 0, one);
  }
  return stimuli.flatMap(({ kind, data }, syn) => {
    const tcp = kind === 'tcp-syn' ? tcpOf(data) : undefined;
    const answer = tcp && answers.get((u32(data, tcp.start + 4) + 1) >>> 0)?.data;
    const ip = answer && ipOf(answer);
    if (!tcp || !answer || !ip) return [];
    const [address, balancer] = [ipv4(answer, ip.start + 12), ipv4(answer, ip.start + 16)];
    return [{ syn, port: u16(data, tcp.start), balancer, address }];
  });
}

function isFrom({ data }: Stimulus, address: string): boolean {
  const layers = layersOf(data);
  const arp = layers.find(({ name }) => name === 'arp');
  const ip = layers.find(({ name }) => name === 'ip');
  if (arp) return ipv4(data, arp.start + 14) === address;
  return ip !== undefined && ipv4(data, ip.start + 12) === address;
}

function tcpOf(data: Uint8Array): Layer | undefined {
  return layersOf(data).find(({ name, quoted }) => name === 'tcp' && !quoted);
}

function ipOf(data: Uint8Array): Layer | undefined {
  return layersOf(data).find(({ name }) => name === 'ip');
}

/** A sentence for the table. */
export function describeChange({ kind, address, before, time }: Change, stimuli: readonly Stimulus[]): string {
  const what = { came: 'comes', idle: 'gets nothing new', gone: 'goes' }[kind];
  const shown = before === undefined ? undefined : stimuli[before];
  if (shown)
    return `${address} ${what} before frame ${shown.frame} of ${shown.pcap} (${(shown.time / 1e9).toFixed(3)} s), the first that shows it`;
  const when = time === undefined ? 'at the end' : `when its container started (${(time / 1e9).toFixed(3)} s)`;
  return `${address} ${what} ${when}: no frame shows it`;
}
