/**
 * Somebody's own capture, injected into a swarm at one device: as if the wire had brought its frames, or as if the device's
 * namespace had sent them. Frames are injected as they are; none is patched.
 *
 * Whoever sent them stands outside of the simulation. So where an address of theirs is one of the swarm's, a foreign socket stands
 * there in their place, and takes what comes back without answering it: the namespace's own stack would know nothing of the
 * connection, and would reset it.
 */

import type { Capture, CapturedFrame, Direction } from '../capture/capture.js';
import { fragmentOf, type Layer, layersOf, u16, VXLAN_PORT } from '../dissect/layers.js';
import { ipv4, mac } from '../dissect/notation.js';
import type { Device, Namespace } from '../engine/index.js';
import type { Swarm } from '../swarm/swarm.js';
import { hostPart } from '../topology/topology.js';

const MILLISECOND = 1_000_000;
/** From the swarm's start to the first frame; and from the last one to the end, before anything is sent again, ns. */
export const BEFORE = 5 * MILLISECOND;
const AFTER = 500 * MILLISECOND;
/** So many frames wait in the engine at a time. */
const BATCH = 1024;
/** No real frame is longer: an IPv4 packet (RFC 791: 65535 bytes), its Ethernet header and two VLAN tags. */
const LONGEST = 65_535 + 14 + 8;
const FLAG_ACK = 0x10;

/** Which frames of a capture are for a device. */
export interface Chosen {
  /** In the order of their times. */
  frames: CapturedFrame[];
  /** The interface that they are of, where the file names it. */
  interface?: string;
  /** Frames that are not for it, and why. */
  leftOut: { count: number; why: string }[];
}

/** The file has several interfaces, and none is the device's, or not the one that was asked for. */
export class InterfaceError extends Error {
  override name = 'InterfaceError';

  constructor(
    message: string,
    readonly names: readonly string[],
  ) {
    super(message);
  }
}

/**
 * The frames that came to `device` (`received`), or that its namespace sent (`transmitted`). A file that was captured at the
 * device itself has both: its directions tell them apart, and where it has none, the device's MAC. A file of ours that was
 * captured at another device is taken for the other end of the wire: what was transmitted there is received here.
 * @throws InterfaceError
 */
export function framesFor(capture: Capture, device: Device, as: Direction, name?: string): Chosen {
  const [index, found] = interfaceFor(capture, device, name);
  const frames = index === undefined ? capture.frames : capture.frames.filter((frame) => index.has(frame.interface));
  const elsewhere = found?.includes('/') === true && found !== device.path;
  const wanted = elsewhere ? opposite(as) : as;
  const left = new Map<string, number>();
  const leave = (why: string) => left.set(why, (left.get(why) ?? 0) + 1);
  const chosen = frames.filter(({ direction, data }) => {
    if (direction !== undefined && direction !== wanted) {
      leave(`${direction} at ${found ?? device.path}`);
      return false;
    }
    const ends = data.length < 14 ? undefined : as === 'received' ? mac(data, 6) : mac(data, 0);
    if (direction !== undefined || ends !== device.mac) return true;
    leave(as === 'received' ? `sent by ${device.path} itself (eth.src)` : `sent to ${device.path} itself (eth.dst)`);
    return false;
  });
  return {
    frames: inTime(chosen),
    ...(found === undefined ? {} : { interface: found }),
    leftOut: [...left].map(([why, count]) => ({ count, why })),
  };
}

/** Numbers of the interface in the file (a section each), and its name. */
function interfaceFor(
  { interfaces, frames }: Capture,
  device: Device,
  asked: string | undefined,
): [Set<number> | undefined, string | undefined] {
  const used = new Set(frames.map((frame) => frame.interface));
  const names = [...new Set(interfaces.flatMap(({ name }) => (name === undefined ? [] : [name])))];
  const numbersOf = (wanted: string) =>
    new Set(interfaces.flatMap(({ name }, index) => (name === wanted ? [index] : [])));
  const name = asked ?? (names.includes(device.path) ? device.path : undefined);
  if (name !== undefined) {
    if (!names.includes(name)) throw new InterfaceError(`there is no interface ${name}`, names);
    return [numbersOf(name), name];
  }
  const busy = new Set([...used].map((index) => interfaces[index]?.name));
  if (busy.size > 1) throw new InterfaceError(`it has ${names.length} interfaces, none of them ${device.path}`, names);
  return [undefined, [...busy][0]];
}

