/**
 * The two sides of a comparison: captures as files hold them, or frames in memory, interface by interface. And which interface
 * of one side is compared with which of the other: by name where both have names, else all frames with all.
 */

import type { Capture, Direction } from '../capture/capture.js';
import { readCapture } from '../capture/read.js';

export interface SideFrame {
  /** As Wireshark counts: from 1, in the order of the file. */
  number: number;
  time: bigint;
  data: Uint8Array;
  /** On the wire: more than `data.length` where a snap length cut the frame. */
  originalLength: number;
  direction?: Direction;
}

export interface Side {
  /** By name; those of a file that has none are under undefined. In the order of the file, empty ones too. */
  interfaces: Map<string | undefined, SideFrame[]>;
  frames: number;
  /** What was odd about the file, one sentence each. */
  warnings: string[];
}

/** Frames of a test: `Captured` of the library, or bytes alone. */
export interface FrameLike {
  data: Uint8Array;
  /** The interface, `node/namespace/device`. */
  tap?: string | undefined;
  direction?: Direction | undefined;
  time?: bigint | undefined;
}

const LINKTYPE_ETHERNET = 1;

/** A capture of something that is not Ethernet: its frames have no headers that can be compared. */
export class LinkTypeError extends Error {
  override name = 'LinkTypeError';

  constructor(linkType: number, name: string | undefined) {
    const known = LINK_TYPES[linkType];
    super(
      `${name === undefined ? 'the capture' : `interface ${name}`} is not of Ethernet frames, but of link type ${linkType}${known === undefined ? '' : ` (${known})`}`,
    );
  }
}

/** https://www.tcpdump.org/linktypes.html: what tcpdump writes on Linux besides Ethernet. */
const LINK_TYPES: Record<number, string> = {
  0: 'BSD loopback',
  101: 'raw IP',
  113: 'Linux cooked, as tcpdump -i any writes it',
  228: 'raw IPv4',
  276: 'Linux cooked v2, as tcpdump -i any writes it',
};

/** @throws LinkTypeError */
export function requireEthernet({ interfaces, frames }: Capture): void {
  const used = new Set(frames.map((frame) => frame.interface));
  for (const [index, { linkType, name }] of interfaces.entries()) {
    if (used.has(index) && linkType !== LINKTYPE_ETHERNET) throw new LinkTypeError(linkType, name);
  }
}

/** @throws LinkTypeError */
export function sideOfCapture(capture: Capture): Side {
  requireEthernet(capture);
  const interfaces = new Map<string | undefined, SideFrame[]>();
  for (const { name } of capture.interfaces) if (!interfaces.has(name)) interfaces.set(name, []);
  for (const [index, frame] of capture.frames.entries()) {
    const name = capture.interfaces[frame.interface]?.name;
    const { time, data, originalLength, direction } = frame;
    // A section may describe an interface that another section has too: one name, one interface.
    interfaces.get(name)?.push({
      number: index + 1,
      time,
      data,
      originalLength,
      ...(direction === undefined ? {} : { direction }),
    });
  }
  return { interfaces, frames: capture.frames.length, warnings: [...capture.warnings] };
}

export function sideOfFrames(frames: readonly FrameLike[]): Side {
  const interfaces = new Map<string | undefined, SideFrame[]>();
  for (const [index, { tap, time = 0n, data, direction }] of frames.entries()) {
    const list = interfaces.get(tap) ?? [];
    interfaces.set(tap, list);
    list.push({
      number: index + 1,
      time,
      data,
      originalLength: data.length,
      ...(direction === undefined ? {} : { direction }),
    });
  }
  return { interfaces, frames: frames.length, warnings: [] };
}

/** A capture file, or frames. @throws CaptureError, LinkTypeError */
export function sideOf(capture: Uint8Array | readonly FrameLike[]): Side {
  return capture instanceof Uint8Array ? sideOfCapture(readCapture(capture)) : sideOfFrames(capture);
}

/** What is compared with what. */
export interface MatchedInterface {
  /** Undefined when all frames are compared with all. */
  name?: string;
  a: readonly SideFrame[];
  b: readonly SideFrame[];
}

export interface Matching {
  interfaces: MatchedInterface[];
  /** How interfaces were matched, in a sentence. */
  words: string;
}

const NAMED = 4;

/** `labels`: what the two sides are called. */
export function matchInterfaces(a: Side, b: Side, labels: { a: string; b: string }): Matching {
  const [names, others] = [namesOf(a), namesOf(b)];
  if (names !== undefined && others !== undefined) {
    const shared = names.filter((name) => others.includes(name));
    if (shared.length > 0 || names.length === 0 || others.length === 0) return byName(a, b, names, others, labels);
    return { interfaces: [allWithAll(a, b)], words: strangers(names, others, labels) };
  }
  const nameless =
    names === undefined && others === undefined
      ? 'neither side names its interfaces'
      : `${names === undefined ? labels.a : labels.b} does not name its interface`;
  return {
    interfaces: [allWithAll(a, b)],
    words: `${nameless}: all frames of ${labels.a} with all of ${labels.b}`,
  };
}

function byName(
  a: Side,
  b: Side,
  names: readonly string[],
  others: readonly string[],
  labels: { a: string; b: string },
): Matching {
  const all = [...new Set([...names, ...others])];
  const alone = (label: string, mine: readonly string[], theirs: readonly string[]) => {
    const only = mine.filter((name) => !theirs.includes(name));
    return only.length === 0 ? [] : [`only ${label} has ${shortened(only)}`];
  };
  const both = names.filter((name) => others.includes(name)).length;
  const parts = [`${both} matched by name`, ...alone(labels.a, names, others), ...alone(labels.b, others, names)];
  return {
    interfaces: all.map((name) => ({ name, a: a.interfaces.get(name) ?? [], b: b.interfaces.get(name) ?? [] })),
    words: all.length === 0 ? 'neither side has an interface' : parts.join('; '),
  };
}

function strangers(names: readonly string[], others: readonly string[], labels: { a: string; b: string }): string {
  if (names.length === 1 && others.length === 1) {
    return `${names[0]} of ${labels.a} with ${others[0]} of ${labels.b}: there is one on either side`;
  }
  return `the two sides share no name: all frames of ${labels.a} with all of ${labels.b}`;
}

/** The names of a side, or undefined when an interface has none. */
function namesOf({ interfaces }: Side): string[] | undefined {
  const names = [...interfaces.keys()];
  return names.every((name) => name !== undefined) ? names : undefined;
}

function allWithAll(a: Side, b: Side): MatchedInterface {
  const inOrder = ({ interfaces }: Side) => [...interfaces.values()].flat().sort((one, two) => one.number - two.number);
  return { a: inOrder(a), b: inOrder(b) };
}

function shortened(names: readonly string[]): string {
  if (names.length <= NAMED) return names.join(', ');
  return `${names.slice(0, NAMED - 1).join(', ')} and ${names.length - NAMED + 1} more`;
}
