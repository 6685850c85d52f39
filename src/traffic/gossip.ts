/**
 * What a node says on port 7946 (memberlist state.go, net.go; libnetwork networkdb cluster.go): once a second it probes another
 * node by UDP, one after the other, and gets an acknowledgement; every half minute it compares notes with one of them by TCP,
 * twice: memberlist pushes and pulls its state over one connection, networkdb sends its tables and is sent the other's over a
 * second connection. Sizes and times are those of a real swarm; contents are opaque, as encrypted ones are.
 */

import type { Namespace, Sockets, TcpConnection, UdpSocket } from '../engine/index.js';
import type { Draw } from '../topology/draw.js';
import { opaque } from './opaque.js';

export const GOSSIP_PORT = 7946;
const SECOND = 1_000_000_000;
const PROBE_EVERY = SECOND;
/** Then it is tried by TCP, too. */
const PROBE_TIMEOUT = 0.5 * SECOND;
/** A peer that does not answer is suspected so long, and then given up. */
const SUSPICION = 4 * SECOND;
const SYNC_EVERY = 30 * SECOND;
/** networkdb tries those that it gave up again. */
const RECONNECT_EVERY = SECOND;
const DIAL_TIMEOUT = 10 * SECOND;

const PROBE = 111;
const ACKNOWLEDGEMENT = 48;
const PUSH_PULL = 372;
const BULK_SYNC = 855;
/** A few table entries. */
const NEWS = 284;
/** Whom news is told first; they tell the others. */
const FANOUT = 3;
/** memberlist's encryptMsg, before the length of what follows. */
const ENCRYPTED = 10;
const HEAD = 5;

export interface GossipPeer {
  name: string;
  address: string;
}

export class GossipSpeaker {
  readonly #udp: UdpSocket;
  readonly #listener: ReturnType<Sockets['listen']>;
  readonly #timers = new Set<() => void>();
  /** Whom this round has still to probe. */
  #round: string[] = [];
  /** Probes that wait for an answer, by address, and those that have waited too long, since when. */
  readonly #waiting = new Set<string>();
  readonly #suspected = new Map<string, number>();
  readonly #failed = new Set<string>();
  /** Whose tables are to come back over a connection of their own. */
  readonly #syncing = new Set<string>();
  #stopped = false;

