/** The list of commands. Each is loaded when it is called, so that `--help` does not wait for an engine. */

import type { Terminal } from './terminal.js';

export interface Command {
  help: string;
  /** The exit code. Throws `BadInput`, `StackFileError` or `CaptureFileError` for what its caller can mend. */
  run(args: readonly string[], terminal: Terminal): Promise<number>;
  /** Is a `--help` among these arguments not for us, but part of what the command passes on? */
  own?(args: readonly string[]): boolean;
}

export const COMMANDS = {
  run: {
    summary: 'stand up a swarm from a stack file, send its traffic, write captures',
    load: async (): Promise<Command> => (await import('./run.js')).run,
  },
  serve: {
    summary: 'Docker Engines that are a simulation, for the real docker command',
    load: async (): Promise<Command> => (await import('./serve.js')).serve,
  },
  node: {
    summary: 'a command on a node of a served swarm: iptables, ipvsadm, ip, tcpdump, ...',
    load: async (): Promise<Command> => (await import('./node.js')).node,
  },
  transcript: {
    summary: "run a guide's commands against a fresh swarm, with the real docker command; compare",
    load: async (): Promise<Command> => (await import('./transcript.js')).transcript,
  },
  draw: {
    summary: 'draw the swarm of a stack file, as SVG and Mermaid',
    load: async (): Promise<Command> => (await import('./draw.js')).draw,
  },
  conformance: {
    summary: "replay a real swarm's captures and compare every frame",
    load: async (): Promise<Command> => (await import('./conformance.js')).conformance,
  },
  diff: {
    summary: 'compare two captures frame by frame, each difference in words',
    load: async (): Promise<Command> => (await import('./diff.js')).diff,
  },
  replay: {
    summary: "inject a capture's frames at a device of a swarm, write captures",
    load: async (): Promise<Command> => (await import('./replay.js')).replay,
  },
} as const;

export type CommandName = keyof typeof COMMANDS;

export function overview(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
  return [
    'swarmwire simulates Docker Swarm networking packet by packet: a stack file in, captures for Wireshark out.',
    'It needs no Docker, no root and no Linux.',
    '',
    'usage: swarmwire COMMAND [OPTIONS]',
    '',
    ...Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    '  --help          this; after a command: all about it',
    '  --version       the version',
    '',
    'To begin with:',
    '',
    '  swarmwire run examples/three-tier.yml     who answers, and what each hop did to the packets',
    '  wireshark captures/three-tier.pcapng      the same, frame by frame, each with a comment on what changed',
    '',
    'Exit codes: 0 all is well, 1 traffic failed or captures differ, 2 bad input.',
  ].join('\n');
}
