/** What a test sees of an engine: frames at taps, drops by place and reason, the account that must balance. */

import { expect } from 'vitest';
import type { Direction } from '../../src/capture/capture.js';
import { pcapngHeader } from '../../src/capture/pcapng.js';
import { readCapture } from '../../src/capture/read.js';
import type { Device, Engine } from '../../src/engine/index.js';
import { ARP, addressText, IPV4, macText, told, u16 } from './packets.js';

export interface SeenFrame {
  /** `namespace/device` */
  tap: string;
  /** ns since the run's start */
  time: number;
  direction: Direction | undefined;
  data: Uint8Array;
}

export class Watch {
  readonly #records: Uint8Array[] = [];
  constructor(
    readonly engine: Engine,
    devices: Iterable<Device>,
  ) {
    for (const device of devices) device.tap();
    engine.onCapture = (records) => this.#records.push(records);
  }

  /** In the order in which they were seen; of one device alone, if it is named. */
  frames(device?: Device): SeenFrame[] {
    this.engine.drain();
    const names = this.engine.taps.map(({ path }) => path);
    const header = pcapngHeader(names.map((name) => ({ name })));
    const length = this.#records.reduce((sum, record) => sum + record.length, header.length);
    const bytes = new Uint8Array(length);
    bytes.set(header);
    let at = header.length;
    for (const record of this.#records) {
      bytes.set(record, at);
      at += record.length;
    }
    return readCapture(bytes)
      .frames.map(({ interface: index, time, data, direction }) => ({
        tap: names[index] ?? '',
        time: Number(time - this.engine.epoch),
        direction,
        data,
      }))
      .filter(({ tap }) => device === undefined || tap === device.path);
  }

  /** What left by `device`. */
  sent(device: Device): Uint8Array[] {
    return this.frames(device)
      .filter(({ direction }) => direction === 'transmitted')
      .map(({ data }) => data);
  }

  /** What came in by `device`. */
  received(device: Device): Uint8Array[] {
    return this.frames(device)
      .filter(({ direction }) => direction === 'received')
      .map(({ data }) => data);
  }

  /** Forget what was seen so far. */
  clear(): void {
    this.engine.drain();
    this.#records.length = 0;
  }
}

/** IPv4 packets of these frames, without their Ethernet headers. */
export function packetsIn(frames: readonly Uint8Array[]): Uint8Array[] {
  return frames.filter((frame) => u16(frame, 12) === IPV4).map((frame) => frame.subarray(14));
}

/** A frame in words: ARP as `who has 10.0.0.2 tell 10.0.0.1`, IPv4 as `told` says it. */
export function inWords(frame: Uint8Array): string {
  const type = u16(frame, 12);
  if (type === IPV4) return told(frame.subarray(14));
  if (type !== ARP) return `type 0x${type.toString(16)}`;
  if (u16(frame, 20) === 1) return `who has ${addressText(frame, 38)} tell ${addressText(frame, 28)}`;
  return `${addressText(frame, 28)} is at ${macText(frame, 22)}`;
}

/** `node1/host/eth0 IP_CSUM`, with ` x2` when it happened twice. */
export function dropsOf(engine: Engine): string[] {
  return engine.drops
    .map(({ device, reason, count }) => `${device.path} ${reason}${count > 1 ? ` x${count}` : ''}`)
    .sort();
}

/** made = injected + generated + cloned = delivered + dropped + inFlight (design.md, Conservation). */
export function expectConserved(engine: Engine, { inFlight = 0 }: { inFlight?: number } = {}): void {
  const account = engine.account;
  expect(account.made, 'made = injected + generated + cloned').toBe(
    account.injected + account.generated + account.cloned,
  );
  expect(account.made, 'made = delivered + dropped + in flight').toBe(
    account.delivered + account.dropped + account.inFlight,
  );
  expect(account.inFlight, 'in flight').toBe(inFlight);
  const counted = engine.drops.reduce((sum, { count }) => sum + count, 0);
  expect(counted, 'every drop has a place').toBe(account.dropped);
}
