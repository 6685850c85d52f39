/** MAC addresses as Docker makes them (reference: libnetwork netutils/utils.go GenerateMACFromIP, GenerateRandomMAC). */

/** 02:42 and the four bytes of the IPv4 address. */
export function macOfAddress(address: string): string {
  const bytes = (address.split('/')[0] ?? '').split('.').map(Number);
  return ['02', '42', ...bytes.map((byte) => byte.toString(16).padStart(2, '0'))].join(':');
}

/** 02:42 and four bytes drawn at random: a bridge of engine 20.10. */
export function bridgeMac(draw: () => number): string {
  return ['02', '42', ...drawBytes(draw, 4)].join(':');
}

/** What the kernel gives a veth or vxlan device: random, locally administered, unicast. */
export function randomMac(draw: () => number): string {
  const [first = 0, ...rest] = Array.from({ length: 6 }, () => draw() & 255);
  return [(first & 0xfe) | 2, ...rest].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** A bridge without an address of its own shows the lowest of its ports'. */
export function lowestMac(macs: readonly string[]): string {
  return [...macs].sort()[0] ?? '00:00:00:00:00:00';
}

function drawBytes(draw: () => number, count: number): string[] {
  return Array.from({ length: count }, () => (draw() & 255).toString(16).padStart(2, '0'));
}
