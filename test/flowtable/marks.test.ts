/**
 * Marks of congestion and flow labels vary from packet to packet of one flow: the frames are those of the slow way, tunnels' outer
 * headers included. What is only capable of saying "congestion" stays on the fast way.
 */

import { describe, expect, it } from 'vitest';
import { ACK, answerTo, fromClient } from '../../bench/frames.js';
import { sealAll } from '../../bench/headers.js';
import { twice } from './meshed.js';
import { both, datagram, NODE2, tunnelled } from './tunnelled6.js';

const CLASSES = [0, 1, 2, 3, 0xb8, 0xb9, 0xba, 0xbb];

describe('through the mesh', () => {
  it.each(['tcp', 'udp'] as const)('%s fares alike, whatever is marked inside and outside', async (protocol) => {
    const { fast } = await twice((life) => {
      const flags = protocol === 'tcp' ? ACK : 0;
      const flow = life.flow(4000, undefined, protocol);
      const says = (tos: number) => {
        const frame = fromClient(flow, life.mesh.macs, 80, flags);
        frame[15] = tos;
        return sealAll(frame);
      };
      const opened = protocol === 'tcp' ? life.pass(life.syn(4000)) : life.pass(says(0));
      const [way = new Uint8Array()] = opened;
      const hears = (outer: number, inner: number, control = flags) => {
        const frame = answerTo(way, 80, control);
        frame[15] = outer;
        frame[50 + 15] = inner;
        return sealAll(frame);
      };
      if (protocol === 'tcp') life.pass(hears(0, 0, ACK | 2));
      for (let round = 0; round < 3; round++) {
        for (const tos of CLASSES) life.pass(says(tos), says(tos));
        for (const outer of CLASSES) for (const inner of CLASSES) life.pass(hears(outer, inner), hears(outer, inner));
      }
    });
    // Half of the tunnel's packets say neither CE nor ECT(1) outside: 3 rounds of 16 + 64, but for those that make flows.
    expect(fast).toBeGreaterThan(3 * 80 - 20);
  });
});

describe('IPv6 in a tunnel', () => {
  it('shows outside what each packet is marked with', async () => {
    const { fast } = await both(({ says }) => {
      for (let round = 0; round < 3; round++) for (const tos of CLASSES) says(datagram({ tos, label: 5 }));
    });
    expect(fast).toBeGreaterThan(20);
  });

  it('has the source port of each packet’s own label', async () => {
    const { fast, seen } = await both(({ says }) => {
      for (const label of [5, 5, 5, 5, 6, 6, 6, 6, 5, 6, 5, 6, 0, 0, 0, 0, 0xfffff, 0xfffff, 0xfffff])
        says(datagram({ label }));
    });
    expect(fast).toBeGreaterThan(5);
    const ports = seen
      .filter((line) => line.startsWith('node1/host/eth0 '))
      .map((line) => line.split(' ').slice(2))
      .filter((bytes) => bytes.slice(0, 6).join(':') === NODE2.mac)
      .map((bytes) => bytes.slice(34, 36).join(''));
    expect(new Set(ports).size, 'a port for each of four labels').toBe(4);
  });

  it('carries marks inside as the slow way does', async () => {
    const { fast } = await both(({ hears }) => {
      for (let round = 0; round < 3; round++)
        for (const outer of CLASSES)
          for (const tos of CLASSES) hears(tunnelled(datagram({ back: true, label: 5, tos }), outer));
    });
    expect(fast).toBeGreaterThan(3 * 32 - 10);
  });
});
