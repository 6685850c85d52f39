/** The benchmark's options, as they are given on the command line. */

import { parseArgs } from 'node:util';
import { BRIDGE_OPENINGS } from './opening.js';
import { WAYS } from './ways.js';

export const MESH_ROWS = ['mesh', 'mesh-back', 'mesh-udp', 'mesh-back-udp'] as const;
export const CAPTURED_ROWS = ['mesh-captured', 'mesh-captured-file'] as const;
export const ROWS: readonly string[] = [...MESH_ROWS, ...CAPTURED_ROWS, ...WAYS, ...BRIDGE_OPENINGS, 'mesh-syn'];

export interface Options {
  json: boolean;
  compare?: string | undefined;
  flows: number[];
  size: number[];
  only: readonly string[];
  time: number;
  turns: number;
  slow: boolean;
  disk?: string | undefined;
  packets?: number[] | undefined;
  growth?: string | undefined;
  containers?: number[] | undefined;
  workers?: number | undefined;
  peers: boolean;
  /** Were flows asked for, or are they the usual ones? */
  usualFlows: boolean;
}

export class BadOption extends Error {}

/** The least frame holds headers, and a byte that tells whose it is; the most is what a NIC takes before it is encapsulated. */
const LEAST = 64;
const MOST = 1400;

export function options(args: readonly string[]): Options {
  const { values } = parsed(args);
  const only = values.only?.split(',') ?? ROWS;
  const unknown = only.find((name) => !ROWS.includes(name));
  if (unknown !== undefined) throw new BadOption(`--only ${unknown}: there is no such row. Rows: ${ROWS.join(', ')}`);
  return {
    ...values,
    only,
    flows: numbers('flows', values.flows ?? '1000,100000', 1, 4_000_000),
    usualFlows: values.flows === undefined,
    size: numbers('size', values.size, LEAST, MOST),
    time: number('time', values.time, 1, 3_600_000),
    turns: number('turns', values.turns, 1, 1000),
    packets: values.packets === undefined ? undefined : numbers('packets', values.packets, 1, 1e9),
    workers: values.workers === undefined ? undefined : number('workers', values.workers, 1, 64),
    containers: values.containers === undefined ? undefined : numbers('containers', values.containers, 20, 1e6),
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        json: { type: 'boolean', default: false },
        /** Results of an earlier run, as --json printed them. */
        compare: { type: 'string' },
        flows: { type: 'string' },
        size: { type: 'string', default: '64,1400' },
        only: { type: 'string' },
        /** Milliseconds a row and turn. */
        time: { type: 'string', default: '100' },
        turns: { type: 'string', default: '3' },
        /** Without the flow table: what the slow way costs. */
        slow: { type: 'boolean', default: false },
        /** A directory on the disk that is to be measured. */
        disk: { type: 'string' },
        packets: { type: 'string' },
        /** A folder for charts. */
        growth: { type: 'string' },
        containers: { type: 'string' },
        /** As many engines beside one alone; with --disk their captures are merged there. */
        workers: { type: 'string' },
        /** What a user would pick otherwise (bench/peers). */
        peers: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new BadOption((error as Error).message);
  }
}

function number(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most)
    throw new BadOption(`--${name} ${text}: a whole number from ${least} to ${most} is needed`);
  return value;
}
function numbers(name: string, text: string, least: number, most: number): number[] {
  return text.split(',').map((one) => number(name, one, least, most));
}