function opposite(direction: Direction): Direction {
  return direction === 'received' ? 'transmitted' : 'received';
}

/** By time; a frame without one (a simple packet block) stays with the frame before it. */
function inTime(frames: readonly CapturedFrame[]): CapturedFrame[] {
  let before = frames.find(({ time }) => time > 0n)?.time ?? 0n;
  const timed = frames.map((frame) => {
    if (frame.time > 0n) before = frame.time;
    return { ...frame, time: before };
  });
  return timed.sort((one, other) => (one.time < other.time ? -1 : one.time > other.time ? 1 : 0));
}

export interface Injected {
  injected: number;
  /** Longer than any frame that the engine takes. */
  tooLong: number;
}

/** Injects frames at their times relative to the first one, and runs until half a second after the last one. */
export function inject(swarm: Swarm, device: Device, frames: readonly CapturedFrame[], as: Direction): Injected {
  const { engine, sockets } = swarm;
  const senders = new Senders(swarm, device);
  const start = engine.now + BEFORE;
  const first = frames[0]?.time ?? 0n;
  const result: Injected = { injected: 0, tooLong: 0 };
  let last = start;
  for (const [number, { data, time }] of frames.entries()) {
    last = start + Number(time - first);
    if (number > 0 && number % BATCH === 0) engine.run(last, sockets.handle);
    senders.note(data, as);
    if (put(swarm, device, data, last, as)) result.injected += 1;
    else result.tooLong += 1;
  }
  engine.run(last + AFTER, sockets.handle);
  return result;
}

