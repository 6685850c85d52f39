/**
 * The server that dockerd runs in a container's namespace at 127.0.0.11 (libnetwork resolver.go): it answers for the names
 * of the container's networks, and hands on whatever else it is asked. Its ports are random; NAT in the namespace leads
 * port 53 there.
 */

import type { Namespace, Sockets } from '../engine/index.js';
import type { Sandbox, Topology } from '../topology/topology.js';
import type { Behaviour } from './behaviour.js';
import { type ContainerFiles, EMBEDDED, type Upstream } from './files.js';
import { exchange } from './forward.js';
import { type Counts, count, type DnsListener, listenDns, type Transport } from './listener.js';
import {
  type Answer,
  FLAG,
  lengthOf,
  type Query,
  RCODE,
  type Response,
  readResponse,
  repacked,
  reply,
  TCP_SIZE,
  UDP_SIZE,
} from './message.js';
import * as names from './names.js';

const SECOND = 1_000_000_000;
/** Lifetime of a record, in seconds. */
const TTL = 600;
const UPSTREAM_PATIENCE = 4 * SECOND;
/** Queries that may be under way to upstream servers at once. */
const MOST_FORWARDED = 1024;
const V4_DOMAIN = '.in-addr.arpa';
const V6_DOMAIN = '.ip6.arpa';

export interface ResolverWorld {
  sockets: Sockets;
  topology: Topology;
  behaviour: Behaviour;
  /** A random number below `limit`. */
  below: (limit: number) => number;
  /** The sandbox' files as they are now: they name the upstream servers. */
  files: () => ContainerFiles;
  /** The node's own namespace. */
  host: Namespace;
}

type Done = (reply: Uint8Array | undefined, at: number) => void;

export class Resolver {
  /** What was not answered, and messages that were no queries, by reason. */
  readonly counts: Counts = new Map();
  readonly #listener: DnsListener;
  #forwarded = 0;
  /** Queries that wait for one of those under way to end. */
  readonly #queue: (() => void)[] = [];

