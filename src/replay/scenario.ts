/**
 * A recorded scenario: `inputs.json` and the captures beside it, reached through a function that gives a file's bytes, so that
 * it may lie on a disk, in an archive or in a browser.
 *
 * Two steps, because a replay must not see its answers: before and during a run `stimulusFrames()` gives the frames that
 * endpoints sent, and nothing else of the captures is kept; after it `realTaps()` gives what the real taps saw.
 */

import type { Capture } from '../capture/capture.js';
import { CaptureError, readCapture } from '../capture/read.js';
import { ETHERTYPE_ARP, fragmentOf, type Layer, layersOf, PROTOCOL_ICMP, u16, u32 } from '../dissect/layers.js';
import { ipv4, ipv6 } from '../dissect/notation.js';
import type { CompareOptions, RealTap, TapFrame } from './compare.js';
import { openerOf } from './esp.js';
import { flowOf } from './flow.js';
import { type CaptureInput, type Inputs, InputsError, readInputs, type StimulusInput } from './inputs.js';
import { type Decoded, DrawnValues } from './masks.js';

/** `path`: every frame that an endpoint sent is injected. `stack`: only what applications sent; our own stack makes the rest. */
export type Mode = 'path' | 'stack';
export const MODES: readonly Mode[] = ['path', 'stack'];

/** A file is missing or cannot be read: the scenario cannot be replayed. */
export class ScenarioError extends Error {
  override name = 'ScenarioError';
}

/** A frame to inject: its line of `inputs.json`, where it was captured, and its bytes. */
export interface Stimulus extends StimulusInput {
  /** Where its capture was made. */
  namespace: string;
  device: string;
  /** `namespace/device`. */
  tap: string;
  /** A copy: nothing else of the capture hangs on it. */
  data: Uint8Array;
}

export type ReadFile = (name: string) => Uint8Array | undefined;

export class Scenario {
  readonly inputs: Inputs;
  /** What was odd about the files that were read so far. */
  readonly warnings: string[] = [];
  readonly #read: ReadFile;

  constructor(
    /** As the table shows it: the folder's name. */
    readonly name: string,
    inputs: Inputs,
    read: ReadFile,
  ) {
    this.inputs = inputs;
    this.#read = read;
  }

  /**
   * The frames that endpoints sent, in time order. A frame that is no longer in its capture is left out, with a warning: the
   * comparison shows what the file has lost.
   */
  stimulusFrames(): Stimulus[] {
    const wanted = new Map<string, StimulusInput[]>();
    for (const entry of this.inputs.stimulus) {
      const entries = wanted.get(entry.pcap);
      if (entries === undefined) wanted.set(entry.pcap, [entry]);
      else entries.push(entry);
    }
    const found = new Map<StimulusInput, Stimulus>();
    for (const [pcap, entries] of wanted) {
      const at = this.inputs.captures.find((candidate) => candidate.pcap === pcap);
      if (at === undefined) throw new ScenarioError(`${this.name}: inputs.json lists no capture ${pcap}`);
      const { frames } = this.#capture(pcap);
      for (const entry of entries) {
        const time = this.inputs.start + BigInt(entry.time);
        // The number is exact, but for a file that has lost or gained a frame since: there the time finds it.
        const listed = frames[entry.frame - 1]?.time === time;
        const index = listed ? entry.frame - 1 : frames.findIndex((candidate) => candidate.time === time);
        const frame = frames[index];
        if (frame === undefined) {
          this.warnings.push(`${pcap}: frame ${entry.frame}, which is to be injected, is not there`);
          continue;
        }
        const { namespace, device } = at;
        found.set(entry, {
          ...entry,
          frame: index + 1,
          namespace,
          device,
          tap: `${namespace}/${device}`,
          data: new Uint8Array(frame.data),
        });
      }
    }
    return this.inputs.stimulus.flatMap((entry) => found.get(entry) ?? []);
  }

