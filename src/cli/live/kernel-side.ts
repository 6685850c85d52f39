/** A case played by the kernel: the lab's commands run, a capture at every device, the stimuli sent one by one. */

import { ipv4 } from '../../dissect/notation.js';
import type { TapFrame } from '../../replay/compare.js';
import type { Agent } from './agent.js';
import { LiveError } from './agent.js';
import type { Stimulus } from './case.js';
import { commandsFor, WIRE } from './commands.js';
import type { Lab } from './lab.js';
import { mustRun, netnsName, run } from './namespaces.js';

/** As long nothing was seen: a stimulus has done what it does, ms. */
const QUIET = 15;
/** Devices are up within this, ms. */
const READY = 5000;

export interface Played {
  taps: Map<string, TapFrame[]>;
  /** ns since 1970, of each stimulus. */
  sent: bigint[];
}

export async function playInKernel(
  lab: Lab,
  stimuli: readonly Stimulus[],
  agent: Agent,
  iptables: string,
): Promise<Played> {
  for (const command of commandsFor(lab, netnsName, iptables)) mustRun(command);
  await ready(lab);
  for (const device of lab.engine.devices) await agent.tap(device.path, netnsName(device.namespace.name), device.name);
  await agent.settle(QUIET, 3 * QUIET);
  // What devices said as they came up is nobody's stimulus.
  for (const frames of agent.seen.values()) frames.length = 0;
  const sent: bigint[] = [];
  for (const stimulus of stimuli) {
    sent.push(BigInt(Date.now()) * 1_000_000n);
    await send(stimulus, lab, agent);
    await agent.settle(QUIET, stimulus.wait ?? 0);
  }
  return { taps: agent.seen, sent };
}

async function send(stimulus: Stimulus, lab: Lab, agent: Agent): Promise<void> {
  if ('frame' in stimulus) {
    const { namespace, name } = lab.device(stimulus.at);
    await agent.frame(netnsName(namespace.name), name, stimulus.frame);
  } else await agent.packet(netnsName(stimulus.from), ipv4(stimulus.packet, 16), stimulus.packet);
}

/** Carriers come up a moment after the commands, and a bridge's port forwards only then. */
async function ready(lab: Lab): Promise<void> {
  const limit = Date.now() + READY;
  for (const namespace of [WIRE, ...lab.namespaces.map(({ name }) => name)]) {
    let waiting = 'it does not answer';
    while (waiting) {
      waiting = notReady(netnsName(namespace));
      if (!waiting) break;
      if (Date.now() > limit) throw new LiveError(`${namespace}: ${waiting} does not come up`);
      await new Promise((done) => setTimeout(done, 20));
    }
  }
}

interface LinkState {
  ifname: string;
  operstate?: string;
  state?: string;
}

/** The name of a device that is not up yet, or ''. */
function notReady(netns: string): string {
  const links = JSON.parse(mustRun({ argv: ['ip', '-n', netns, '-j', 'link', 'show'] }) || '[]') as LinkState[];
  // Without ports a bridge has no carrier and never gets one.
  const ports = JSON.parse(run({ argv: ['bridge', '-n', netns, '-j', 'link', 'show'] }).out || '[]') as LinkState[];
  const down = links.find(
    ({ operstate, ifname }) => operstate !== 'UP' && operstate !== 'UNKNOWN' && !isEmptyBridge(netns, ifname, ports),
  );
  const blocked = ports.find(({ state }) => state !== undefined && state !== 'forwarding');
  return down?.ifname ?? blocked?.ifname ?? '';
}

function isEmptyBridge(netns: string, name: string, ports: readonly (LinkState & { master?: string })[]): boolean {
  if (ports.some(({ master }) => master === name)) return false;
  const shown = run({ argv: ['ip', '-n', netns, '-d', '-j', 'link', 'show', 'dev', name] }).out;
  return shown.includes('"info_kind":"bridge"');
}
