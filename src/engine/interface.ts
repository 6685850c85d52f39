/**
 * A device taken up and down as an operator does it (`ip link set DEVICE up|down`), with what the kernel does to its routes
 * (fib_disable_ip, fib_add_ifaddr): down, all but its own addresses' go; up again, the connected ones come back, others do not.
 */

import type { Device } from './device.js';

/** Made by hand, and not up yet: such a device has no queue. */
const neverUp = new WeakSet<Device>();

export function isNeverUp(device: Device): boolean {
  return neverUp.has(device);
}

/** A device that is made by hand is down at first. */
export function madeDown(device: Device): Device {
  device.up = false;
  neverUp.add(device);
  return device;
}

export function setUp(device: Device, up: boolean): void {
  if (device.up === up) return;
  const { namespace } = device;
  namespace.engine.drain();
  device.up = up;
  if (up) {
    neverUp.delete(device);
    // Their routes come with them, as on the day they were added.
    for (const { address, length, broadcast } of [...device.addresses]) {
      namespace.removeAddress(device, `${address}/${length}`);
      namespace.addAddress(device, `${address}/${length}`, broadcast === undefined ? {} : { broadcast });
    }
    return;
  }
  for (const route of namespace.routes.filter((one) => one.device === device && one.type !== 'local'))
    namespace.removeRoute(route);
  for (const entry of namespace.neighbours.filter((one) => one.device === device)) namespace.removeNeighbour(entry);
}