  /** What the real taps saw, captures that saw nothing included. To be called after the run. */
  realTaps(): RealTap[] {
    const taps = this.inputs.captures.map((entry) => this.#realTap(entry));
    for (const name of this.inputs.emptyCaptures) {
      taps.push({ tap: this.#tapNamed(name), frames: [], expected: 0, ...this.#unexpectedFrames(name) });
    }
    return taps;
  }

  #realTap(entry: CaptureInput): RealTap {
    const capture = this.#capture(entry.pcap);
    // The numbers of a file that has lost or gained a frame say nothing about direction any more.
    const numbered = capture.frames.length === entry.frames;
    const frames = capture.frames.map(({ time, data }, index): TapFrame => {
      const number = index + 1;
      if (numbered && entry.transmitted.has(number)) return { time, data, direction: 'transmitted' };
      if (numbered && entry.received.has(number)) return { time, data, direction: 'received' };
      return { time, data };
    });
    return {
      tap: `${entry.namespace}/${entry.device}`,
      pcap: entry.pcap,
      frames,
      expected: entry.frames,
      ...(numbered ? { overwritten: entry.overwritten } : {}),
      warnings: capture.warnings,
    };
  }

  /** A capture that saw nothing has no file; should there be one, its frames count. */
  #unexpectedFrames(name: string): { pcap?: string; frames?: TapFrame[] } {
    const pcap = `${name}.pcap`;
    const bytes = this.#read(pcap);
    if (bytes === undefined) return {};
    return { pcap, frames: this.#parse(pcap, bytes).frames.map(({ time, data }) => ({ time, data })) };
  }

  /** `node1.host.eth0.50`: both names may have dots, but the devices are listed. */
  #tapNamed(name: string): string {
    for (const [namespace, devices] of Object.entries(this.inputs.devices)) {
      const device = devices.find((candidate) => `${namespace}.${candidate.name}` === name);
      if (device !== undefined) return `${namespace}/${device.name}`;
    }
    const dot = name.lastIndexOf('.');
    return `${name.slice(0, dot)}/${name.slice(dot + 1)}`;
  }

  #capture(pcap: string): Capture {
    const bytes = this.#read(pcap);
    if (bytes === undefined) throw new ScenarioError(`${this.name}: ${pcap} is missing`);
    return this.#parse(pcap, bytes);
  }

  #parse(pcap: string, bytes: Uint8Array): Capture {
    try {
      const capture = readCapture(bytes);
      for (const warning of capture.warnings) this.warnings.push(`${pcap}: ${warning}`);
      return capture;
    } catch (error) {
      if (error instanceof CaptureError) throw new ScenarioError(`${this.name}: ${pcap}: ${error.message}`);
      throw error;
    }
  }
}

/** Opens a scenario: reads `inputs.json` and nothing else. Throws `ScenarioError` when that cannot be done. */
export function loadScenario(name: string, read: ReadFile): Scenario {
  const bytes = read('inputs.json');
  if (bytes === undefined) throw new ScenarioError(`${name}: inputs.json is missing`);
  try {
    return new Scenario(name, readInputs(new TextDecoder().decode(bytes)), read);
  } catch (error) {
    if (error instanceof InputsError) throw new ScenarioError(`${name}: ${error.message}`);
    throw error;
  }
}

/**
 * What is injected in a mode. Probes of neighbours and repeated requests hang on random timers, unprompted frames on when a
 * device came up, and frames with `by` come from Docker's own sockets: they are injected in either mode. So is what a packet
 * provoked that no tap ever saw: one for a neighbour who never answered went no further than its own stack. So are resets that
 * an application's socket sent (an abort, data that came after its close): that socket is not our stack's.
 */
