/** A life of the mesh, frame by frame, with the flow table and without: what can be seen of both, to be compared. */

import { expect } from 'vitest';
import { control, type Flow, fromClient, SYN } from '../../bench/frames.js';
import { checkedModule } from '../../bench/fuzz/files.js';
import { addressNumber } from '../../bench/headers.js';
import { Mesh, PUBLISHED } from '../../bench/mesh.js';
import type { Destination } from '../../src/engine/balancer.js';
import { books, digest, state } from './seen.js';

const module = await checkedModule();
export const CLIENT = '198.18.0.1';

/** One life of the mesh: what can be seen of it, and how many packets took a short way. */
export class Life {
  readonly seen: string[] = [];
  private constructor(readonly mesh: Mesh) {}

  /** `tapped`: every device of the node is captured. */
  static async create(fast: boolean, tapped: boolean): Promise<Life> {
    const mesh = await Mesh.create(tapped, module);
    mesh.engine.exports.setFlowTable(fast ? 1 : 0);
    const life = new Life(mesh);
    const keep = mesh.engine.onCapture;
    mesh.engine.onCapture = (records) => {
      life.seen.push(`captured ${records.length} ${digest(records)}`);
      keep?.(records);
    };
    return life;
  }

  flow(sport: number, source = CLIENT, protocol: Flow['protocol'] = 'tcp', dport = PUBLISHED): Flow {
    return { protocol, source: addressNumber(source), sport, destination: addressNumber(this.mesh.address), dport };
  }
  syn(sport: number, source = CLIENT): Uint8Array {
    return control(this.flow(sport, source), this.mesh.macs, SYN);
  }
  datagram(sport: number, source = CLIENT): Uint8Array {
    return fromClient(this.flow(sport, source, 'udp'), this.mesh.macs, 64, 0);
  }
  /** Sends them as one batch, and writes down what left because of it. */
  pass(...frames: Uint8Array[]): Uint8Array[] {
    const { mesh } = this;
    const left = mesh.pass(frames).map((frame) => frame.slice());
    this.seen.push(
      `at ${mesh.engine.now} ${left.length} left`,
      ...left.map((frame) => Buffer.from(frame).toString('hex')),
    );
    return left;
  }
  wait(seconds: number): void {
    this.quiet(seconds);
    this.mesh.learn();
  }
  /** Switches learn nothing meanwhile, so that flows last. */
  quiet(seconds: number): void {
    this.mesh.engine.run(this.mesh.engine.now + seconds * 1e9);
  }
  /** As `quiet`, but what is over within the last half second is still there: sweeps come once a second. */
  quietUnswept(seconds: number): void {
    this.quiet(seconds - 0.5);
    this.quiet(0.5);
  }
  destinations(): Destination[] {
    return this.mesh.namespace('node1/ingress_sbox').ipvs.services.flatMap(({ destinations }) => destinations);
  }
  look(): void {
    this.seen.push(...books(this.mesh.engine), ...state(this.mesh.engine));
    this.seen.push(`searches ${this.mesh.engine.exports.natPortSearches()}`);
  }
  get fast(): number {
    return this.mesh.engine.exports.fastPackets();
  }
  /** Packets that have become a flow by a precedent. */
  get followed(): number {
    return this.mesh.engine.exports.followed();
  }
}

/** Both lives of `happens`; answers how many packets took the short way in the one that has it, and what was seen. */
export async function twice(
  happens: (life: Life) => void,
  tapped = false,
): Promise<{ fast: number; followed: number; seen: string[] }> {
  const [slow, quick] = await Promise.all([Life.create(false, tapped), Life.create(true, tapped)]);
  for (const life of [slow, quick]) {
    happens(life);
    life.look();
  }
  expect(quick.seen).toEqual(slow.seen);
  expect(slow.fast).toBe(0);
  expect(slow.followed).toBe(0);
  return { fast: quick.fast, followed: quick.followed, seen: quick.seen };
}

export const ports = (first: number, count: number) => Array.from({ length: count }, (_, i) => first + i);
/** One for each of the 32 tasks, and some more. */
export const WARM = 40;
export const warm = (life: Life) => life.pass(...ports(2000, WARM).map((port) => life.syn(port)));