  constructor(
    readonly sockets: Sockets,
    readonly namespace: Namespace,
    readonly address: string,
    readonly peers: () => GossipPeer[],
    readonly draw: Draw,
  ) {
    const everywhere = address.includes(':') ? '::' : '0.0.0.0';
    this.#udp = sockets.openUdp(
      namespace,
      GOSSIP_PORT,
      ({ data, from, time }) => this.#hear(data, from.address, time),
      () => {},
      everywhere,
    );
    this.#listener = sockets.listen(namespace, GOSSIP_PORT, (connection) => this.#accept(connection), everywhere);
    // Nodes start at times of their own; whoever joins compares notes at once.
    const start = sockets.engine.now;
    this.#every(start + this.#within(PROBE_EVERY), PROBE_EVERY, (time) => this.#probe(time));
    this.#every(start + this.#within(SYNC_EVERY), SYNC_EVERY, (time) => this.#pushPull(time));
    this.#every(start + this.#within(SYNC_EVERY), SYNC_EVERY, (time) => this.#bulkSync(time));
    this.#every(start + RECONNECT_EVERY, RECONNECT_EVERY + DIAL_TIMEOUT, (time) => this.#reconnect(time));
    const [first] = peers();
    if (first) this.#after(start + this.#within(SECOND / 100), (time) => this.#exchange(first, PUSH_PULL, time));
  }

  /** Something has changed on this node: some of the others are told, and tell the rest. */
  spread(time: number): void {
    const left = this.#live();
    for (let i = 0; i < FANOUT && left.length > 0; i++) {
      const [peer] = left.splice(this.draw.between(0, left.length - 1), 1);
      if (peer) this.#send(peer.address, NEWS, time);
    }
  }

  /** The node has left its swarm. */
  stop(): void {
    this.#stopped = true;
    for (const cancel of this.#timers) cancel();
    this.sockets.closeUdp(this.#udp);
    this.sockets.closeListener(this.#listener);
  }

  #within(span: number): number {
    return this.draw.between(0, 999) * (span / 1000);
  }

  #after(time: number, then: (time: number) => void): void {
    const cancel = this.sockets.engine.at(time, (now) => {
      this.#timers.delete(cancel);
      then(now);
    });
    this.#timers.add(cancel);
  }

  #every(first: number, span: number, then: (time: number) => void): void {
    this.#after(first, (time) => {
      then(time);
      this.#every(first + span, span, then);
    });
  }

  #live(): GossipPeer[] {
    return this.peers().filter(({ address }) => !this.#failed.has(address));
  }

  #pick(from: readonly GossipPeer[]): GossipPeer | undefined {
    return from.length > 0 ? from[this.draw.between(0, from.length - 1)] : undefined;
  }

  /** Round robin over a shuffled list (memberlist's probe, shuffleNodes). */
  #next(): GossipPeer | undefined {
    const live = new Map(this.#live().map((peer) => [peer.address, peer]));
    this.#round = this.#round.filter((address) => live.has(address));
    if (this.#round.length === 0) {
      const left = [...live.keys()];
      while (left.length > 0) this.#round.push(...left.splice(this.draw.between(0, left.length - 1), 1));
    }
    return live.get(this.#round.shift() ?? '');
  }

  #probe(time: number): void {
    const peer = this.#next();
    if (!peer) return;
    const { address } = peer;
    this.#waiting.add(address);
    this.#send(address, PROBE, time);
    this.#after(time + PROBE_TIMEOUT, (late) => {
      if (this.#waiting.has(address)) this.#exchange(peer, PROBE, late);
    });
    this.#after(time + PROBE_EVERY, (over) => {
      if (!this.#waiting.delete(address)) return;
      const since = this.#suspected.get(address) ?? over;
      this.#suspected.set(address, since);
      this.#after(since + SUSPICION, () => {
        if (this.#suspected.get(address) === since) this.#failed.add(address);
      });
    });
  }

  #alive(address: string): void {
    this.#waiting.delete(address);
    this.#suspected.delete(address);
    this.#failed.delete(address);
  }

  #hear(data: Uint8Array, from: string, time: number): void {
    this.#alive(from);
    if (data.length === PROBE) this.#send(from, ACKNOWLEDGEMENT, this.sockets.after(time));
  }

  #send(address: string, size: number, time: number): void {
    this.#udp.send({ address, port: GOSSIP_PORT }, opaque(this.draw, size, [1]), time);
  }

  #pushPull(time: number): void {
    const peer = this.#pick(this.#live());
    if (peer) this.#exchange(peer, PUSH_PULL, time);
  }

  #bulkSync(time: number): void {
    const peer = this.#pick(this.#live());
    if (!peer) return;
    this.#syncing.add(peer.address);
    this.#exchange(peer, BULK_SYNC, time);
  }

  #reconnect(time: number): void {
    const peer = this.#pick(this.peers().filter(({ address }) => this.#failed.has(address)));
    if (peer) this.#exchange(peer, PUSH_PULL, time);
  }

  /** Dials and says `size` bytes. Tables are not answered on the same connection. */
  #exchange({ address }: GossipPeer, size: number, time: number): void {
    const connection = this.sockets.connect(this.namespace, { address, port: GOSSIP_PORT }, time);
    if (!connection) return;
    let over = false;
    const close = (at: number) => {
      if (!over) connection.close(at);
      over = true;
    };
    connection.onConnected = (at) => {
      connection.write(this.#message(size), this.sockets.after(at));
      if (size === BULK_SYNC) close(this.sockets.after(at));
    };
    this.#gather(connection, (length, at) => {
      if (length > 0) this.#alive(address);
      close(this.sockets.after(at));
    });
    connection.onFailed = () => {
      over = true;
    };
    this.#after(time + DIAL_TIMEOUT, (late) => {
      if (!over) connection.abort(late);
      over = true;
    });
  }

  #accept(connection: TcpConnection): void {
    this.#gather(connection, (length, time) => {
      const { address } = connection.remote;
      const at = this.sockets.after(time);
      if (length > 0) this.#alive(address);
      if (length === PUSH_PULL) connection.write(this.#message(PUSH_PULL), at);
      else if (length === PROBE) connection.write(this.#message(ACKNOWLEDGEMENT), at);
      else if (length === BULK_SYNC && !this.#syncing.delete(address) && !this.#stopped)
        this.#exchange({ name: '', address }, BULK_SYNC, at);
      connection.close(at);
    });
  }

  /** Calls `then` with the length of one whole message; 0 when the other closes without one. */
  #gather(connection: TcpConnection, then: (length: number, time: number) => void): void {
    let received = 0;
    let length = 0;
    let done = false;
    const finish = (whole: number, time: number) => {
      if (!done) then(whole, time);
      done = true;
    };
    connection.onData = (data, time) => {
      // The first bytes come in one piece: a segment is never so small.
      if (received === 0 && data.length >= HEAD)
        length = HEAD + new DataView(data.buffer, data.byteOffset).getUint32(1);
      received += data.length;
      if (received >= length) finish(length, time);
    };
    connection.onEnd = (time) => finish(0, time);
  }

  #message(size: number): Uint8Array {
    const inside = size - HEAD;
    return opaque(this.draw, size, [ENCRYPTED, 0, 0, inside >>> 8, inside & 255]);
  }
}
