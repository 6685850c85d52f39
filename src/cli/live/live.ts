/**
 * `conformance --live`: the same topologies in the engine and in this machine's kernel, in network namespaces of our own; the
 * same stimuli to both, every frame at every device compared. Whatever happens, nothing of it stays behind.
 */

import { join } from 'node:path';
import { pcapName, writePcap } from '../../capture/files.js';
import {
  renderTable,
  type ScenarioComparison,
  type Totals,
  totalsOf,
  type WaitingScenario,
} from '../../replay/table.js';
import { Agent, LiveError } from './agent.js';
import { type Machine, machine, whyNot } from './capabilities.js';
import type { Case } from './case.js';
import { CASES } from './cases/index.js';
import { compareCase } from './compare-case.js';
import { buildLab, playInEngine } from './engine-side.js';
import { playInKernel } from './kernel-side.js';
import { removeOwn, sweepLeftovers, tidily } from './namespaces.js';

/** What `LiveOptions.cases` may name. */
export const LIVE_CASES: readonly string[] = CASES.map(({ name }) => name);

export interface LiveOptions {
  /** Names of cases; all of them without it. */
  cases?: readonly string[];
  /** How many differences are told in words; 10 without it. */
  differences?: number;
  /** Both sides' captures go here: `OUT/CASE/kernel/…pcap` and `OUT/CASE/engine/…pcap`. */
  out?: string;
  /** Told what is going on. */
  onProgress?: (done: number, all: number, name: string) => void;
}

export interface LiveResult {
  /** One sentence: why nothing could be run here. */
  skipped?: string;
  /** Of the kernel that was compared with. */
  kernel?: string;
  compared: ScenarioComparison[];
  /** Cases that this machine cannot run, and why. */
  waiting: WaitingScenario[];
  totals: Totals;
  /** The table, or the sentence. */
  text: string;
}

export async function live(options: LiveOptions = {}): Promise<LiveResult> {
  const chosen = CASES.filter(({ name }) => options.cases?.includes(name) ?? true);
  let agent: Agent | undefined;
  return tidily(
    () => agent?.stop(),
    async () => {
      const skipped = whyNot();
      if (skipped !== undefined) return skip(skipped);
      sweepLeftovers();
      const here = machine();
      removeOwn();
      const compared: ScenarioComparison[] = [];
      const waiting: WaitingScenario[] = [];
      for (const [index, one] of chosen.entries()) {
        options.onProgress?.(index, chosen.length, one.name);
        const reasons = one.needs.flatMap((need) => here.lacking.get(need) ?? []);
        if (reasons.length > 0) {
          waiting.push({ scenario: `live/${one.name}`, reason: reasons.join('; ') });
          continue;
        }
        agent = new Agent();
        try {
          compared.push(await compareOne(one, agent, here, options.out));
        } catch (error) {
          if (!(error instanceof LiveError)) throw error;
          waiting.push({ scenario: `live/${one.name}`, reason: `this machine refused: ${error.message}` });
        } finally {
          agent.stop();
          removeOwn();
        }
      }
      return result(compared, waiting, here, options);
    },
  );
}

async function compareOne(
  one: Case,
  agent: Agent,
  here: Machine,
  out: string | undefined,
): Promise<ScenarioComparison> {
  const lab = await buildLab(one);
  const stimuli = one.stimuli(lab);
  const kernel = await playInKernel(lab, stimuli, agent, here.iptables);
  const engine = playInEngine(lab, stimuli);
  if (out !== undefined) {
    for (const [side, { taps }] of Object.entries({ kernel, engine })) {
      for (const [tap, frames] of taps)
        if (frames.length > 0) writePcap(join(out, one.name, side, pcapName(tap)), frames);
    }
  }
  return { scenario: `live/${one.name}`, mode: 'stack', taps: compareCase(stimuli, kernel, engine) };
}

function skip(reason: string): LiveResult {
  return { skipped: reason, compared: [], waiting: [], totals: totalsOf([]), text: `skipped: ${reason}` };
}

function result(
  compared: ScenarioComparison[],
  waiting: WaitingScenario[],
  { kernel }: Machine,
  options: LiveOptions,
): LiveResult {
  const totals = totalsOf(compared.flatMap(({ taps }) => taps));
  const table = renderTable(
    compared,
    waiting,
    options.differences === undefined ? {} : { differences: options.differences },
  );
  return { kernel, compared, waiting, totals, text: `against Linux ${kernel}\n${table}` };
}
