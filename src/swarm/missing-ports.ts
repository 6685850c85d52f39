/** Which ports a firewall between the nodes lacks, and what came of it, in words for whoever has to open them. */

import { GOSSIP_PORT } from '../traffic/gossip.js';
import { MANAGEMENT_PORT } from '../traffic/management.js';
import type { Cluster } from './cluster.js';
import { dataPathPort, portText } from './firewall.js';
import type { Stopped } from './wire-stops.js';

export interface MissingPort {
  /** `tcp/2377`, `udp/4789`, `ESP` */
  port: string;
  /** What came of it: a sentence with the nodes' names. */
  words: string;
  /** Frames that ended on the wire for it. */
  frames: number;
}

/** So many pairs of nodes are named; of more, how many there are. */
const NAMED = 6;

export function missingPorts(cluster: Cluster, stopped: readonly Stopped[]): MissingPort[] {
  return [...withoutManager(cluster, stopped), ...withoutGossip(cluster, stopped), ...lost(cluster, stopped)];
}

function withoutManager(cluster: Cluster, stopped: readonly Stopped[]): MissingPort[] {
  const port = portText({ protocol: 'tcp', port: MANAGEMENT_PORT });
  const cut = cluster.cutOff.managers.map((name) => cluster.node(name));
  if (cut.length === 0) return [];
  const managers = [...cluster.nodes.values()].filter(({ member, role }) => member && role === 'manager');
  const text = (nodes: typeof cut, what: string) =>
    nodes.length === 0
      ? []
      : [`between ${nodes.map(({ name }) => name).join(', ')} and the managers (${listed(managers)}): ${what}`];
  const never = cut.filter(({ joining }) => joining);
  const silent = cut.filter((one) => one.silent && !never.includes(one));
  const words = [
    ...text(never, 'the swarm was made without them, and gives them no tasks'),
    ...text(silent, 'no manager hears them; after three heartbeats their tasks are started elsewhere'),
    ...text(
      cut.filter((one) => !never.includes(one) && !silent.includes(one)),
      'for a while no manager heard them',
    ),
  ];
  const frames = framesOf(stopped, port);
  return words.map((one, i) => ({ port, words: `port ${port} is missing ${one}`, frames: i === 0 ? frames : 0 }));
}

function withoutGossip({ cutOff }: Cluster, stopped: readonly Stopped[]): MissingPort[] {
  const udp = portText({ protocol: 'udp', port: GOSSIP_PORT });
  const tcp = portText({ protocol: 'tcp', port: GOSSIP_PORT });
  const found: MissingPort[] = [];
  if (cutOff.gossip.length > 0)
    found.push({
      port: `${tcp}, ${udp}`,
      words:
        `ports ${tcp} and ${udp} are missing between ${pairs(cutOff.gossip)}: neither learns of the other's containers ` +
        '(no neighbours, no forwarding entries, no names, no destinations of load balancers)',
      frames: framesOf(stopped, udp) + framesOf(stopped, tcp),
    });
  if (cutOff.lateGossip.length > 0)
    found.push({
      port: udp,
      words: `port ${udp} is missing between ${pairs(cutOff.lateGossip)}: they learn of each other's containers by ${tcp} alone, up to half a minute late`,
      frames: found.length > 0 ? 0 : framesOf(stopped, udp),
    });
  return found;
}

/** Frames of everything else that the wire stopped, by port and sender. */
function lost({ topology }: Cluster, stopped: readonly Stopped[]): MissingPort[] {
  const control = [MANAGEMENT_PORT, GOSSIP_PORT];
  const groups = new Map<string, Stopped[]>();
  for (const one of stopped) {
    if (one.frames === 0 || control.includes(one.port ?? 0)) continue;
    const key = `${portText(one)} ${one.from ?? ''}`;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups.values()].flatMap((group): MissingPort[] => {
    const [first] = group;
    if (!first) return [];
    const port = portText(first);
    const frames = group.reduce((sum, one) => sum + one.frames, 0);
    const to = and(group.map((one) => (group.length > 1 ? `${one.to} (${one.frames})` : one.to)));
    const way = `${first.from === undefined ? '' : `from ${first.from} `}to ${to}`;
    const name = first.protocol === 'esp' ? port : `port ${port}`;
    const what =
      first.protocol === 'esp'
        ? ', all that encrypted networks send'
        : first.protocol === 'udp' && first.port === dataPathPort(topology)
          ? ', all that overlay networks send'
          : '';
    return [
      { port, words: `${name} is missing ${way}: ${frames} ${frames === 1 ? 'frame' : 'frames'} lost${what}`, frames },
    ];
  });
}

function framesOf(stopped: readonly Stopped[], port: string): number {
  return stopped.filter((one) => portText(one) === port).reduce((sum, { frames }) => sum + frames, 0);
}

function listed(nodes: readonly { name: string }[]): string {
  return and(nodes.map(({ name }) => name));
}

function pairs(all: readonly (readonly [string, string])[]): string {
  const named = all.slice(0, NAMED).map((pair) => pair.toSorted().join(' and '));
  return all.length > NAMED ? `${named.join(', ')} and ${all.length - NAMED} more pairs of nodes` : named.join(', ');
}

function and(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}
