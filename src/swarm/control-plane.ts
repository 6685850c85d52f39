/**
 * What the nodes of a swarm say to each other beside what their containers say, as background of realistic captures: each node
 * that comes to the swarm starts to speak, and stops when it leaves. Sockets of the nodes carry it, so that it meets firewalls,
 * lost nodes and taps as everything does. What the simulated swarm knows does not hang on it.
 */

import type { Sockets } from '../engine/index.js';
import { Draw } from '../topology/draw.js';
import { hostPart } from '../topology/topology.js';
import { type GossipPeer, GossipSpeaker } from '../traffic/gossip.js';
import { listenManagement, ManagementSession } from '../traffic/management.js';
import type { Cluster, ClusterEvent } from './cluster.js';
import type { Realized } from './realize.js';

/** Raft's heartbeat among managers (swarmkit manager/state/raft: a tick a second). */
const RAFT_TICK = 1_000_000_000;

interface Speaker {
  gossip: GossipSpeaker;
  /** Of a manager. */
  listener?: ReturnType<Sockets['listen']>;
  /** With managers: a worker's agent's, a manager's with the others. */
  session: ManagementSession | undefined;
}

export class ControlPlane {
  readonly #speakers = new Map<string, Speaker>();

  constructor(
    readonly realized: Realized,
    readonly cluster: Cluster,
    readonly sockets: Sockets,
    readonly seed: number,
  ) {
    this.follow();
  }

  /** Nodes have come or gone. */
  follow(): void {
    const members = [...this.cluster.nodes.values()].filter(({ member }) => member);
    for (const [name, speaker] of this.#speakers) {
      const node = members.find((one) => one.name === name);
      if (node && (node.role === 'manager') === (speaker.listener !== undefined)) continue;
      this.#speakers.delete(name);
      speaker.gossip.stop();
      speaker.session?.stop();
      if (speaker.listener) this.sockets.closeListener(speaker.listener);
    }
    // Managers listen before anybody dials.
    for (const node of members.toSorted((a, b) => Number(a.role === 'worker') - Number(b.role === 'worker')))
      if (!this.#speakers.has(node.name)) this.#start(node.name, node.role);
  }

  /** Endpoints that come and go are news for the other nodes. */
  hear({ type, action, node }: ClusterEvent): void {
    if (type === 'node') this.sockets.engine.at(this.sockets.engine.now, () => this.follow());
    const news = (type === 'network' && action.endsWith('connect')) || (type === 'container' && action === 'die');
    if (news && node) this.#speakers.get(node)?.gossip.spread(this.sockets.engine.now);
  }

  #start(name: string, role: 'manager' | 'worker'): void {
    const namespace = this.realized.namespaces.get(`${name}/host`);
    if (!namespace) return;
    const address = this.#addressOf(name);
    const draw = new Draw(this.seed ^ hashOf(name));
    const others = (): GossipPeer[] =>
      this.#members()
        .filter((one) => one.name !== name)
        .map((one) => ({ name: one.name, address: this.#addressOf(one.name) }));
    const managers = () =>
      this.#members()
        .filter((one) => one.role === 'manager')
        .map((one) => one.name);
    // The leader dials nobody: the others dial it.
    const dialled = () => (role === 'worker' ? managers() : managers().slice(0, 1)).map((one) => this.#addressOf(one));
    const dials = role === 'worker' || managers()[0] !== name;
    this.#speakers.set(name, {
      ...(role === 'manager' ? { listener: listenManagement(this.sockets, namespace, address, draw) } : {}),
      session: dials
        ? new ManagementSession(this.sockets, namespace, dialled, draw, role === 'worker' ? undefined : RAFT_TICK)
        : undefined,
      gossip: new GossipSpeaker(this.sockets, namespace, address, others, draw),
    });
  }

  #members() {
    return [...this.cluster.nodes.values()].filter(({ member }) => member);
  }

  /** Where the others reach it: what it advertises. */
  #addressOf(name: string): string {
    const advertised = this.cluster.node(name).spec.advertiseAddress;
    const node = this.realized.topology.nodes.find((one) => one.name === name);
    return advertised ?? hostPart(node?.nic.addresses[0] ?? '');
  }
}

/** Each node draws for itself, whoever else there is. */
function hashOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const character of name) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  return hash >>> 0;
}
