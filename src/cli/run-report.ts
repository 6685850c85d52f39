/** What came of a run, as data: `--json` prints it as it is, `run-text.ts` says it in words. */

import type { WrittenFile } from '../capture/files.js';
import type { Account } from '../engine/index.js';
import type { Notice, StackFile } from '../stack-file/index.js';
import type { MissingPort } from '../swarm/missing-ports.js';
import type { ChangeReport, FlowReport } from '../swarm/swarm.js';
import type { Protocol } from '../topology/spec.js';
import type { Topology } from '../topology/topology.js';
import type { Outcome } from '../workers/outcome.js';
import { type DropReport, dropsOf } from './drops.js';
import type { Capturing } from './run.js';

export interface RunReport {
  /** Ctrl-C: when in virtual time (ns), and how many flows were over by then. What comes after is missing. */
  interrupted?: { at: number; flows: number; of: number };
  /** Every flow was answered, every frame is accounted for and was captured, if any was to be. */
  ok: boolean;
  swarmwire: string;
  file: string;
  seed: number;
  stack: StackReport;
  flows: FlowReport[];
  /** What was changed while it ran, and what Docker refused. */
  changes: ChangeReport[];
  /** Which ports a firewall between the nodes lacks, and what came of it. */
  missingPorts: MissingPort[];
  notices: { ignored: Notice[]; unsupported: Notice[]; warnings: Notice[] };
  captures: {
    format: Capturing;
    directory: string;
    comments: boolean;
    /** Every tap, `node/namespace/device`. */
    interfaces: { name: string; frames: number }[];
    frames: number;
    files: WrittenFile[];
    /** Frames that did not fit into the capture buffer; 0, or the captures are not whole. */
    missed: number;
    /** Frames that stand after later ones in their file; 0, unless a frame was held up past its time. */
    late: number;
    /** Keys of encrypted networks, as a configuration of Wireshark's; undefined where no network is encrypted. */
    keys: { directory: string; associations: number } | undefined;
  };
  drops: DropReport;
  /** made = delivered + dropped + inFlight. */
  frames: Account & { balanced: boolean };
  /** How long all took in the swarm's own time, ns. */
  virtualTime: number;
}

export interface StackReport {
  nodes: { name: string; role: 'manager' | 'worker' }[];
  networks: { name: string; driver: string; subnet: string; vni?: number; ingress: boolean; encrypted: boolean }[];
  services: {
    name: string;
    tasks: { name: string; node: string }[];
    ports: { published: number; target: number; protocol: Protocol }[];
  }[];
  /** Tasks that found no node, in words. */
  pending: string[];
}

export interface Ran {
  version: string;
  file: string;
  seed: number;
  out: string;
  format: Capturing;
  comments: boolean;
  stack: StackFile;
  outcome: Outcome;
  files: WrittenFile[];
  keys: RunReport['captures']['keys'];
  interrupted: RunReport['interrupted'];
}

export function reportOf(ran: Ran): RunReport {
  const { stack, outcome } = ran;
  const { account, flows, missed, changes, missingPorts } = outcome;
  const balanced = account.made === account.delivered + account.dropped + account.inFlight;
  return {
    ...(ran.interrupted ? { interrupted: ran.interrupted } : {}),
    ok: !ran.interrupted && flows.every(allAnswered) && balanced && missed === 0,
    swarmwire: ran.version,
    file: ran.file,
    seed: ran.seed,
    stack: { ...stackOf(outcome.topology), pending: outcome.pending },
    flows,
    changes,
    missingPorts,
    notices: { ignored: stack.ignored, unsupported: stack.unsupported, warnings: stack.warnings },
    captures: {
      format: ran.format,
      directory: ran.out,
      comments: ran.comments && ran.format === 'pcapng',
      interfaces: outcome.taps.map(({ name, frames }) => ({ name, frames })),
      frames: outcome.frames,
      files: ran.files,
      missed,
      late: outcome.late,
      keys: ran.keys,
    },
    drops: dropsOf(outcome),
    frames: { ...account, balanced },
    virtualTime: outcome.now,
  };
}

/** Was the flow answered, and were the calls that the answer needed? */
export function allAnswered({ ok, calls }: FlowReport): boolean {
  return ok && calls.every(allAnswered);
}

function stackOf({ nodes, networks, services, sandboxes }: Topology): Omit<StackReport, 'pending'> {
  const tasks = sandboxes.filter(({ kind }) => kind === 'task');
  return {
    nodes: nodes.map(({ name, role }) => ({ name, role })),
    networks: networks
      .filter(({ driver }) => driver === 'overlay')
      .map(({ name, driver, vni, ingress, encrypted = false, onNode }) => ({
        name,
        driver,
        // An overlay has one subnet on all nodes.
        subnet: Object.values(onNode)[0]?.subnet ?? '',
        ...(vni === undefined ? {} : { vni }),
        ingress,
        encrypted,
      })),
    services: services.map(({ name, ports }) => ({
      name,
      tasks: tasks
        .filter(({ service }) => service === name)
        .map(({ task, name: sandbox, node }) => ({ name: task ?? sandbox, node })),
      ports: ports.map(({ published, target, protocol }) => ({ published, target, protocol })),
    })),
  };
}