  constructor(
    readonly world: ResolverWorld,
    readonly sandbox: Sandbox,
    readonly namespace: Namespace,
    ports: { udp: number; tcp: number },
  ) {
    this.#listener = listenDns(
      world.sockets,
      namespace,
      { address: EMBEDDED, ...ports, counts: this.counts },
      (query, transport, time, done) => this.#serve(query, transport, time, done),
    );
  }

  close(): void {
    this.#listener.close();
  }

  #serve(query: Query, transport: Transport, time: number, done: Done): void {
    const at = this.world.sockets.after(time);
    const local = this.#local(query);
    if (local === 'refused') {
      done(this.world.behaviour.answersFailures ? reply(query, { rcode: RCODE.SERVFAIL }) : undefined, at);
      return;
    }
    if (local) {
      done(this.#fitted(query, local, transport), at);
      return;
    }
    const { ndotsSet, upstreams } = this.world.files();
    // With ndots set the client tries its search domains itself; the bare name is not for others.
    if (ndotsSet && isAddressQuery(query) && !query.name.includes('.')) {
      done(reply(query, { flags: FLAG.RA }), at);
      return;
    }
    this.#forward(query, transport, upstreams, at, done);
  }

  /** The records that this server itself has for it; undefined: others may know. */
  #local(query: Query): Answer[] | 'refused' | undefined {
    const { topology, behaviour } = this.world;
    if (!query.plain) return undefined;
    const find = (family: 4 | 6) => names.resolve(topology, this.sandbox, query.name, family, behaviour.emptyIsKnown);
    switch (query.type) {
      case 'A':
      case 'AAAA': {
        const { known, addresses } = find(query.type === 'A' ? 4 : 6);
        if (!known) return undefined;
        const type = query.type;
        return this.#shuffled(addresses).map((data) => ({ name: query.name, type, ttl: TTL, class: 'IN', data }));
      }
      case 'MX':
        // A name without mail servers of its own is its own mail server (RFC 5321, section 5.1).
        return [4, 6].some((family) => find(family as 4 | 6).addresses.length > 0) ? [] : undefined;
      case 'PTR': {
        const domain = [V4_DOMAIN, V6_DOMAIN].find((suffix) => query.name.endsWith(suffix));
        if (!domain) return behaviour.foreignPtrIsForwarded ? undefined : 'refused';
        const data = names.reverse(topology, this.sandbox, query.name.slice(0, -domain.length));
        return data === undefined ? undefined : [{ name: query.name, type: 'PTR', ttl: TTL, class: 'IN', data }];
      }
      default:
        return undefined;
    }
  }

  /** Fisher and Yates' shuffle, from the last one down. */
  #shuffled(addresses: string[]): string[] {
    const all = [...addresses];
    for (let i = all.length - 1; i > 0; i--) {
      const j = this.world.below(i + 1);
      [all[i], all[j]] = [all[j] ?? '', all[i] ?? ''];
    }
    return all;
  }

  /** What does not fit is left out, from the end, and over UDP the client is told so (TC): it may ask again over TCP. */
  #fitted(query: Query, answers: Answer[], transport: Transport): Uint8Array {
    const limit = transport === 'tcp' ? TCP_SIZE : Math.max(query.udpSize ?? 0, UDP_SIZE);
    if (lengthOf(query, answers) <= limit) return reply(query, { flags: FLAG.RA, answers });
    const compress = this.world.behaviour.compressesLong;
    for (let kept = answers.length; ; kept--) {
      const cut = kept < answers.length && transport === 'udp';
      // 20.10 says that something is missing before it looks whether compression would do.
      const flags = FLAG.RA | (cut ? FLAG.TC : 0);
      const made = reply(query, { flags, answers: answers.slice(0, kept), compress });
      if (made.length <= limit || kept === 0) return made;
    }
  }

  /** One server after the other, until one has an answer. */
  #forward(query: Query, transport: Transport, upstreams: readonly Upstream[], at: number, done: Done): void {
    const { behaviour, sockets } = this.world;
    const askable = upstreams.filter(({ fromNode }) => !fromNode || behaviour.asksFromInternal || this.#hasWayOut());
    let last: { bytes: Uint8Array; response: Response } | undefined;
    const conclude = (time: number) => {
      if (last && behaviour.passesLastFailure) done(repacked(last.bytes, false), time);
      else if (behaviour.answersFailures) done(reply(query, { rcode: RCODE.SERVFAIL }), time);
      else done(undefined, time);
    };
    const ask = (i: number, time: number): void => {
      const server = askable[i];
      if (!server) {
        conclude(time);
        return;
      }
      this.#enter(time, (entered, then) => {
        if (!entered) {
          if (behaviour.waitsForRoom) done(reply(query, { rcode: RCODE.REFUSED }), then);
          else ask(i + 1, then);
          return;
        }
        const from = server.fromNode ? this.world.host : this.namespace;
        const accept = behaviour.checksResponses
          ? (bytes: Uint8Array) => readResponse(bytes)?.id === query.id
          : () => true;
        const { address } = server;
        exchange(
          sockets,
          from,
          address,
          query.bytes,
          transport,
          { at: then, patience: UPSTREAM_PATIENCE, accept },
          (got) => {
            this.#leave();
            const answered = sockets.after(got.finished);
            const verdict = this.#judge(query, transport, got.response);
            // The next server is tried with no answer of this one to fall back on.
            last = verdict.kept;
            if (verdict.bytes) done(verdict.bytes, answered);
            else ask(i + 1, answered);
          },
        );
      });
    };
    ask(0, at);
  }

  /** What becomes of an upstream server's answer: it is handed back, or kept while the next one is asked. */
  #judge(
    query: Query,
    transport: Transport,
    bytes: Uint8Array | undefined,
  ): { bytes?: Uint8Array; kept?: { bytes: Uint8Array; response: Response } } {
    const { behaviour } = this.world;
    if (!bytes) return {};
    const limit =
      transport === 'tcp' ? TCP_SIZE : behaviour.readsLong ? TCP_SIZE : Math.max(query.udpSize ?? 0, UDP_SIZE);
    const response = readResponse(bytes);
    if (!response || (bytes.length > limit && !response.truncated)) {
      count(this.counts, 'bad answer');
      return {};
    }
    const { rcode, authoritative } = response;
    const final = behaviour.takesErrors
      ? rcode !== RCODE.SERVFAIL && rcode !== RCODE.REFUSED
      : rcode === RCODE.NOERROR || (rcode === RCODE.NXDOMAIN && authoritative);
    return final ? { bytes: repacked(bytes, true) } : { kept: { bytes, response } };
  }

  /** Does any of its networks lead out? */
  #hasWayOut(): boolean {
    const { networks } = this.world.topology;
    return this.sandbox.endpoints.some((endpoint) => !networks.find(({ name }) => name === endpoint.network)?.internal);
  }

  /** A place among the queries under way; `then` is told whether there was one, and when. */
  #enter(at: number, then: (entered: boolean, time: number) => void): void {
    if (this.#forwarded < MOST_FORWARDED) {
      this.#forwarded++;
      then(true, at);
      return;
    }
    count(this.counts, 'too many queries under way');
    if (!this.world.behaviour.waitsForRoom) {
      then(false, at);
      return;
    }
    const { engine } = this.world.sockets;
    const enter = () => {
      stop();
      this.#forwarded++;
      then(true, engine.now);
    };
    const stop = engine.at(at + UPSTREAM_PATIENCE, (time) => {
      this.#queue.splice(this.#queue.indexOf(enter), 1);
      then(false, time);
    });
    this.#queue.push(enter);
  }

  #leave(): void {
    this.#forwarded--;
    this.#queue.shift()?.();
  }
}

function isAddressQuery({ type }: Query): boolean {
  return type === 'A' || type === 'AAAA';
}
