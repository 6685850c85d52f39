/**
 * A recorded scenario played through the engine: the topology is built by our own layers, what endpoints sent is injected
 * at its time, and what our taps see is kept for comparison.
 */

import { capturedFrames } from '../capture/captured.js';
import { ETHERTYPE_IPV6, fragmentOf, layersOf, u16 } from '../dissect/layers.js';
import { ipv4, ipv6 } from '../dissect/notation.js';
import { Engine, type Namespace } from '../engine/index.js';
import { type Realized, realize } from '../swarm/realize.js';
import { Changing } from './changing.js';
import { completed } from './checksums.js';
import type { TapFrame } from './compare.js';
import type { Inputs, SocketAddress } from './inputs.js';
import { injectedIn, type Mode, type Stimulus } from './scenario.js';
import { atTheirSenders } from './senders.js';
import { changingTopologyOf, namespaceName } from './topology.js';

/** Links and hops of a replay take this long, ns: nothing that a real machine's timing shows is imitated. */
const LATENCY = 1;

export interface Played {
  /** By the recording's name of the tap, `namespace/device`. */
  taps: Map<string, TapFrame[]>;
  injected: Stimulus[];
  realized: Realized;
  /** What was changed while it ran, a sentence each. */
  changes: string[];
}

export interface PlayOptions {
  seed?: number;
  /** Called when all is programmed, before the first frame: a test's chance to break something. */
  prepare?: (realized: Realized) => void;
}

export async function play(
  inputs: Inputs,
  recorded: readonly Stimulus[],
  mode: Mode,
  options: PlayOptions = {},
): Promise<Played> {
  const { topology, later } = changingTopologyOf(inputs);
  const stimuli = atTheirSenders(recorded, inputs, [...topology.sandboxes, ...later]);
  const engine = await Engine.create({ seed: options.seed ?? 1, epoch: inputs.start, hopDelay: LATENCY });
  const realized = realize(engine, topology, { latency: LATENCY });
  learnBefore(realized, inputs);
  continueSequences(realized, inputs);
  const names: string[] = [];
  for (const recorded of [
    ...inputs.captures.map(({ namespace, device }) => ({ namespace, device })),
    ...emptyTaps(inputs),
  ]) {
    const device = realized.namespaces.get(namespaceName(recorded.namespace))?.devices.get(recorded.device);
    if (!device) continue;
    device.tap();
    // As a real capture does, on whatever it captures; a bridge forwards otherwise for it.
    device.promiscuous = true;
    names.push(`${recorded.namespace}/${recorded.device}`);
  }
  const refused = refusals(stimuli);
  const start = (namespace: Namespace) => {
    namespace.set(mode === 'path' ? 'silent' : 'askOnce', 1);
    if (mode === 'path') return;
    for (const stimulus of stimuli) {
      if (namespaceName(stimulus.namespace) === namespace.name) openForeignSocket(realized, stimulus, refused);
    }
  };
  for (const namespace of realized.namespaces.values()) start(namespace);
  if (mode === 'stack') openSilentServers(realized, stimuli);

  options.prepare?.(realized);
  const records: Uint8Array[] = [];
  engine.onCapture = (bytes) => records.push(bytes);
  const chosen = injectedIn(mode, stimuli);
  const injected = mode === 'stack' ? chosen.map(fromSocket) : chosen;
  const changing = new Changing(realized, inputs, stimuli, later, start);
  for (const stimulus of injected) {
    changing.until(stimulus.time);
    inject(realized, stimulus);
  }
  changing.finish();
  const last = injected.at(-1)?.time ?? 0;
  engine.run(Math.max(last, engine.now) + 1_000_000_000);
  return { taps: framesByTap(names, records), injected, realized, changes: changing.told };
}

