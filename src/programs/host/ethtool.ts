/** ethtool (6.1), as guides use it on virtual devices: `-S` (a veth's other end), `-k`, `-i`. */

import { linkOf } from '../../engine/links.js';
import { Exit, type Process } from '../process.js';
import type { Steps } from '../steps.js';

/** By kind, as the drivers call themselves. */
const DRIVERS: Record<string, string> = { physical: 'virtio_net', vlan: '802.1Q VLAN Support', loopback: '' };

/** The simulation has no offloads: frames are what a wire would carry. */
const FEATURES: [string, string][] = [
  ['rx-checksumming', 'off'],
  ['tx-checksumming', 'off'],
  ['scatter-gather', 'off'],
  ['tcp-segmentation-offload', 'off'],
  ['generic-segmentation-offload', 'off'],
  ['generic-receive-offload', 'off'],
  ['large-receive-offload', 'off [fixed]'],
];

export function* ethtool(process: Process): Steps<number> {
  const args = process.argv.slice(1);
  const [flag = '', name = flag] = args;
  const { namespace } = process.machine;
  const known = ['-S', '--statistics', '-k', '--show-features', '--show-offload', '-i', '--driver'];
  if (flag.startsWith('-') && !known.includes(flag))
    throw new Exit(1, `ethtool: bad command line argument(s) or one that is not simulated: ${flag}`);
  const device = namespace.devices.get(name);
  if (!device)
    throw new Exit(71, `Cannot get device ${flag.startsWith('-') ? 'information' : 'settings'}: No such device`);
  const { stdout } = process;
  switch (flag) {
    case '-S':
    case '--statistics': {
      if (device.kind !== 'veth' || !device.peer) throw new Exit(94, 'no stats available');
      stdout.write(`NIC statistics:\n     peer_ifindex: ${linkOf(device.peer).index}\n`);
      return 0;
    }
    case '-k':
    case '--show-features':
    case '--show-offload':
      stdout.write(`Features for ${name}:\n${FEATURES.map(([feature, state]) => `${feature}: ${state}\n`).join('')}`);
      return 0;
    case '-i':
    case '--driver':
      stdout.write(`driver: ${DRIVERS[device.kind] ?? device.kind}\nversion: 6.1.0-swarmwire\nbus-info: \n`);
      return 0;
    default:
      stdout.write(`Settings for ${name}:\n\tLink detected: ${linkOf(device).carrier ? 'yes' : 'no'}\n`);
      return 0;
  }
}
