/** A swarm stood up from a stack file, its rules as iptables prints them, its flows in a word. */

import { parseStackFile, Swarm } from '../../src/index.js';
import { iptablesSave } from '../../src/views/iptables-save.js';

export async function swarmOf(text: string): Promise<Swarm> {
  const { spec } = parseStackFile(text, { file: 'stack.yml' });
  return Swarm.create(spec, { seed: 1 });
}

/** `-A …` of one table, in order; bridges of user-defined networks by their networks' names. */
export function rules(swarm: Swarm, namespace: string, table: 'filter' | 'nat', chain?: string): string[] {
  const text = iptablesSave(swarm.namespace(namespace));
  const part = text.slice(text.indexOf(`*${table}`)).split('COMMIT')[0] ?? '';
  const named = swarm.topology.networks.reduce(
    (done, { name, onNode }) =>
      Object.values(onNode).reduce(
        (more, { bridge }) => (bridge.startsWith('br-') ? more.replaceAll(bridge, name) : more),
        done,
      ),
    part,
  );
  return named.split('\n').filter((line) => line.startsWith(chain === undefined ? '-A ' : `-A ${chain} `));
}

/** What each flow came to: who answered, or what was heard instead. */
export function outcomes(swarm: Swarm): string[] {
  return swarm
    .play()
    .map(({ from, to, ok, answeredBy, detail }) => `${from} > ${to}: ${ok ? (answeredBy ?? 'ok') : detail}`);
}

export const addresses = (swarm: Swarm, namespace: string): Record<string, string> =>
  Object.fromEntries(
    [...swarm.namespace(namespace).devices.values()]
      .filter(({ kind }) => kind !== 'loopback')
      .map(({ name, addresses: all }) => [name, all.map(({ address, length }) => `${address}/${length}`).join(' ')]),
  );

export const defaultRoute = (swarm: Swarm, namespace: string): string | undefined => {
  const route = swarm.namespace(namespace).routes.find(({ destination }) => destination === '0.0.0.0/0');
  return route && `via ${route.gateway} dev ${route.device.name}`;
};