function inject(
  { engine, namespaces }: Realized,
  { namespace: recorded, device: name, socket, data: seen, time, kind }: Stimulus,
): void {
  // macvlan and ipvlan have checksums made by the device below, and show them partial.
  const data = name === 'lo' ? seen : completed(seen);
  const namespace = namespaces.get(namespaceName(recorded));
  if (!namespace) throw new Error(`a frame is to be injected in ${recorded}, which is not in the topology`);
  if (!socket) {
    engine.transmit(namespace.device(name), data, time);
    return;
  }
  if (u16(data, 12) === ETHERTYPE_IPV6) {
    engine.sendFromSocket6(namespace, data.subarray(14), namespace.device(name), time);
    return;
  }
  const port = (given: number | undefined, at: number) =>
    given ?? (kind.startsWith('icmp') ? (data[38] ?? 0) * 256 + (data[39] ?? 0) : at);
  engine.sendFromSocket(
    namespace,
    data.subarray(14),
    { address: socket.source.address, port: port(socket.source.port, 0) },
    { address: socket.destination.address, port: port(socket.destination.port, 0) },
    time,
  );
}

/**
 * With our own stack below it, an application's packet leaves by its socket: the stack finds the neighbour, by ARP if it
 * must. Addresses are those of the frame where NAT of its own namespace did not change them.
 */
function fromSocket(stimulus: Stimulus): Stimulus {
  const { data, socket, kind } = stimulus;
  const ip = layersOf(data).find(({ name }) => name === 'ip' || name === 'ipv6');
  if (stimulus.class !== 'application' || socket || !ip || ip.start !== 14) return stimulus;
  if (ip.name === 'ipv6') {
    const ends = { source: { address: ipv6(data, ip.start + 8) }, destination: { address: ipv6(data, ip.start + 24) } };
    return { ...stimulus, socket: ends };
  }
  const end = (address: number, port: number): SocketAddress =>
    kind.startsWith('icmp')
      ? { address: ipv4(data, address) }
      : { address: ipv4(data, address), port: u16(data, port) };
  return { ...stimulus, socket: { source: end(ip.start + 12, ip.body), destination: end(ip.start + 16, ip.body + 2) } };
}

/** Whoever sent this has a socket outside the simulation: our own stack must not answer in its place. */
function openForeignSocket(
  { namespaces }: Realized,
  { namespace: recorded, socket, data, kind }: Stimulus,
  refused: ReadonlyMap<string, ReadonlySet<string>>,
): void {
  const protocol = kind.startsWith('tcp-') && kind !== 'tcp-rst' ? 'tcp' : kind === 'udp' ? 'udp' : undefined;
  const namespace = namespaces.get(namespaceName(recorded));
  const layers = layersOf(data);
  const ip = layers.find(({ name }) => name === 'ip' || name === 'ipv6');
  if (!protocol || !namespace || !ip || fragmentOf(data, ip)?.offset) return;
  if (ip.name === 'ipv6') {
    const at = layers.find(({ name }) => name === protocol)?.start;
    if (at === undefined) return;
    const own = { address: ipv6(data, ip.start + 8), port: u16(data, at) };
    if (protocol === 'udp') namespace.addForeignSocket('udp', { ...own, address: '::' });
    else namespace.addForeignSocket('tcp', own, { address: ipv6(data, ip.start + 24), port: u16(data, at + 2) });
    return;
  }
  const end = (address: number, port: number) => ({ address: ipv4(data, address), port: u16(data, port) });
  const local = end(ip.start + 12, ip.body);
  const remote = end(ip.start + 16, ip.body + 2);
  const whole = (given: SocketAddress | undefined, seen: typeof local) => ({ ...seen, ...given });
  if (protocol === 'tcp')
    namespace.addForeignSocket('tcp', whole(socket?.source, local), whole(socket?.destination, remote));
  else {
    const bound = { address: '0.0.0.0', port: whole(socket?.source, local).port };
    // A socket that refuses what others send to it is connected.
    const others = [...(refused.get(`${recorded} ${local.port}`) ?? [])].some((source) => source !== remote.address);
    if (others) namespace.addForeignSocket('udp', bound, whole(socket?.destination, remote));
    else namespace.addForeignSocket('udp', bound);
  }
}