export function injectedIn(mode: Mode, stimuli: readonly Stimulus[]): Stimulus[] {
  if (mode === 'path') return [...stimuli];
  const unseen = unseenDestinations(stimuli);
  const asked = new Set<string>();
  const question = ({ tap, data }: Stimulus) => `${tap} ${questionOf(data)}`;
  const spoken = new Set(stimuli.filter((one) => one.class === 'application').map(flowFrom));
  const requests = stimuli.filter(isQuestion).map(question);
  return stimuli.filter((stimulus) => {
    const { data } = stimulus;
    if (isQuestion(stimulus)) {
      const own = question(stimulus);
      if (asked.has(own)) return true;
      asked.add(own);
      if (stimulus.by !== undefined) return true;
      // Nobody answered: it was asked again.
      const again = requests.filter((one) => one === own).length > 1;
      return again && unseen(u16(data, 12) === ETHERTYPE_ARP ? ipv4(data, 38) : ipv6(data, 62));
    }
    if (stimulus.class !== 'stack-reply') return true;
    // A reset of a connection in which its sender has spoken is that socket's; where no socket was, the stack's.
    if (stimulus.kind === 'tcp-rst') return spoken.has(flowFrom(stimulus));
    if (stimulus.by !== undefined) return true;
    return stimulus.kind === 'icmp-unreachable' && unseen(quotedDestination(data));
  });
}

/** A request to everybody who might be meant; one to a neighbour that was known is a probe. */
function isQuestion(stimulus: Stimulus): boolean {
  if (stimulus.class !== 'arp-request' || stimulus.kind === 'arp-probe') return false;
  return u16(stimulus.data, 12) === ETHERTYPE_ARP || ((stimulus.data[0] ?? 0) & 1) === 1;
}

/** Is this an address that nobody answers for, and to which no packet of an application was seen? */
function unseenDestinations(stimuli: readonly Stimulus[]): (address: string | undefined) => boolean {
  const seen = new Set<string>();
  for (const { data, kind } of stimuli) {
    const ip = layersOf(data).find(isIp);
    if (ip !== undefined && kind !== 'icmp-unreachable') seen.add(destinationOf(data, ip));
    if (kind === 'arp-reply') seen.add(ipv4(data, 28));
    if (kind === 'nd-advertisement') seen.add(ipv6(data, 62));
  }
  return (address) => address !== undefined && !seen.has(address);
}

/** Where the packet was to go that an ICMP error quotes. */
function quotedDestination(data: Uint8Array): string | undefined {
  const quoted = layersOf(data).filter(isIp)[1];
  return quoted && destinationOf(data, quoted);
}

function isIp({ name }: Layer): boolean {
  return name === 'ip' || name === 'ipv6';
}

function destinationOf(data: Uint8Array, ip: Layer): string {
  return ip.name === 'ip' ? ipv4(data, ip.start + 16) : ipv6(data, ip.start + 24);
}

/** Where a frame was sent, and its flow. */
function flowFrom({ tap, data }: Stimulus): string {
  return `${tap} ${flowOf(data, layersOf(data)).key}`;
}

/** Who asks for whom: sender and target address of an ARP request; of a neighbour solicitation all but the MAC addresses. */
function questionOf(frame: Uint8Array): string {
  if (u16(frame, 12) === ETHERTYPE_ARP) return `${u32(frame, 28)} ${u32(frame, 38)}`;
  return Array.from(frame.subarray(22, 78)).join(' ');
}

/**
 * How the taps of a run are compared: the options for each tap, which share what the run drew. `injected` are the stimuli
 * that were put in at a device; those that were handed to a socket are not among them, for what NAT makes of them is to be
 * compared. `all` are all stimuli, of whichever mode.
 */
export function comparisonOptions(
  inputs: Inputs,
  mode: Mode,
  injected: readonly Stimulus[],
  all: readonly Stimulus[],
): (tap: RealTap) => CompareOptions {
  const drawnValues = new DrawnValues();
  const vxlanPort = inputs.networks
    .flatMap(({ nodes }) => Object.values(nodes).map((node) => node.vxlanPort))
    .find(Boolean);
  const numbers = new Map<string, Set<number>>();
  for (const { pcap, frame, socket, sender } of injected) {
    // One whose sender had no capture was put in there, not where it was seen.
    if (socket !== undefined || sender !== undefined) continue;
    const known = numbers.get(pcap) ?? new Set();
    numbers.set(pcap, known.add(frame));
  }
  const sent = new Set(injected.map(({ pcap, frame }) => `${pcap} ${frame}`));
  const made = ownPackets(all.filter(({ pcap, frame }) => !sent.has(`${pcap} ${frame}`)));
  const drawn = drawnPorts(inputs, all);
  const openEsp = inputs.encryption === undefined ? undefined : openerOf(inputs);
  return ({ pcap }) => ({
    injected: (pcap === undefined ? undefined : numbers.get(pcap)) ?? new Set(),
    drawnValues,
    drawn,
    ...(openEsp === undefined ? {} : { openEsp }),
    ...(vxlanPort == null ? {} : { vxlanPort }),
    ...(mode === 'stack' ? { ownStack: (frame: Decoded, ip: Layer) => made.has(identityOf(frame.bytes, ip)) } : {}),
  });
}

