/** Engines that share a load, one after the other in one thread, and what one alone makes of it. */

import { expect } from 'vitest';
import { parseStackFile, type StackSpec, Swarm } from '../../src/index.js';
import { mergeFlows } from '../../src/workers/merge-reports.js';
import { countsOf } from '../../src/workers/outcome.js';
import { accountOf } from '../../src/workers/share.js';
import { masked } from './masked.js';

export const mesh = (traffic: string, { options = '', more = '' } = {}) => `
services:
  web: { image: nginx, networks: [net1], ports: ["8080:80", "9090:90/udp"], deploy: { replicas: 3 } }
  api: { image: api, networks: [net1], deploy: { replicas: 2 } }
networks: { net1: { ${options} } }
x-swarmwire: { ${more} traffic: [${traffic}] }`;

export const bridge = (traffic: string, { more = '' } = {}) => `
networks:
  near: { driver: bridge, enable_ipv6: true, ipam: { config: [{ subnet: 172.30.0.0/16 }, { subnet: "fd00:30::/64" }] } }
x-swarmwire:
  engine: "28"
  ${more}
  nodes: [{ name: node1, address6: "fd00:99::10/64" }]
  client: { address6: "fd00:99::1/64" }
  containers:
    web: { image: nginx, networks: [near], ports: ["8080:80", "9090:90/udp"] }
    other: { networks: [near] }
    third: { networks: [near] }
  traffic: [${traffic}]`;

export const routed = (traffic: string, { more = '' } = {}) => `
networks:
  lan:
    driver: macvlan
    driver_opts: { parent: eth0.50 }
    ipam: { config: [{ subnet: 192.168.50.0/24, gateway: 192.168.50.1 }, { subnet: 192.168.51.0/24, gateway: 192.168.51.1 }] }
x-swarmwire:
  ${more}
  outside: [{ name: router, vlans: { 50: [192.168.50.1/24, 192.168.51.1/24] } }]
  containers:
    one: { image: nginx, node: node1, networks: { lan: { ipv4_address: 192.168.50.10 } } }
    two: { image: nginx, node: node2, networks: { lan: { ipv4_address: 192.168.51.10 } } }
  traffic: [${traffic}]`;

export interface Share {
  /** A number for each: of its time, tap, direction and bytes. Sorted. */
  frames: Float64Array;
  swarm: Swarm;
}

/** What is done with it. */
type Play = (swarm: Swarm) => void;
const toTheEnd: Play = (swarm) => void swarm.play();

/** 52 bits of two FNV-1a hashes. */
function numberOf(bytes: Uint8Array): number {
  let a = 0x811c9dc5;
  let b = 0x811c9dc5;
  for (const byte of bytes) {
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(b ^ byte ^ (a >>> 24), 0x01000193);
  }
  return (a >>> 0) * 0x100000 + (b >>> 12);
}

async function share(spec: StackSpec, index: number, count: number, play: Play): Promise<Share> {
  const swarm = await Swarm.create(spec, { seed: 1, shard: { index, count } });
  swarm.tapEverything();
  const frames: number[] = [];
  swarm.engine.onCapture = (records) => {
    // Blocks of pcapng, each with its length and, behind 28 bytes, that many of a frame.
    const view = new DataView(records.buffer, records.byteOffset, records.length);
    for (let at = 0; at < records.length; at += view.getUint32(at + 4, true)) {
      const block = records.slice(at, at + view.getUint32(at + 4, true));
      block.set(masked(block.subarray(28, 28 + view.getUint32(at + 20, true))), 28);
      frames.push(numberOf(block));
    }
  };
  play(swarm);
  swarm.engine.drain();
  return { swarm, frames: Float64Array.from(frames).sort() };
}

/** Frames that have left a device, whoever captures them. */
export const leftBy = ({ swarm }: Share, path: string) =>
  swarm.engine.devices.find((device) => device.path === path)?.counters.txPackets ?? Number.NaN;

/** What becomes of frames, and where they are dropped. */
function countedBy(shares: readonly Share[]): unknown {
  const all = shares.map(({ swarm }) => countsOf(swarm, undefined));
  const drops: Record<string, number> = {};
  for (const { device, reason, count } of all.flatMap((counts) => counts.drops))
    drops[`${device.path} ${reason}`] = (drops[`${device.path} ${reason}`] ?? 0) + count;
  return { account: accountOf(all), drops };
}

export async function compare(
  stack: string,
  { counts = [3, 2], play = toTheEnd } = {},
): Promise<{ one: Share; shares: Share[] }> {
  const { spec } = parseStackFile(stack, { file: 'shards.yml' });
  const one = await share(spec, 0, 1, play);
  let shares: Share[] = [];
  for (const count of counts) {
    shares = [];
    for (let index = 0; index < count; index++) shares.push(await share(spec, index, count, play));
    const together = Float64Array.from(shares.flatMap(({ frames }) => [...frames])).sort();
    expect(shares.map(({ swarm }) => swarm.engine.now)).toEqual(shares.map(() => one.swarm.engine.now));
    expect(together.length).toBe(one.frames.length);
    expect(together.findIndex((frame, at) => frame !== one.frames[at])).toBe(-1);
    expect(mergeFlows(shares.map(({ swarm }) => swarm.reports))).toEqual(one.swarm.reports);
    expect(countedBy(shares)).toEqual(countedBy([one]));
  }
  return { one, shares };
}
