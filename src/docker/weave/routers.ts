/**
 * Weave's routers as the command `weave` runs them: dockerd knows nothing of them, and containers get ethwe beside what they have.
 * Who was told to connect to whom is kept here; peers that know each other by others are connected as well (weave mesh).
 */

import type { NodeContext } from '../../drivers/index.js';
import * as router from '../../drivers/weave-router.js';
import * as rules from '../../drivers/weave-rules.js';
import type { Device, Namespace } from '../../engine/index.js';
import { ipv4, ipv4Text, swap32 } from '../../engine/wire.js';
import type { ContainerState } from '../../swarm/state.js';
import { Draw } from '../../topology/draw.js';
import { randomMac } from '../../topology/mac.js';
import { holds, subnetOf } from '../../topology/pools.js';
import { hostPart } from '../../topology/topology.js';
import type { World } from '../world.js';

/** What it cannot do, in its words. */
export class WeaveError extends Error {}

/** A container on Weave's network. */
export interface Attached {
  container: ContainerState;
  device: Device;
}

interface Launched {
  nickname: string;
  /** As they were typed. */
  targets: Set<string>;
  range: string;
}

/** Sets the stream of draws for Weave's MACs apart from the others'. */
const STREAM = 0x776561;

export class Routers {
  readonly #launched = new Map<string, Launched>();
  readonly #linked = new Set<string>();
  /** Their bridge is there, and the containers on it. */
  readonly #stopped = new Set<string>();
  #draw: Draw | undefined;

  constructor(readonly world: World) {}

  #mac(): string {
    this.#draw ??= new Draw(this.world.cluster.options.seed ^ STREAM);
    return randomMac(this.#draw.next);
  }

