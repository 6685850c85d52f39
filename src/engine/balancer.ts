/** IPVS of one namespace: virtual services by firewall mark or address, and their destinations. */

import type { Engine } from './engine.js';
import { Destination as DestinationLayout, Service as ServiceLayout } from './generated/layout.js';
import type { Namespace } from './namespace.js';
import { PROTOCOLS } from './rules.js';
import { ipv4, port } from './wire.js';

export type VirtualServiceKey = { mark: number } | { protocol: 'tcp' | 'udp'; address: string; port: number };

export class Destination {
  constructor(
    readonly service: VirtualService,
    readonly address: string,
    readonly port: number,
    readonly weight: number,
    readonly at: number,
  ) {}
  get id(): number {
    return this.service.engine.memory.get(this.at, DestinationLayout.id);
  }
  /** Field values as `ipvsadm -Ln --stats` shows them. */
  get counters(): Record<
    'active' | 'inactive' | 'connections' | 'inPackets' | 'outPackets' | 'inBytes' | 'outBytes',
    number
  > {
    const { memory } = this.service.engine;
    const get = (name: 'active' | 'inactive' | 'connections' | 'inPackets' | 'outPackets' | 'inBytes' | 'outBytes') =>
      memory.get(this.at, DestinationLayout[name]);
    return {
      active: get('active'),
      inactive: get('inactive'),
      connections: get('connections'),
      inPackets: get('inPackets'),
      outPackets: get('outPackets'),
      inBytes: get('inBytes'),
      outBytes: get('outBytes'),
    };
  }
  set weightNow(weight: number) {
    this.service.engine.memory.set(this.at, DestinationLayout.weight, weight);
  }
  /** With expire_nodest_conn its connections go with it. Nothing is done if it is gone already, it or its service. */
  remove(): void {
    const { engine, namespace, destinations } = this.service;
    const index = destinations.indexOf(this);
    if (index < 0) return;
    engine.drain();
    engine.destinations.delete(this.id);
    destinations.splice(index, 1);
    engine.exports.withdrawDestination(namespace.at, this.at);
  }
}

export class VirtualService {
  /** In the kernel's list order: the last one added first. */
  readonly destinations: Destination[] = [];
  constructor(
    readonly engine: Engine,
    readonly namespace: Namespace,
    readonly key: VirtualServiceKey,
    readonly at: number,
  ) {}

  /** Port 0 keeps the packet's. */
  add(address: string, { port: number = 0, weight = 1 }: { port?: number; weight?: number } = {}): Destination {
    const at = this.engine.exports.addDestination(this.at, ipv4(address), port(number), weight);
    const destination = new Destination(this, address, number, weight, at);
    this.destinations.unshift(destination);
    this.engine.noteDestination(destination);
    return destination;
  }

  /** Round robin goes on after this one, as if it had been chosen last. */
  setLast(destination: Destination | undefined): void {
    this.engine.memory.set(this.at, ServiceLayout.last, destination?.at ?? 0);
  }
}

export class Ipvs {
  readonly services: VirtualService[] = [];
  constructor(
    readonly engine: Engine,
    readonly namespace: Namespace,
  ) {}

  add(key: VirtualServiceKey): VirtualService {
    const { exports } = this.engine;
    const at =
      'mark' in key
        ? exports.addService(this.namespace.id, 0, key.mark, 0)
        : exports.addService(this.namespace.id, PROTOCOLS[key.protocol], ipv4(key.address), port(key.port));
    this.namespace.set('ipvs', 1);
    const service = new VirtualService(this.engine, this.namespace, key, at);
    this.services.push(service);
    return service;
  }

  find(mark: number): VirtualService | undefined {
    return this.services.find((service) => 'mark' in service.key && service.key.mark === mark);
  }

  /** Its destinations and connections go with it. Nothing is done if it is gone already. */
  remove(service: VirtualService): void {
    const index = this.services.indexOf(service);
    if (index < 0) return;
    this.engine.drain();
    for (const destination of service.destinations.splice(0)) this.engine.destinations.delete(destination.id);
    this.services.splice(index, 1);
    this.engine.exports.withdrawService(this.namespace.at, service.at);
  }
}
