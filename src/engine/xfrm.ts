/** IPsec of a namespace, as `ip xfrm` has it: security associations, outbound policies, the counters of /proc/net/xfrm_stat. */

import type { Engine } from './engine.js';
import {
  Association as Layout,
  Namespace as NamespaceLayout,
  Policy as PolicyLayout,
  XfrmStat,
} from './generated/layout.js';
import type { Namespace } from './namespace.js';
import { port, swap32 } from './wire.js';
import { tableAddress, tableAddressText } from './wire6.js';

export interface AssociationSpec {
  source: string;
  destination: string;
  spi: number;
  reqid: number;
  /** Key of 16 bytes and salt of 4. */
  key: Uint8Array;
  /** The last sequence number sent; 0 without it. */
  sequence?: number;
}

export interface PolicySpec {
  source: string;
  destination: string;
  protocol: number;
  /** Destination port. */
  port: number;
  mark: number;
  markMask: number;
  template: { source: string; destination: string; spi: number; reqid: number };
}

/** A security association: ESP, transport mode, rfc4106(gcm(aes)) with an ICV of 64 bits, replay-window 0. */
export class Association {
  constructor(
    readonly engine: Engine,
    readonly at: number,
  ) {}
  #get(field: Exclude<keyof typeof Layout, 'size'>): number {
    return this.engine.memory.get(this.at, Layout[field]);
  }
  get id(): number {
    return this.#get('id');
  }
  get source(): string {
    return tableAddressText(this.engine.memory, this.#get('source'), this.v6);
  }
  get destination(): string {
    return tableAddressText(this.engine.memory, this.#get('destination'), this.v6);
  }
  /** Between IPv6 addresses. */
  get v6(): boolean {
    return this.#get('v6') !== 0;
  }
  get spi(): number {
    return swap32(this.#get('spi'));
  }
  get reqid(): number {
    return this.#get('reqid');
  }
  /** Key and salt. */
  get key(): Uint8Array {
    const at = this.at + Layout.key0.at;
    return this.engine.memory.bytes.slice(at, at + 20);
  }
  /** The last sequence number sent. */
  get sequence(): number {
    return this.#get('sequence');
  }
  set sequence(last: number) {
    this.engine.memory.set(this.at, Layout.sequence, last);
  }
  get bytes(): number {
    return this.#get('bytes');
  }
  get packets(): number {
    return this.#get('packets');
  }
  /** Virtual time, ns. */
  get added(): number {
    return this.#get('added');
  }
  /** Of the first packet; undefined: none yet. */
  get used(): number | undefined {
    return this.#get('inUse') > 0 ? this.#get('used') : undefined;
  }
  get integrityFailed(): number {
    return this.#get('integrityFailed');
  }
}

export class Xfrm {
  constructor(
    readonly engine: Engine,
    readonly namespace: Namespace,
  ) {}

  /** Throws where there is one with that destination and SPI. */
  addAssociation({ source, destination, spi, reqid, key, sequence = 0 }: AssociationSpec): Association {
    if (key.length !== 20) throw new RangeError(`a key of 16 bytes and a salt of 4 make 20 bytes, not ${key.length}`);
    const { engine } = this;
    const time = BigInt(Math.round(engine.now));
    const made = engine.exports.addAssociation(
      this.namespace.at,
      source.includes(':'),
      tableAddress(engine.exports, source),
      tableAddress(engine.exports, destination),
      swap32(spi),
      reqid,
      time,
    );
    if (!made)
      throw new Error(`${this.namespace.name} has an association to ${destination} with SPI ${hex(spi)} already`);
    const at = made >>> 0;
    engine.memory.bytes.set(key, at + Layout.key0.at);
    engine.memory.set(at, Layout.sequence, sequence);
    engine.espKeys.push({ source, destination, spi, key: Uint8Array.from(key) });
    return new Association(engine, at);
  }

  association(destination: string, spi: number): Association | undefined {
    return this.associations.find((one) => one.destination === destination && one.spi === spi);
  }

  removeAssociation(association: Association): void {
    this.engine.ciphers.forget(association.id);
    this.engine.exports.removeAssociation(association.at);
  }

  /** As `ip xfrm state` lists them: the newest first. */
  get associations(): Association[] {
    const { engine, namespace } = this;
    const found: Association[] = [];
    let at = engine.memory.get(namespace.at, NamespaceLayout.associations);
    for (; at; at = engine.memory.get(at, Layout.next)) found.push(new Association(engine, at));
    return found;
  }

  /** An outbound policy between two addresses; one with the same selector and mark is replaced. */
  setPolicy({ source, destination, protocol, port: number, mark, markMask, template }: PolicySpec): void {
    const { exports } = this.engine;
    exports.setPolicy(
      this.namespace.at,
      source.includes(':'),
      tableAddress(exports, source),
      tableAddress(exports, destination),
      protocol,
      port(number),
      mark,
      markMask,
      0,
      tableAddress(exports, template.source),
      tableAddress(exports, template.destination),
      swap32(template.spi),
      template.reqid,
    );
  }

  /** As `ip xfrm policy` lists them: the newest first. */
  get policies(): PolicySpec[] {
    return this.#policies().map(({ spec }) => spec);
  }

  removePolicy(source: string, destination: string): void {
    for (const { at, spec } of this.#policies()) {
      if (spec.source === source && spec.destination === destination) this.engine.exports.removePolicy(at);
    }
  }

  #policies(): { at: number; spec: PolicySpec }[] {
    const { memory } = this.engine;
    const L = PolicyLayout;
    const found: { at: number; spec: PolicySpec }[] = [];
    let at = memory.get(this.namespace.at, NamespaceLayout.policies);
    for (; at; at = memory.get(at, L.next)) {
      const v6 = memory.get(at, L.v6) !== 0;
      const text = (value: number) => tableAddressText(memory, value, v6);
      found.push({
        at,
        spec: {
          source: text(memory.get(at, L.source)),
          destination: text(memory.get(at, L.destination)),
          protocol: memory.get(at, L.protocol),
          port: port(memory.get(at, L.port)),
          mark: memory.get(at, L.mark),
          markMask: memory.get(at, L.markMask),
          template: {
            source: text(memory.get(at, L.templateSource)),
            destination: text(memory.get(at, L.templateDestination)),
            spi: swap32(memory.get(at, L.spi)),
            reqid: memory.get(at, L.reqid),
          },
        },
      });
    }
    return found;
  }

  /** By the names of /proc/net/xfrm_stat, in its order. */
  get statistics(): Map<string, number> {
    const { memory } = this.engine;
    const at = memory.get(this.namespace.at, NamespaceLayout.xfrmStatistics);
    const names = Object.entries(XfrmStat).filter(([name]) => name !== 'COUNT');
    return new Map(names.map(([name, index]) => [name, at ? memory.view.getUint32(at + index * 4, true) : 0]));
  }
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
