/** Reports of engines that share a load, added up. All that is no load is the same in every one. */

import type { LoadCount } from '../engine/index.js';
import { lossesOf, sharesOf } from '../swarm/load.js';
import type { FlowReport } from '../swarm/swarm.js';

type LoadReport = NonNullable<FlowReport['load']>;

/** `parts`: the flows of each engine, in their order. */
export function mergeFlows(parts: readonly (readonly FlowReport[])[]): FlowReport[] {
  return (parts[0] ?? []).map((flow, at) => {
    const loads = parts.flatMap((flows) => flows[at]?.load ?? []);
    return flow.load && loads.length > 1
      ? withLoad(
          flow,
          mergeLoads(loads),
          parts.map((flows) => flows[at]),
        )
      : flow;
  });
}

function withLoad(flow: FlowReport, load: LoadReport, all: readonly (FlowReport | undefined)[]): FlowReport {
  const { received, lost, notSent, flows } = load;
  const finished = Math.max(...all.map((one) => one?.finished ?? 0));
  const ok = load.over && received.packets > 0;
  return {
    ...flow,
    load,
    finished,
    ok: ok && lost.packets + notSent + flows.refused + flows.unanswered === 0,
    detail: `${received.packets} of ${load.asked} packets arrived`,
  };
}

function mergeLoads(loads: readonly LoadReport[]): LoadReport {
  const [first] = loads as [LoadReport];
  const times = loads.filter(({ sent }) => sent.packets > 0);
  const began = times.length > 0 ? Math.min(...times.map(({ firstSent }) => firstSent)) : 0;
  const ended = Math.max(...loads.map(({ lastReceived }) => lastReceived));
  const duration = Math.max(0, ended - began);
  const received = countsOf(loads.map((load) => load.received));
  const perSecond = (count: number) => (duration > 0 ? (count * 1e9) / duration : 0);
  const sent = countsOf(loads.map((load) => load.sent));
  const over = loads.every((load) => load.over);
  return {
    ...first,
    over,
    sent,
    received,
    ...(first.answered ? { answered: countsOf(loads.flatMap(({ answered }) => answered ?? [])) } : {}),
    lost: lossesOf(sent.packets - received.packets, endedIn(loads), over),
    cut: loads.reduce((sum, { cut }) => sum + cut, 0),
    firstSent: began,
    lastReceived: ended,
    duration,
    rate: { packets: perSecond(received.packets), bits: perSecond(received.bytes * 8) },
    tasks: sharesOf(
      loads.flatMap(({ tasks }) => tasks),
      received,
    ),
  };
}

function countsOf(counts: readonly LoadCount[]): LoadCount {
  return {
    packets: counts.reduce((sum, { packets }) => sum + packets, 0),
    bytes: counts.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** Copies of packets that ended on their way, in all engines: by their reasons. */
function endedIn(loads: readonly LoadReport[]): Map<string, number> {
  const ended = new Map<string, number>();
  for (const [reason, count] of loads.flatMap(({ lost }) => Object.entries(lost.reasons)))
    ended.set(reason, (ended.get(reason) ?? 0) + count);
  return ended;
}
