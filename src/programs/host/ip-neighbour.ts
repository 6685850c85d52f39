/** `ip neigh`: shows, adds and removes neighbours. */

import type { Namespace } from '../../engine/index.js';
import { forgetNeighbours } from '../../engine/neighbours.js';
import { ipNeigh } from '../../views/index.js';
import { Exit } from '../process.js';
import { answers, deviceOf, type IpOptions, keywords, shows, verbOf } from './ip-words.js';

const STATES = ['permanent', 'reachable', 'stale', 'noarp', 'failed'];

export function ipNeighbour(namespace: Namespace, [verb, ...words]: readonly string[], { family }: IpOptions): string {
  if (shows(verb)) {
    const { dev, to, operand = to, nud } = keywords(words, ['dev', 'to', 'nud'], STATES);
    if (dev !== undefined) deviceOf(namespace, dev);
    const lines = ipNeigh(namespace)
      .split('\n')
      .filter((line) => line !== '')
      .filter(
        (line) => family === undefined || line.includes(':', 0) === false || (family === 6) === /^\S*:/.test(line),
      )
      .filter((line) => operand === undefined || line.startsWith(`${operand} `))
      .filter((line) => nud === undefined || line.includes(nud.toUpperCase()))
      .filter((line) => dev === undefined || line.includes(` dev ${dev} `));
    // The device that was asked for is not repeated.
    return lines.map((line) => `${dev === undefined ? line : line.replace(` dev ${dev}`, '')}\n`).join('');
  }
  const kind = verbOf('neigh', verb ?? '', ['add', 'change', 'replace', 'delete', 'flush', 'help']);
  if (kind === 'help') throw new Exit(255, 'Usage: ip neigh { add | delete | replace | flush | show } …');
  const given = keywords(words, ['dev', 'lladdr', 'nud', 'to'], [...STATES, 'all']);
  const { dev, lladdr, to, operand: address = to } = given;
  if (kind === 'flush') {
    if (words.length === 0) throw new Exit(255, 'Flush requires arguments.');
    forgetNeighbours(
      namespace,
      ({ device, address: one, state }) =>
        state !== 'PERMANENT' &&
        (dev === undefined || device.name === dev) &&
        (address === undefined || one === address),
    );
    return '';
  }
  if (dev === undefined || address === undefined) throw new Exit(255, 'Device and destination are required arguments.');
  const device = deviceOf(namespace, dev);
  const picked = (one: { device: { name: string }; address: string }) =>
    one.device.name === device.name && one.address === address;
  if (kind === 'delete') {
    if (forgetNeighbours(namespace, picked) === 0) throw answers('No such file or directory');
    return '';
  }
  if (lladdr === undefined) throw answers('Invalid argument');
  if (!/^[0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5}$/i.test(lladdr)) throw new Exit(1, `"${lladdr}" is invalid lladdr.`);
  if (kind === 'add' && namespace.neighbour(device, address)) throw answers('File exists');
  const state = given.nud ?? [...given.flags].find((flag) => STATES.includes(flag)) ?? 'permanent';
  if (state !== 'permanent' && state !== 'reachable')
    throw answers(`Operation not supported (a neighbour is added permanent or reachable)`);
  namespace.addNeighbour(device, address, lladdr.toLowerCase(), state);
  return '';
}
