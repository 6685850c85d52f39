/**
 * The words for what hops changed: notes of the engine's trace, with the names of the rules, destinations and devices that
 * they refer to. Words are iptables', ipvsadm's and iproute2's.
 *
 *   nat DOCKER-INGRESS: DNAT 192.168.99.110:1080 → 172.18.0.2:1080
 *   conntrack: un-DNAT 172.18.0.2:1080 → 192.168.99.110:1080 (nat DOCKER-INGRESS)
 *
 * They are to be found as records are drained, before a later call takes the rule away.
 */

import { Note, NoteFamily } from '../engine/generated/layout.js';
import type { Chain, Destination, Device, Engine, Namespace, Rule } from '../engine/index.js';
import { ipv4Text, port } from '../engine/wire.js';
import { addressOf, tableAddressText } from '../engine/wire6.js';
import type { TraceNote } from './trace.js';

export type ChangeKind =
  | 'DNAT'
  | 'SNAT'
  | 'REDIRECT'
  | 'MASQUERADE'
  | 'MARK'
  | 'IPVS'
  | 'TTL'
  | 'VXLAN'
  | 'VLAN'
  | 'ARP'
  | 'FRAGMENT'
  | 'ESP';

/** What one hop changed. */
export interface Change {
  what: ChangeKind;
  /** Where: `node1/ingress_sbox`; undefined when what did it has been removed since. */
  namespace: string | undefined;
  /** Which table entry did it: `nat DOCKER-INGRESS`, `FWM 256 rr`; a device's name for VXLAN. */
  by: string;
  /** `172.18.0.2:1080`, `0x0`, `64`. Empty where there is nothing to say. */
  before: string;
  after: string;
  /** The reply of a translated connection, changed back. */
  reply: boolean;
  /** The change in one line, as a packet comment has it. */
  words: string;
}

/** A member of `Note`, without the family of its addresses. */
function kindOf({ kind }: TraceNote): number {
  return kind & ~NoteFamily.V6;
}

export class Comments {
  readonly #engine: Engine;
  readonly #namespaceOfChain = new Map<Chain, Namespace>();
  readonly #namespaceOfDestination = new Map<Destination, Namespace>();
  readonly #devices = new Map<number, Device>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /**
   * The comment for a frame that was captured at `tap`, or undefined when nothing changed it. A change in another namespace
   * than the tap's (a device between them has no tap) says where it was.
   */
  text(notes: readonly TraceNote[], tap: Device | undefined): string | undefined {
    if (notes.length === 0) return undefined;
    return notes
      .map((note) => {
        const { words, what, namespace } = this.change(note);
        // A frame leaves its namespace in a tunnel by design, and the VNI names it.
        const elsewhere = what !== 'VXLAN' && namespace !== undefined && namespace !== tap?.namespace.name;
        return elsewhere ? `${namespace}: ${words}` : words;
      })
      .join('; ');
  }

  change(note: TraceNote): Change {
    switch (kindOf(note)) {
      case Note.DNAT:
      case Note.SNAT:
      case Note.UN_DNAT:
      case Note.UN_SNAT:
        return this.#nat(note);
      case Note.MARK:
        return this.#mark(note);
      case Note.IPVS:
      case Note.UN_IPVS:
        return this.#balanced(note);
      case Note.FORWARD:
        return this.#forwarded(note);
      case Note.ENCAPSULATE:
      case Note.DECAPSULATE:
      case Note.PROXY_ARP:
        return this.#tunnelled(note);
      case Note.FRAGMENT:
      case Note.REASSEMBLE:
        return this.#fragmented(note);
      case Note.TAG:
      case Note.UNTAG:
        return this.#tagged(note);
      case Note.SEAL:
      case Note.OPEN:
        return this.#transformed(note);
      default:
        throw new Error(`the engine noted a change of unknown kind ${note.kind}`);
    }
  }