  #at(node: string): NodeContext {
    return this.world.realized.context(node);
  }

  runs(node: string): boolean {
    return router.tunnelsOf(this.#at(node), node) !== undefined && !this.#stopped.has(node);
  }

  bridge(node: string): Device {
    const device = this.#at(node).host.devices.get(router.BRIDGE);
    if (!device) throw new WeaveError('weave is not running on this host; start it with "weave launch"');
    return device;
  }

  launch(node: string, targets: readonly string[], { nickname, range }: { nickname: string; range: string }): void {
    if (this.runs(node)) throw new WeaveError("weave is already running; you can stop it with 'weave stop'.");
    for (const target of targets) this.#nodeOf(target);
    if (!this.#at(node).host.devices.has(router.BRIDGE)) router.launch(this.#at(node), this.#mac(), router.MTU);
    this.#stopped.delete(node);
    this.#launched.set(node, { nickname, targets: new Set(targets), range });
    this.#reconcile();
  }

  /** The others lose their ways here; the bridge stays, and who is on it. */
  stop(node: string): void {
    if (!this.runs(node)) return;
    for (const other of router.routersBeside(this.#at(node))) router.disconnect(this.#at(node), other);
    for (const pair of [...this.#linked]) if (pair.split(' ').includes(node)) this.#linked.delete(pair);
    this.#launched.delete(node);
    this.#stopped.add(node);
    this.#reconcile();
  }

  /** The bridge goes too, and with it the ends of whoever is on it. */
  reset(node: string): void {
    this.stop(node);
    if (!this.#stopped.delete(node)) return;
    for (const { device } of this.attached(node)) router.unplug(device.namespace, device);
    router.halt(this.#at(node));
  }

  connect(node: string, target: string): void {
    this.bridge(node);
    this.#nodeOf(target);
    this.#record(node).targets.add(target);
    this.#reconcile();
  }

  forget(node: string, target: string): void {
    this.bridge(node);
    this.#record(node).targets.delete(target);
  }

  #record(node: string): Launched {
    const known = this.#launched.get(node);
    if (known) return known;
    // A network's driver has launched it: it knows all others of its kind.
    const made = { nickname: node, targets: new Set<string>(), range: router.POOL };
    for (const other of this.#byDriver()) if (other !== node) made.targets.add(this.#addressOf(other));
    this.#launched.set(node, made);
    return made;
  }

  #byDriver(): string[] {
    return this.world.topology.nodes
      .map(({ name }) => name)
      .filter((name) => this.runs(name) && !this.#launched.has(name));
  }

  #addressOf(node: string): string {
    return this.#at(node).vtepOf(node);
  }

  /** `192.168.99.111`, `192.168.99.111:6783`, `node2` */
  #nodeOf(target: string): string | undefined {
    const host = target.replace(/:\d+$/, '');
    const found = this.world.topology.nodes.find(({ name }) => name === host || this.#addressOf(name) === host)?.name;
    if (found === undefined && !/^\d+(?:\.\d+){3}$/.test(host)) throw new WeaveError(`lookup ${host}: no such host`);
    return found;
  }

  /** Connections as they follow from what everybody was told: whoever is reached by others is connected to as well. */
  #reconcile(): void {
    const running = this.world.topology.nodes.map(({ name }) => name).filter((name) => this.runs(name));
    const group = new Map(running.map((name) => [name, name]));
    const join = (a: string, b: string) => {
      const [from, to] = [group.get(a), group.get(b)];
      for (const [name, one] of group) if (one === from && to !== undefined) group.set(name, to);
    };
    const [first, ...rest] = this.#byDriver();
    if (first !== undefined) for (const other of rest) join(first, other);
    for (const [node, { targets }] of this.#launched)
      for (const target of targets) {
        const other = this.#nodeOf(target);
        if (other !== undefined && group.has(other)) join(node, other);
      }
    for (const [i, a] of running.entries())
      for (const b of running.slice(i + 1)) {
        const pair = `${a} ${b}`;
        if (!this.#launched.has(a) && !this.#launched.has(b)) continue;
        const together = group.get(a) === group.get(b);
        if (together === this.#linked.has(pair)) continue;
        router.disconnect(this.#at(a), b);
        if (together) router.connect(this.#at(a), b);
        if (together) this.#linked.add(pair);
        else this.#linked.delete(pair);
      }
  }

  // --- What is shown ---

  nickname(node: string): string {
    return this.#launched.get(node)?.nickname ?? node;
  }
  range(node: string): string {
    return this.#launched.get(node)?.range ?? router.POOL;
  }
  targets(node: string): string[] {
    return [...this.#record(node).targets];
  }
  name(node: string): string {
    return this.bridge(node).mac;
  }

  /** Peers that a router is connected to; `outward`: it was told to. */
  peers(node: string): { node: string; address: string; outward: boolean }[] {
    const others = router.routersBeside(this.#at(node));
    const driven = !this.#launched.has(node);
    return others
      .filter(
        (other) =>
          (driven && !this.#launched.has(other)) ||
          this.#linked.has(`${node} ${other}`) ||
          this.#linked.has(`${other} ${node}`),
      )
      .map((other) => ({
        node: other,
        address: this.#addressOf(other),
        outward: this.targets(node).some((target) => this.#nodeOf(target) === other),
      }));
  }

  // --- Containers ---

  /** Containers of a node that have ethwe. */
  attached(node: string): Attached[] {
    return [...this.world.cluster.containers.values()].flatMap((container) => {
      const device = container.node === node ? this.#deviceOf(container) : undefined;
      return device ? [{ container, device }] : [];
    });
  }

  #namespaceOf(container: ContainerState): Namespace | undefined {
    return this.world.computerOf(container)?.namespace;
  }
  #deviceOf(container: ContainerState): Device | undefined {
    return this.#namespaceOf(container)?.devices.get(router.INTERFACE);
  }

  attach(node: string, container: ContainerState, cidrs: readonly string[]): string[] {
    const { host } = this.#at(node);
    const bridge = this.bridge(node);
    const namespace = this.#namespaceOf(container);
    if (!namespace) throw new WeaveError(`container ${container.name} not running`);
    if (namespace === host)
      throw new WeaveError(
        `Container ${container.name} is running in the host network namespace, and therefore cannot be connected to weave`,
      );
    const known = namespace.devices.get(router.INTERFACE);
    const device =
      known ??
      router.plugIn(host, namespace, {
        outside: router.portName(container.id),
        mac: this.#mac(),
        peerMac: this.#mac(),
        mtu: bridge.mtu,
      });
    const wanted = cidrs.length > 0 ? cidrs : known ? cidrsOf(known) : [this.#free(node)];
    for (const cidr of wanted) {
      if (cidrsOf(device).includes(cidr)) continue;
      namespace.addAddress(device, cidr);
      router.admit(namespace, device, subnetOf(cidr), cidr);
    }
    if (!known) namespace.addRoute(router.MULTICAST, device);
    return [...wanted];
  }

  detach(node: string, container: ContainerState, cidrs: readonly string[]): string[] {
    this.bridge(node);
    const [namespace, device] = [this.#namespaceOf(container), this.#deviceOf(container)];
    if (!namespace || !device) return [];
    const gone = cidrs.length > 0 ? cidrsOf(device).filter((one) => cidrs.includes(one)) : cidrsOf(device);
    for (const cidr of gone) {
      router.dismiss(namespace, device, subnetOf(cidr));
      namespace.removeAddress(device, cidr);
    }
    if (cidrsOf(device).length === 0) router.unplug(namespace, device);
    return gone;
  }

  /** `weave expose`: the node itself gets an address on the bridge, and others reach the network by it. */
  expose(node: string, cidr: string | undefined): string {
    const { host } = this.#at(node);
    const bridge = this.bridge(node);
    const own = cidr ?? cidrsOf(bridge)[0] ?? this.#free(node);
    if (cidrsOf(bridge).includes(own)) return own;
    host.addAddress(bridge, own);
    rules.expose(host, subnetOf(own));
    router.announce(host, bridge, own);
    return own;
  }

  hide(node: string, cidr: string | undefined): string[] {
    const { host } = this.#at(node);
    const bridge = this.bridge(node);
    const gone = cidrsOf(bridge).filter((one) => cidr === undefined || one === cidr);
    for (const one of gone) {
      rules.hide(host, subnetOf(one));
      host.removeAddress(bridge, one);
    }
    return gone;
  }

  /** The lowest address of the range that nobody has on any node. */
  #free(node: string): string {
    const range = this.range(node);
    const taken = new Set(
      [...this.world.engine.devices]
        .filter(({ name }) => name === router.INTERFACE || name === router.BRIDGE)
        .flatMap(({ addresses }) => addresses.map(({ address }) => address)),
    );
    const text = (number: number) => ipv4Text(swap32(number));
    for (let next = swap32(ipv4(hostPart(range))) + 1; holds(range, text(next)); next++)
      if (!taken.has(text(next))) return `${text(next)}/${range.split('/')[1]}`;
    throw new WeaveError(`no address is left in ${range}`);
  }
}

function cidrsOf({ addresses }: Device): string[] {
  return addresses.filter(({ address }) => !address.includes(':')).map(({ address, length }) => `${address}/${length}`);
}
