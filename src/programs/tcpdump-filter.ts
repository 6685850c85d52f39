/**
 * Capture filters (`man pcap-filter`) as far as guides use them: icmp, arp, ip, ip6, tcp, udp, esp, vlan, [src|dst] host, net,
 * port, `proto N`, and, or, not, parentheses. As with the real ones, addresses and ports are those of the outermost headers.
 */

import { type Layer, layersOf } from '../dissect/layers.js';
import { ipv4, ipv6 } from '../dissect/notation.js';

export type Filter = (frame: Uint8Array) => boolean;

interface Outer {
  layers: readonly Layer[];
  protocol: number | undefined;
  source: string;
  destination: string;
  ports: { source: number; destination: number } | undefined;
  transport: string | undefined;
}

type Test = (outer: Outer) => boolean;

/** @throws Error that names what is not understood. */
export function readFilter(text: string): Filter {
  const words = text
    .replaceAll(/([()!])/g, ' $1 ')
    .replaceAll('&&', ' and ')
    .replaceAll('||', ' or ')
    .split(/\s+/)
    .filter((word) => word !== '');
  if (words.length === 0) return () => true;
  const parser = new Parser(words);
  const test = parser.or();
  if (!parser.done) throw new Error(`can't parse filter expression: unexpected "${parser.next}"`);
  return (frame) => test(outerOf(frame));
}

class Parser {
  #at = 0;
  constructor(private readonly words: readonly string[]) {}

  get done(): boolean {
    return this.#at >= this.words.length;
  }
  get next(): string {
    return this.words[this.#at] ?? '';
  }
  #take(): string {
    if (this.done) throw new Error("can't parse filter expression: it ends too early");
    return this.words[this.#at++] ?? '';
  }

  or(): Test {
    const tests = [this.#and()];
    while (this.next === 'or') {
      this.#take();
      tests.push(this.#and());
    }
    return tests.length === 1 ? (tests[0] as Test) : (outer) => tests.some((test) => test(outer));
  }

  #and(): Test {
    const tests = [this.#not()];
    while (this.next === 'and') {
      this.#take();
      tests.push(this.#not());
    }
    return tests.length === 1 ? (tests[0] as Test) : (outer) => tests.every((test) => test(outer));
  }

  #not(): Test {
    if (this.next === 'not' || this.next === '!') {
      this.#take();
      const test = this.#not();
      return (outer) => !test(outer);
    }
    if (this.next === '(') {
      this.#take();
      const test = this.or();
      if (this.#take() !== ')') throw new Error("can't parse filter expression: a parenthesis is missing");
      return test;
    }
    return this.#primitive();
  }

  #primitive(): Test {
    const word = this.#take();
    const protocol = PROTOCOLS[word];
    if (protocol) {
      // `tcp port 80`, `icmp`
      if (['port', 'src', 'dst', 'host'].includes(this.next)) {
        const rest = this.#primitive();
        return (outer) => protocol(outer) && rest(outer);
      }
      return protocol;
    }
    if (word === 'proto') {
      const number = Number(this.#take().replaceAll('\\', ''));
      return (outer) => outer.protocol === number;
    }
    const side = word === 'src' || word === 'dst' ? word : undefined;
    let kind = word;
    if (side) kind = ['host', 'net', 'port'].includes(this.next) ? this.#take() : 'host';
    if (!['host', 'net', 'port'].includes(kind)) {
      if (/^[\d.]+$/.test(kind)) return this.#compare('host', kind, undefined);
      throw new Error(`can't parse filter expression: "${word}" is not understood here`);
    }
    return this.#compare(kind, this.#take(), side);
  }

  #compare(kind: string, value: string, side: 'src' | 'dst' | undefined): Test {
    const either = (source: boolean, destination: boolean) =>
      side === 'src' ? source : side === 'dst' ? destination : source || destination;
    if (kind === 'port') {
      const port = SERVICES[value] ?? Number(value);
      if (!Number.isInteger(port)) throw new Error(`unknown port '${value}'`);
      return ({ ports }) => ports !== undefined && either(ports.source === port, ports.destination === port);
    }
    if (kind === 'net') {
      const [address = '', length = '32'] = value.split('/');
      const bits = length === '0' ? 0 : (0xffffffff << (32 - Number(length))) >>> 0;
      const wanted = (number(address) & bits) >>> 0;
      const within = (text: string) => /^[\d.]+$/.test(text) && (number(text) & bits) >>> 0 === wanted;
      return ({ source, destination }) => either(within(source), within(destination));
    }
    return ({ source, destination }) => either(source === value, destination === value);
  }
}

const SERVICES: Record<string, number> = { domain: 53, http: 80, https: 443, ssh: 22 };

const PROTOCOLS: Record<string, Test> = {
  icmp: ({ protocol }) => protocol === 1,
  tcp: ({ protocol }) => protocol === 6,
  udp: ({ protocol }) => protocol === 17,
  esp: ({ protocol }) => protocol === 50,
  icmp6: ({ protocol }) => protocol === 58,
  arp: ({ layers }) => layers.some(({ name }) => name === 'arp'),
  ip: ({ layers }) => layers.some(({ name, depth }) => name === 'ip' && depth === 0),
  ip6: ({ layers }) => layers.some(({ name, depth }) => name === 'ipv6' && depth === 0),
  vlan: ({ layers }) => layers.some(({ name, depth }) => name === 'vlan' && depth === 0),
};

function outerOf(frame: Uint8Array): Outer {
  const layers = layersOf(frame);
  const outer = layers.filter(({ depth, quoted }) => depth === 0 && !quoted);
  const ip = outer.find(({ name }) => name === 'ip' || name === 'ipv6');
  const arp = outer.find(({ name }) => name === 'arp');
  const transport = outer.find(({ name }) => name === 'tcp' || name === 'udp');
  const six = ip?.name === 'ipv6';
  return {
    layers,
    protocol: ip && (six ? lastHeader(outer, frame, ip) : frame[ip.start + 9]),
    source: ip
      ? six
        ? ipv6(frame, ip.start + 8)
        : ipv4(frame, ip.start + 12)
      : arp
        ? ipv4(frame, arp.start + 14)
        : '',
    destination: ip
      ? six
        ? ipv6(frame, ip.start + 24)
        : ipv4(frame, ip.start + 16)
      : arp
        ? ipv4(frame, arp.start + 24)
        : '',
    ports: transport && {
      source: ((frame[transport.start] ?? 0) << 8) | (frame[transport.start + 1] ?? 0),
      destination: ((frame[transport.start + 2] ?? 0) << 8) | (frame[transport.start + 3] ?? 0),
    },
    transport: transport?.name,
  };
}

const NUMBERS: Record<string, number> = { icmpv6: 58, tcp: 6, udp: 17, esp: 50 };

function lastHeader(outer: readonly Layer[], frame: Uint8Array, ip: Layer): number | undefined {
  const after = outer.find(({ name }) => NUMBERS[name] !== undefined);
  return after ? NUMBERS[after.name] : frame[ip.start + 6];
}

function number(address: string): number {
  return address.split('.').reduce((sum, part) => ((sum << 8) | Number(part)) >>> 0, 0);
}