/** `node1.ct-probe 40001` → whose datagrams to that port its stack answered with port unreachable. */
function refusals(stimuli: readonly Stimulus[]): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const { namespace, data, kind } of stimuli) {
    if (kind !== 'icmp-port-unreachable') continue;
    const quoted = layersOf(data).filter(({ quoted }) => quoted);
    const [ip, udp] = [quoted.find(({ name }) => name === 'ip'), quoted.find(({ name }) => name === 'udp')];
    if (!ip || !udp) continue;
    const port = `${namespace} ${u16(data, udp.start + 2)}`;
    found.set(port, (found.get(port) ?? new Set()).add(ipv4(data, ip.start + 12)));
  }
  return found;
}

/** A published UDP port has a socket behind it even if its process never spoke, unless its stack said that it has none. */
function openSilentServers({ topology, namespaces }: Realized, stimuli: readonly Stimulus[]): void {
  const closed = new Set(
    stimuli.filter(({ kind }) => kind === 'icmp-port-unreachable').map(({ namespace }) => namespaceName(namespace)),
  );
  for (const { node, name, service, publishes = [] } of topology.sandboxes) {
    const namespace = namespaces.get(`${node}/${name}`);
    if (!namespace || closed.has(namespace.name)) continue;
    const published = topology.services.find((one) => one.name === service)?.ports ?? [];
    for (const { protocol, target } of [...published, ...publishes]) {
      if (protocol === 'udp') namespace.addForeignSocket('udp', { address: '0.0.0.0', port: target });
    }
  }
}

/** What had been learned before the first frame. */
function learnBefore({ namespaces, underlay, topology }: Realized, { atStart }: Inputs): void {
  for (const [device, neighbours] of Object.entries(atStart.neighbours)) {
    const [recorded = '', name = ''] = device.split('/');
    const namespace = namespaces.get(namespaceName(recorded));
    for (const [mac, address] of Object.entries(neighbours)) {
      if (namespace) namespace.addNeighbour(namespace.device(name), address, mac, 'reachable');
    }
  }
  for (const [bridge, { known }] of Object.entries(atStart.fdb)) {
    const [recorded = '', name = ''] = bridge.split('/');
    const namespace = namespaces.get(namespaceName(recorded));
    for (const [mac, where] of Object.entries(known)) {
      if (namespace) namespace.learnFdb(namespace.device(name), mac, namespace.device(where));
      else {
        // The underlay's switch: behind the NIC of that node or host.
        const owner = namespaceName(where);
        const nic = [...topology.nodes, ...topology.hosts].find(({ name: one }) => owner === `${one}/host`)?.nic.name;
        const device = nic ? namespaces.get(owner)?.device(nic) : undefined;
        if (device) underlay.learn(mac, device);
      }
    }
  }
}

/** Associations outlive scenarios: each goes on counting where it was. */
function continueSequences({ namespaces }: Realized, { encryption }: Inputs): void {
  for (const [node, associations] of Object.entries(encryption?.associations ?? {})) {
    for (const { dst, spi, sends, firstSequence } of associations) {
      const association = namespaces.get(`${node}/host`)?.xfrm.association(dst, Number(spi));
      if (association && sends && firstSequence) association.sequence = firstSequence - 1;
    }
  }
}

function emptyTaps(inputs: Inputs): { namespace: string; device: string }[] {
  return inputs.emptyCaptures.flatMap((name) => {
    for (const [namespace, devices] of Object.entries(inputs.devices)) {
      const device = devices.find((candidate) => `${namespace}.${candidate.name}` === name);
      if (device) return [{ namespace, device: device.name }];
    }
    return [];
  });
}

/** Frames in time order, tap by tap; a tap that saw nothing is there too. */
function framesByTap(names: string[], records: Uint8Array[]): Map<string, TapFrame[]> {
  const taps = new Map<string, TapFrame[]>(names.map((name) => [name, []]));
  for (const { tap, time, data, direction } of capturedFrames(names, records)) {
    taps.get(tap)?.push({ time, data, ...(direction ? { direction } : {}) });
  }
  return taps;
}
