/** One flow of traffic, sent and reported on. */

import type { Lookup } from '../dns/index.js';
import type { LoadCount, Namespace, Sockets } from '../engine/index.js';
import type { LoadSpec, Protocol, TrafficSpec } from '../topology/spec.js';
import type { Exchange } from '../traffic/exchange.js';
import * as http from '../traffic/http.js';
import { journeyOf, type Step } from './journey.js';
import type { Realized } from './realize.js';

const SECOND = 1_000_000_000;

/** Traffic that is one exchange. */
export type SingleSpec = Exclude<TrafficSpec, LoadSpec>;

/** What came of a load. */
export interface LoadReport {
  protocol: Protocol;
  /** Packets that were asked for. */
  asked: number;
  /** All was sent, and what could arrive has arrived. */
  over: boolean;
  flows: {
    asked: number;
    /** TCP: connections; UDP: flows of which something has arrived. */
    opened: number;
    refused: number;
    unanswered: number;
  };
  /** Packets of data, and the bytes of their frames, Ethernet header included. */
  sent: LoadCount;
  received: LoadCount;
  /** Answers that came back, if the load is answered. */
  answered?: LoadCount;
  /**
   * Packets that did not arrive, and why, as far as one place says so. Of one of several swarms that share a load (`shard`): why copies of
   * its packets have ended, whether lost or not.
   */
  lost: { packets: number; reasons: Record<string, number> };
  /** Packets that no connection was there for, or that were not sent yet when the run was interrupted. */
  notSent: number;
  /** Segments that were made shorter: the receiver's MSS allows no longer ones. */
  cut: number;
  /** ns of virtual time; and from the first packet that was sent to the last that arrived. */
  firstSent: number;
  lastReceived: number;
  duration: number;
  /** Of what arrived, a second. */
  rate: { packets: number; bits: number };
  /** Where it arrived. */
  tasks: (LoadCount & { name: string; flows: number; share: number })[];
}

export interface FlowReport {
  kind: TrafficSpec['kind'] | 'redis';
  /** `client`, `nginx.1` */
  from: string;
  /** `node1:1080` */
  to: string;
  /** Virtual time, ns. */
  started: number;
  finished?: number;
  ok: boolean;
  /** `nginx.1 on node2` */
  answeredBy?: string;
  /** The answer in short, or what went wrong. */
  detail?: string;
  /** How the name was looked up, where it was one. */
  lookup?: Lookup;
  journey: Step[];
  /** What the answering task asked of others before it answered: nginx asks node, and node asks redis. */
  calls: FlowReport[];
  /** Of a load: what was sent and what arrived. */
  load?: LoadReport;
}

export function newReport(kind: FlowReport['kind'], from: string, to: string, started: number): FlowReport {
  return { kind, from, to, started, ok: false, journey: [], calls: [] };
}

/** What an exchange came to, written into its report. */
export function conclude(
  report: FlowReport,
  realized: Realized,
  result: Exchange,
  to: { address: string; port: number },
): void {
  report.finished = result.finished;
  report.ok = result.ok;
  report.detail = result.detail;
  if (result.answeredBy) report.answeredBy = result.answeredBy;
  if (!result.local) return;
  report.journey = journeyOf(realized, 'tcp', {
    source: result.local.address,
    sport: result.local.port,
    destination: to.address,
    dport: to.port,
  });
}

/** Sends `flow` at `at` (ns); the report is complete once it has a `finished`. */
export function send(
  realized: Realized,
  sockets: Sockets,
  flow: SingleSpec,
  from: Namespace,
  target: string,
  at: number,
  report: FlowReport,
): void {
  if (flow.kind === 'http') {
    const to = { address: target, port: flow.port };
    http.get(
      sockets,
      from,
      to,
      { host: report.to, path: flow.path, at, hold: (flow.hold ?? 0) * 1_000_000 },
      (result) => conclude(report, realized, result, to),
    );
  } else if (flow.kind === 'udp') sendUdp(realized, sockets, flow, from, target, at, report);
  else sendPing(sockets, flow, from, target, at, report);
}

function sendUdp(
  realized: Realized,
  sockets: Sockets,
  flow: TrafficSpec & { kind: 'udp' },
  from: Namespace,
  target: string,
  at: number,
  report: FlowReport,
): void {
  const v6 = target.includes(':');
  const socket = sockets.openUdp(
    from,
    0,
    ({ data, from: sender, time }) => {
      if (sender.address !== target || sender.port !== flow.port) return;
      report.finished = time;
      report.ok = true;
      report.detail = new TextDecoder().decode(data).trim();
      const said = / got \d+ bytes$/.exec(report.detail);
      if (said) report.answeredBy = report.detail.slice(0, said.index);
      report.journey = journeyOf(realized, 'udp', {
        source: from.sourceFor(target) ?? '',
        sport: socket.port,
        destination: target,
        dport: flow.port,
      });
      sockets.closeUdp(socket);
    },
    (type, code, time) => {
      report.finished = time;
      const closed = v6 ? type === 1 && code === 4 : type === 3 && code === 3;
      report.detail = closed ? 'port unreachable' : `${v6 ? 'ICMPv6' : 'ICMP'} type ${type} code ${code}`;
    },
    v6 ? '::' : '0.0.0.0',
  );
  const payload = Uint8Array.from({ length: flow.size }, (_, i) => 97 + (i % 26));
  socket.send({ address: target, port: flow.port }, payload, at);
}

function sendPing(
  sockets: Sockets,
  flow: TrafficSpec & { kind: 'ping' },
  from: Namespace,
  target: string,
  at: number,
  report: FlowReport,
): void {
  let answered = 0;
  const identifier = sockets.openPing(({ ttl, time, sequence }) => {
    answered++;
    report.detail = `${answered} of ${flow.count} answered, ttl ${ttl}`;
    report.ok = answered === flow.count;
    if (sequence === flow.count - 1) report.finished = time;
  });
  // One a second, as ping does.
  for (let sequence = 0; sequence < flow.count; sequence++) {
    const time = at + sequence * SECOND;
    if (sockets.ping(from, target, { identifier, sequence, size: flow.size, time })) continue;
    report.finished = at;
    report.detail = `no route to ${target}`;
    return;
  }
}