/** The packets whose place our own stack's take, by what NAT, routing and tunnels leave alone. */
function ownPackets(notInjected: readonly Stimulus[]): Set<string> {
  const identities = new Set<string>();
  for (const { data } of notInjected) {
    const ip = layersOf(data).find(isIp);
    if (ip === undefined) continue;
    identities.add(identityOf(data, ip));
    // A bridge with conntrack shows a datagram that came in fragments as one.
    if (fragmentOf(data, ip)?.offset === 0) identities.add(wholeIdentityOf(data, ip));
  }
  return identities;
}

/** Protocol and IP id; of an unfragmented ICMP message its type and code too. IPv6: next header, flow label and destination. */
function identityOf(bytes: Uint8Array, ip: Layer): string {
  if (ip.name === 'ipv6') {
    return `${bytes[ip.start + 6]} ${u32(bytes, ip.start) & 0xfffff} ${ipv6(bytes, ip.start + 24)}`;
  }
  if (fragmentOf(bytes, ip) === undefined) return wholeIdentityOf(bytes, ip);
  return `${bytes[ip.start + 9] ?? 0} ${u16(bytes, ip.start + 4)}`;
}

function wholeIdentityOf(bytes: Uint8Array, ip: Layer): string {
  const protocol = bytes[ip.start + 9] ?? 0;
  const message = protocol === PROTOCOL_ICMP ? ` ${u16(bytes, ip.body)}` : '';
  return `${protocol} ${u16(bytes, ip.start + 4)}${message}`;
}

/**
 * A port that neither an endpoint nor an operator chose, NAT must have drawn. Whatever stands as a port in a frame that an
 * endpoint sent, at a socket, in a published port or at a resolver is chosen.
 */
function drawnPorts(
  inputs: Inputs,
  stimuli: readonly Stimulus[],
): (protocol: 'tcp' | 'udp' | 'icmp', port: number) => boolean {
  const chosen = { tcp: new Set<number>(), udp: new Set<number>(), icmp: new Set<number>() };
  for (const { data, socket, kind } of stimuli) {
    for (const { name, start } of layersOf(data)) {
      if (name === 'icmp') chosen.icmp.add(u16(data, start + 4));
      if (name === 'tcp' || name === 'udp') chosen[name].add(u16(data, start)).add(u16(data, start + 2));
    }
    for (const address of [socket?.source, socket?.destination]) {
      if (address?.port !== undefined) chosen[kind.startsWith('tcp') ? 'tcp' : 'udp'].add(address.port);
    }
  }
  const add = (protocol: string, ...ports: (number | null | undefined)[]) => {
    for (const port of ports)
      if (port != null && (protocol === 'tcp' || protocol === 'udp')) chosen[protocol].add(port);
  };
  for (const { ports } of inputs.services) {
    for (const { protocol, published, target } of ports) add(protocol, published, target);
  }
  for (const { ports } of [...inputs.tasks, ...inputs.containers]) {
    for (const { container, host } of ports) {
      const [port, protocol] = container.split('/');
      add(protocol ?? 'tcp', Number(port), Number(host.slice(host.lastIndexOf(':') + 1)));
    }
  }
  for (const { udp, tcp } of Object.values(inputs.resolver)) {
    add('udp', udp, 53);
    add('tcp', tcp, 53);
  }
  return (protocol, port) => !chosen[protocol].has(port);
}
