/** MAC addresses as Docker makes them (reference: libnetwork netutils/utils.go GenerateMACFromIP, GenerateRandomMAC). */

/** 02:42 and the four bytes of the IPv4 address. */
export function macOfAddress(address: string): string {
  const bytes = (address.split('/')[0] ?? '').split('.');
  return bytes.reduce((text, byte) => `${text}:${hexByte(Number(byte))}`, '02:42');
}

/** 02:42 and four bytes drawn at random: a bridge of engine 20.10. */
export function bridgeMac(draw: () => number): string {
  return `02:42:${drawn(draw)}:${drawn(draw)}:${drawn(draw)}:${drawn(draw)}`;
}

/** What the kernel gives a veth or vxlan device: random, locally administered, unicast. */
export function randomMac(draw: () => number): string {
  const first = hexByte((draw() & 0xfe) | 2);
  return `${first}:${drawn(draw)}:${drawn(draw)}:${drawn(draw)}:${drawn(draw)}:${drawn(draw)}`;
}

/** A bridge without an address of its own shows the lowest of its ports'. */
export function lowestMac(macs: readonly string[]): string {
  let [lowest = '00:00:00:00:00:00'] = macs;
  for (const mac of macs) if (mac < lowest) lowest = mac;
  return lowest;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Two digits. */
export function hexByte(byte: number): string {
  return HEX[byte] ?? '';
}

function drawn(draw: () => number): string {
  return hexByte(draw() & 255);
}
