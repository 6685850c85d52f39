/** Frames that a real swarm sent: the captures of test/oracle. */

import { readFileSync } from 'node:fs';
import { readCapture } from '../../src/capture/read.js';
import { IPV4, u16 } from './packets.js';

/** `S6-ingress/client.eth0`: every frame of that tap, in order. */
export function recordedFrames(tap: string): Uint8Array[] {
  const file = new URL(`../oracle/${tap}.pcap`, import.meta.url);
  return readCapture(readFileSync(file)).frames.map(({ data }) => data);
}

/** Its IPv4 packets of one protocol, without Ethernet header and padding. */
export function recordedPackets(tap: string, protocol: 'icmp' | 'tcp' | 'udp' | 'any' = 'any'): Uint8Array[] {
  const number = { icmp: 1, tcp: 6, udp: 17, any: undefined }[protocol];
  return recordedFrames(tap)
    .filter((frame) => u16(frame, 12) === IPV4)
    .map((frame) => frame.subarray(14, 14 + u16(frame, 16)))
    .filter((packet) => number === undefined || packet[9] === number);
}