function put({ engine }: Swarm, device: Device, data: Uint8Array, time: number, as: Direction): boolean {
  if (data.length > LONGEST) return false;
  try {
    if (as === 'received') engine.receive(device, data, time);
    else engine.transmit(device, data, time);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** Those who sent the frames, where the swarm has their addresses. */
class Senders {
  readonly #byAddress = new Map<string, Namespace[]>();
  readonly #nics = new Map<string, Device>();
  readonly #known = new Set<string>();
  readonly #node: string;

  constructor(
    readonly swarm: Swarm,
    readonly device: Device,
  ) {
    this.#node = nodeOf(device.namespace);
    for (const one of swarm.engine.devices) {
      if (one.kind === 'physical') this.#nics.set(one.mac, one);
      if (one.kind === 'loopback' && one.namespace.name !== device.namespace.name) continue;
      for (const { address } of one.addresses) {
        const owners = this.#byAddress.get(address) ?? [];
        this.#byAddress.set(address, [...owners, one.namespace]);
      }
    }
  }

  note(data: Uint8Array, as: Direction): void {
    if (as === 'received') this.#teachSwitch(data);
    const layers = layersOf(data);
    for (const [index, ip] of layers.entries()) {
      if (ip.name === 'ip' && !ip.quoted) this.#open(data, ip, layers[index + 1]);
    }
  }

  /** A frame that the wire brought came through its switch: that knows now where its sender is. */
  #teachSwitch(data: Uint8Array): void {
    const source = data.length < 14 ? '' : mac(data, 6);
    const nic = this.#nics.get(source);
    if (this.device.kind !== 'physical' || nic === undefined || !this.#isNew(`switch ${source}`)) return;
    this.swarm.underlay.learn(source, nic);
  }

  #open(data: Uint8Array, ip: Layer, header: Layer | undefined): void {
    if ((header?.name !== 'tcp' && header?.name !== 'udp') || fragmentOf(data, ip)?.offset) return;
    const remote = { address: ipv4(data, ip.start + 16), port: u16(data, header.start + 2) };
    if (header.name === 'udp' && remote.port === VXLAN_PORT) return;
    const local = { address: ipv4(data, ip.start + 12), port: u16(data, header.start) };
    const owner = this.#ownerOf(local.address);
    if (owner === undefined) return;
    if (header.name === 'tcp') {
      const tuple = `${owner.name} ${local.address}:${local.port} ${remote.address}:${remote.port}`;
      if (this.#isNew(tuple)) owner.addForeignSocket('tcp', local, remote);
    } else if (this.#isNew(`${owner.name} udp ${local.port}`)) {
      owner.addForeignSocket('udp', { address: '0.0.0.0', port: local.port });
    }
  }

  /** Addresses of docker_gwbridge are the same on every node: then this node's is meant. */
  #ownerOf(address: string): Namespace | undefined {
    const owners = this.#byAddress.get(address) ?? [];
    return owners.find((namespace) => nodeOf(namespace) === this.#node) ?? owners[0];
  }

  #isNew(what: string): boolean {
    if (this.#known.has(what)) return false;
    this.#known.add(what);
    return true;
  }
}

function nodeOf({ name }: Namespace): string {
  return name.slice(0, name.indexOf('/'));
}

/** What a person should know of the frames before they wonder at what became of them, a sentence each. */
export function oddities(swarm: Swarm, device: Device, frames: readonly CapturedFrame[], as: Direction): string[] {
  const all = frames.length;
  const words: string[] = [];
  const strangers = frames.filter((frame) => isForAnother(frame, swarm, device, as));
  const [example] = strangers;
  if (example !== undefined) {
    const whose = as === 'received' ? `not ${device.path}'s (${device.mac})` : 'no device of this swarm has it';
    words.push(
      `${strangers.length} of ${all} frames are for another machine, as ${mac(example.data, 0)}: ${whose}, so they end as OTHERHOST`,
    );
  }
  for (const [name, { address, count }] of sentByNodes(swarm, device, frames, as)) {
    words.push(
      `${count} of ${all} frames were sent by ${name} (${address}): this swarm has it too, and what it sends here comes beside them`,
    );
  }
  const cut = frames.filter(({ data, originalLength }) => data.length < originalLength).length;
  if (cut > 0)
    words.push(`${cut} of ${all} frames were cut by a snap length when they were captured; so they are injected`);
  const acknowledging = frames.filter(({ data }) => acknowledges(data)).length;
  if (acknowledging > 0) {
    words.push(
      `${acknowledging} of ${all} frames acknowledge TCP sequence numbers of the recorded answers; what answers here draws its own, so a connection to a service gets as far as its SYN, ACK`,
    );
  }
  return words;
}

/** Frames that the wire brought from other nodes of the swarm, by the nodes' names. */
function sentByNodes(
  { topology }: Swarm,
  { namespace }: Device,
  frames: readonly CapturedFrame[],
  as: Direction,
): Map<string, { address: string; count: number }> {
  const found = new Map<string, { address: string; count: number }>();
  const others = topology.nodes.filter(({ name }) => name !== nodeOf(namespace));
  const names = new Map(others.flatMap(({ name, nic }) => nic.addresses.map((one) => [hostPart(one), name] as const)));
  for (const { data } of as === 'received' ? frames : []) {
    const ip = layersOf(data).find((layer) => layer.name === 'ip');
    const address = ip === undefined ? '' : ipv4(data, ip.start + 12);
    const name = names.get(address);
    if (name !== undefined) found.set(name, { address, count: (found.get(name)?.count ?? 0) + 1 });
  }
  return found;
}

function isForAnother({ data }: CapturedFrame, { engine }: Swarm, device: Device, as: Direction): boolean {
  // A bridge's port takes every frame; broadcast and multicast have the lowest bit of their first byte set.
  if (data.length < 14 || ((data[0] ?? 0) & 1) !== 0 || device.master !== undefined) return false;
  const target = mac(data, 0);
  return as === 'received' ? target !== device.mac : !engine.devices.some((one) => one.mac === target);
}

function acknowledges(data: Uint8Array): boolean {
  return layersOf(data).some(
    ({ name, start, quoted }) => name === 'tcp' && !quoted && ((data[start + 13] ?? 0) & FLAG_ACK) !== 0,
  );
}
