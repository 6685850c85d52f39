import { layersOf } from '../../src/dissect/layers.js';

/** Of the outer IP header of a tunnel's packet, which begins at `at`: the id, and the checksum over it. */
function mask(bytes: Buffer, at: number): void {
  bytes.fill(0, at + 4, at + 6);
  bytes.fill(0, at + 10, at + 12);
}

const IP = 14;
/** Of the packet that an ICMP error is about: behind Ethernet, IP and ICMP headers. */
const QUOTED = 42;
const ICMP = 1;
const UDP = 17;
const ESP = 50;
const UNREACHABLE = 3;
const VXLAN = 4789;

/** Is an ICMP error about a tunnel's packet? */
function quotesTunnel(bytes: Buffer): boolean {
  if (bytes.length < QUOTED + 28 || bytes.readUInt16BE(12) !== 0x0800) return false;
  if (bytes[IP + 9] !== ICMP || bytes[34] !== UNREACHABLE) return false;
  const protocol = bytes[QUOTED + 9];
  return protocol === ESP || (protocol === UDP && bytes.readUInt16BE(QUOTED + 22) === VXLAN);
}

/** Without the id of a tunnel's outer packet, and the checksum over it, also where an error is about it. */
export function masked(data: Uint8Array): Buffer {
  const bytes = Buffer.from(data);
  if (layersOf(data).some(({ name }) => name === 'vxlan' || name === 'esp')) mask(bytes, IP);
  if (quotesTunnel(bytes)) mask(bytes, QUOTED);
  return bytes;
}