  #nat(note: TraceNote): Change {
    const kind = kindOf(note);
    const reply = kind === Note.UN_DNAT || kind === Note.UN_SNAT;
    const rule = this.#engine.rules.get(note.reference);
    const what = natKind(kind, rule);
    const { memory } = this.#engine;
    const place = (address: number, portNumber: number) =>
      note.kind & NoteFamily.V6 ? endpoint6(addressOf(memory, address), portNumber) : endpoint(address, portNumber);
    const before = place(note.before, note.beforePort);
    const after = place(note.after, note.afterPort);
    // Without a rule, a connection still gets another port when its tuple is taken (nf_nat_alloc_null_binding).
    const by = rule ? ruleName(rule) : 'nat, no rule: its tuple was taken';
    const same = what === 'REDIRECT' && note.before === note.after && note.afterPort !== 0;
    // A redirect that keeps the address shows the ports alone: `10.0.0.5:1080 → :80`.
    const shown = { before, after: same ? `:${port(note.afterPort)}` : after };
    const words = reply
      ? `conntrack: un-${what} ${before} → ${after} (${by})`
      : `${by}: ${what} ${shown.before} → ${shown.after}`;
    return { what, namespace: rule && this.#namespaceOfRule(rule), by, before, after, reply, words };
  }

  #mark(note: TraceNote): Change {
    const rule = this.#engine.rules.get(note.reference);
    const by = rule ? ruleName(rule) : 'mangle';
    const before = hexadecimal(note.before);
    const after = hexadecimal(note.after);
    const namespace = rule && this.#namespaceOfRule(rule);
    return { what: 'MARK', namespace, by, before, after, reply: false, words: `${by}: MARK ${before} → ${after}` };
  }

  #balanced(note: TraceNote): Change {
    const reply = note.kind === Note.UN_IPVS;
    const destination = this.#engine.destinations.get(note.reference);
    const by = destination ? serviceName(destination) : 'a removed service';
    const before = endpoint(note.before, note.beforePort);
    const after = endpoint(note.after, note.afterPort);
    const namespace = destination && this.#namespaceOf(destination);
    const words = `ipvs ${by}: ${reply ? 'reply ' : ''}${before} → ${after}${reply ? '' : ' (Masq)'}`;
    return { what: 'IPVS', namespace, by, before, after, reply, words };
  }

  #forwarded(note: TraceNote): Change {
    const namespace = this.#device(note)?.namespace.name;
    const before = String(note.before);
    const after = String(note.after);
    return {
      what: 'TTL',
      namespace,
      by: 'forward',
      before,
      after,
      reply: false,
      words: `forward: TTL ${before} → ${after}`,
    };
  }

  #tunnelled(note: TraceNote): Change {
    const device = this.#device(note);
    const by = device?.name ?? 'vxlan';
    const from = this.#address(note, note.before);
    const to = this.#address(note, note.after);
    const shared = { namespace: device?.namespace.name, by, reply: false };
    const vni = `VNI ${note.reference}`;
    switch (kindOf(note)) {
      case Note.ENCAPSULATE:
        return { ...shared, what: 'VXLAN', before: '', after: to, words: `${by}: encapsulated, ${vni}, to ${to}` };
      case Note.DECAPSULATE:
        return {
          ...shared,
          what: 'VXLAN',
          before: from,
          after: '',
          words: `${by}: decapsulated, ${vni}, from ${from}`,
        };
      default: {
        const words = `${by}: ARP answered for ${to} from the neighbour table`;
        return { ...shared, what: 'ARP', before: '', after: to, words };
      }
    }
  }

  #fragmented(note: TraceNote): Change {
    const words = note.kind === Note.FRAGMENT ? 'fragmented' : 'put together from its fragments';
    const namespace = this.#device(note)?.namespace.name;
    return { what: 'FRAGMENT', namespace, by: 'ip', before: '', after: '', reply: false, words: `ip: ${words}` };
  }

  #transformed(note: TraceNote): Change {
    const namespace = this.#device(note)?.namespace.name;
    const peer = this.#address(note, note.after);
    const spi = `SPI 0x${note.reference.toString(16).padStart(8, '0')}, sequence ${note.before}`;
    const shared = { namespace, by: 'xfrm', reply: false };
    return kindOf(note) === Note.SEAL
      ? { ...shared, what: 'ESP', before: '', after: peer, words: `xfrm: sealed in ESP, ${spi}, to ${peer}` }
      : { ...shared, what: 'ESP', before: peer, after: '', words: `xfrm: out of ESP, ${spi}, from ${peer}` };
  }

  #tagged(note: TraceNote): Change {
    const device = this.#device(note);
    const by = device?.name ?? 'vlan';
    const vid = String(note.reference);
    const on = note.kind === Note.TAG;
    return {
      what: 'VLAN',
      namespace: device?.namespace.name,
      by,
      before: on ? '' : vid,
      after: on ? vid : '',
      reply: false,
      words: `${by}: ${on ? 'tagged' : 'tag taken off'}, VLAN ${vid}`,
    };
  }

  #address({ kind }: TraceNote, value: number): string {
    return tableAddressText(this.#engine.memory, value, (kind & NoteFamily.V6) !== 0);
  }

  #device({ device: id }: TraceNote): Device | undefined {
    if (id === 0) return undefined;
    let device = this.#devices.get(id);
    if (!device) {
      device = this.#engine.devices.find((one) => one.id === id);
      if (device) this.#devices.set(id, device);
    }
    return device;
  }

  #namespaceOfRule({ chain }: Rule): string | undefined {
    let namespace = this.#namespaceOfChain.get(chain);
    if (!namespace) {
      namespace = this.#find(({ iptables, ip6tables }) =>
        [iptables, ip6tables].some(({ chains }) => chains[chain.table].get(chain.name) === chain),
      );
      if (namespace) this.#namespaceOfChain.set(chain, namespace);
    }
    return namespace?.name;
  }

  #namespaceOf(destination: Destination): string | undefined {
    let namespace = this.#namespaceOfDestination.get(destination);
    if (!namespace) {
      namespace = this.#find(({ ipvs }) => ipvs.services.includes(destination.service));
      if (namespace) this.#namespaceOfDestination.set(destination, namespace);
    }
    return namespace?.name;
  }

  #find(holds: (namespace: Namespace) => boolean): Namespace | undefined {
    for (const namespace of this.#engine.namespaces.values()) if (holds(namespace)) return namespace;
    return undefined;
  }
}

/** REDIRECT and MASQUERADE are kinds of DNAT and SNAT that a rule may ask for. */
function natKind(kind: number, rule: Rule | undefined): 'DNAT' | 'SNAT' | 'REDIRECT' | 'MASQUERADE' {
  const target = rule?.spec.target;
  if (target === 'REDIRECT' || target === 'MASQUERADE') return target;
  return kind === Note.DNAT || kind === Note.UN_DNAT ? 'DNAT' : 'SNAT';
}

/** Port 0: the protocol has none. */
function endpoint(address: number, portNumber: number): string {
  return portNumber === 0 ? ipv4Text(address) : `${ipv4Text(address)}:${port(portNumber)}`;
}

function endpoint6(address: string, portNumber: number): string {
  return portNumber === 0 ? address : `[${address}]:${port(portNumber)}`;
}

function hexadecimal(mark: number): string {
  return `0x${mark.toString(16)}`;
}

function ruleName({ chain }: Rule): string {
  return `${chain.table} ${chain.name}`;
}

/** As `ipvsadm -Ln` names it. */
function serviceName({ service: { key } }: Destination): string {
  return 'mark' in key ? `FWM ${key.mark} rr` : `${key.protocol.toUpperCase()} ${key.address}:${key.port} rr`;
}
