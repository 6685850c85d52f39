/** A guide's commands, typed one after the other into a swarm of their own: what came out, and how it differs from what is printed. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseStackFile } from '../../stack-file/index.js';
import { joinToken } from '../api/swarm.js';
import { type ClientOptions, type ClientWorld, clientWorldOf, dockerProgram } from '../client.js';
import { type Listening, listen } from '../server.js';
import { World } from '../world.js';
import { compare, contradicts, type Row } from './compare.js';
import type { Block } from './guide.js';
import { Machines } from './machines.js';
import { meantBy } from './misprints.js';
import { outsideFor, serveOutside } from './outside.js';
import { type Context, MISPRINT, otherMachine, type Reason, reasonFor, twinOf } from './reasons.js';
import { Session } from './session.js';
import type { Step } from './steps.js';
import { Terminal } from './terminal.js';
import { Variables } from './variables.js';
import { Meanings } from './words.js';

export interface Result {
  step: Step;
  /** `manager1`, or `alpine1 on manager1` for what is typed in a container. */
  where: string;
  /** What was typed, with our own ids and addresses. */
  typed: string;
  outcome: 'equal' | 'explained' | 'differs' | 'skipped';
  rows: Row[];
  reasons: Reason[];
  /** Words on how it was run, or why not. */
  notes: string[];
}

export interface RunOptions {
  client: string;
  nodes?: number;
  seed: number;
}

/** Virtual time runs that many times as fast as the wall clock. */
const SPEED = 20;
/** ms of wall clock for a command that ends by itself, and for one that does not. */
const PATIENCE = 60_000;
const ENDLESS = 2_500;
const SETTLING = 3_000;
const ENDED: ReadonlySet<string> = new Set(['complete', 'shutdown', 'failed', 'rejected', 'remove', 'orphaned']);
/** Commands that go on until they are interrupted. */
const GOES_ON =
  /(?:^|\s)(?:ping6?\b(?!.*\s-[cw]\s?\d)|tcpdump\b(?!.*\s-c\s?\d)|watch\b|top\b)|\bdocker (?:\w+ )?(?:events|stats(?!.*--no-stream)|logs\b.*\s(?:-f|--follow))/;
const SWARM_COMMAND =
  /\bdocker (?:service|node|stack|config|secret)\b|\bdocker network create\b.*(?:-d|--driver)[ =]overlay/s;
const SWARM_INIT = /\bdocker swarm init\b/;
/** Whoever reads these waits until nothing changes any more. */
const SHOWS_TASKS = /\bdocker (?:service (?:ls|ps)|stack (?:ls|ps|services)|node ps|network inspect|ps|container ls)\b/;
const MANAGERS_ONLY =
  /^\s*(?:sudo )?docker (?:service|node|stack|config|secret|swarm (?:join-token|update|ca)|network create\b.*overlay)/s;

export class Guide {
  readonly machines: Machines;
  readonly #directory = mkdtempSync(join(tmpdir(), 'swarmwire-transcript-'));
  readonly #meanings = new Meanings();
  readonly #environment = new Map<string, string>();
  readonly #made = new Set<string>();
  readonly #removed = new Set<string>();
  readonly #subnets: string[] = [];
  #terminals = new Map<string, Terminal>();
  #sessions: Session[] = [];
  #world!: World;
  #engines: Listening[] = [];
  #place: string;
  #notes: string[] = [];

  constructor(
    blocks: readonly Block[],
    readonly steps: readonly Step[],
    private readonly options: RunOptions,
  ) {
    this.machines = new Machines(blocks, steps, options.nodes);
    this.#place = this.machines.nodes[0] ?? 'node1';
  }

  async *run(): AsyncGenerator<Result> {
    try {
      const first = this.steps.findIndex(({ command }) => SWARM_COMMAND.test(command) || SWARM_INIT.test(command));
      // A guide that begins with services begins in a swarm.
      await this.#standUp(first >= 0 && !SWARM_INIT.test(this.steps[first]?.command ?? ''));
      let block: Block | undefined;
      for (const step of this.steps) {
        this.#notes = [];
        if (step.block !== block) this.#enter(step.block);
        this.#notes.push(...(step.block.notes ?? []));
        block = step.block;
        yield await this.#step(step);
      }
    } finally {
      await this.#tearDown();
      rmSync(this.#directory, { recursive: true, force: true });
    }
  }

  // --- The swarm ---

  async #standUp(swarm: boolean): Promise<void> {
    const { spec } = parseStackFile('services: {}\n', { file: 'transcript', nodes: this.machines.nodes.length });
    for (const [i, node] of spec.nodes.entries()) node.name = this.machines.nodes[i] ?? node.name;
    outsideFor(spec, this.steps);
    this.#world = await World.create({ ...spec, swarm }, { seed: this.options.seed });
    this.#world.speed = SPEED;
    serveOutside(this.#world);
    const client: ClientOptions = { program: this.options.client, directory: this.#directory };
    for (const node of this.machines.nodes)
      this.#engines.push(await listen(this.#world, node, { host: '127.0.0.1', port: 0 }));
    const clients = this.#clientWorld();
    this.#world.hostProgram = (node, name) => (name === 'docker' ? dockerProgram(node, clients, client) : undefined);
    this.#world.open();
  }

  async #tearDown(): Promise<void> {
    for (const session of this.#sessions) session.kill();
    for (const terminal of this.#terminals.values()) terminal.close();
    this.#sessions = [];
    this.#terminals = new Map();
    this.#world?.close();
    for (const { server } of this.#engines) {
      server.close();
      server.closeAllConnections();
    }
    this.#engines = [];
  }

  async #anew(swarm: boolean): Promise<void> {
    await this.#tearDown();
    this.#meanings.clear();
    this.#environment.clear();
    this.#made.clear();
    this.#removed.clear();
    this.#subnets.length = 0;
    await this.#standUp(swarm);
  }

  #clientWorld(): ClientWorld {
    return {
      ...clientWorldOf(this.#world, () => this.#engines),
      nodeOf: (words, node) => {
        const containers = [...this.#world.cluster.containers.values()];
        for (const word of words.slice(1)) {
          const named = containers.filter(
            ({ id, name }) => name === word || (word.length >= 12 && id.startsWith(word)),
          );
          if (named.length !== 1 || named[0] === undefined || named[0].node === node) continue;
          this.#notes.push(`${word} is on ${named[0].node}`);
          return named[0].node;
        }
        return undefined;
      },
      converse: (argv, node, url, done) => {
        const session = new Session(argv, containerIn(argv), node, url, {
          program: this.options.client,
          directory: this.#directory,
        });
        this.#sessions.push(session);
        void session.opened().then((output) => done(session.status ?? 0, output));
      },
    };
  }

  #addressOf(node: string): string {
    return this.#world.topology.nodes.find(({ name }) => name === node)?.nic.addresses[0]?.split('/')[0] ?? '';
  }

  // --- Where ---

  /** A block begins: on which machine? */
  #enter({ before, heading, annotation }: Block): void {
    const meant = annotation.node === undefined ? this.machines.meantBy(before) : this.machines.node(annotation.node);
    if (meant !== undefined) this.#place = meant;
    else if (heading) this.#place = this.machines.nodes[0] ?? this.#place;
  }

  /** The shell that a step is typed into: one in a container, or a node's. */
  #sessionFor(step: Step): Session | undefined {
    this.#sessions = this.#sessions.filter(({ status }) => status === undefined);
    const { shell, host, command } = step;
    if (shell === 'host') return undefined;
    if (shell === 'either' && /^\s*(?:sudo\s+)?docker\b/.test(command)) return undefined;
    const named =
      host &&
      this.#sessions.find(
        ({ container }) =>
          this.#meanings.of(host) !== undefined && this.#idOf(container)?.startsWith(this.#meanings.of(host) ?? '-'),
      );
    return named || this.#sessions.at(-1);
  }

  #idOf(container: string): string | undefined {
    return [...this.#world.cluster.containers.values()].find(
      ({ name, id }) => name === container || id.startsWith(container),
    )?.id;
  }

  // --- One command ---

  async #step(step: Step): Promise<Result> {
    const { annotation } = step.block;
    if (annotation.fresh && this.steps.find(({ block }) => block === step.block) === step) {
      await this.#anew(false);
      this.#notes.push('a new swarm begins here');
    }
    const result = (where: string, typed: string, outcome: Result['outcome'], more: Partial<Result> = {}): Result => ({
      step,
      where,
      typed,
      outcome,
      rows: [],
      reasons: [],
      notes: this.#notes,
      ...more,
    });
    if (annotation.skip !== undefined) {
      this.#notes.push(annotation.skip);
      return result(this.#place, step.command, 'skipped');
    }
    if (step.shell === 'host' && step.host !== undefined) this.#place = this.machines.node(step.host) ?? this.#place;
    if (annotation.container !== undefined && this.#sessions.length === 0) await this.#openIn(annotation.container);
    const session = this.#sessionFor(step);
    if (step.ends === 'detach') {
      session?.detach();
      await session?.settled({ silence: 200, limit: 1000 });
      return result(session ? `${session.container} on ${session.node}` : this.#place, 'Ctrl-P Ctrl-Q', 'equal');
    }
    if (session) {
      const typed = this.#meanings.translate(step.command);
      const output = await session.type(typed, this.#limit(step), (text) => this.#enough(step, text));
      return this.#judge(step, `${session.container} on ${session.node}`, typed, output, 0);
    }
    if (
      SWARM_INIT.test(step.command) &&
      this.#world.cluster.node(this.#place).member &&
      !step.expected.some((line) => /^Error/.test(line))
    ) {
      await this.#anew(false);
      this.#notes.push('the guide begins anew: a fresh swarm');
    }
    if (SHOWS_TASKS.test(step.command)) await this.#settled();
    const node = this.#nodeFor(step);
    await this.#presuppose(step);
    const typed = this.#meanings.translate(this.#filledIn(this.#namedContainers(step.command, node), node));
    const terminal = this.#terminal(node);
    const { status, output } = await terminal.run(
      typed,
      this.#limit(step),
      (text) => this.#enough(step, text),
      /\btcpdump\b/.test(typed) && step.ends !== 'interrupt',
    );
    if (status === 0) this.#remember(step.command);
    return this.#judge(step, node, typed, output, status);
  }

  /** Tasks have come to where they are to be, or do not get there. */
  async #settled(): Promise<void> {
    const { cluster } = this.#world;
    const until = Date.now() + SETTLING;
    const moving = () =>
      [...cluster.services.values()].some(
        ({ tasks, update }) =>
          update?.state === 'updating' ||
          [...tasks].some(
            ({ state, desired }) => (desired === 'running') !== (state === 'running') && !ENDED.has(state),
          ),
      );
    while (moving() && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  #limit({ command, ends }: Step): number {
    return ends === 'interrupt' || GOES_ON.test(command) ? ENDLESS : PATIENCE;
  }

  /** Has a command that goes on printed what the guide shows? */
  #enough({ command, ends, expected }: Step, output: string): boolean {
    if (ends !== 'interrupt' && !GOES_ON.test(command)) return false;
    const shown = expected.filter((line) => line.trim() !== '' && !/statistics|transmitted|round-trip|rtt /.test(line));
    return shown.length > 0 && output.split('\n').filter((line) => line.trim() !== '').length >= shown.length;
  }

  /** What only a manager does is typed on one, unless the guide shows that it is refused. */
  #nodeFor({ command, expected }: Step): string {
    const { nodes } = this.#world.cluster;
    const node = this.#place;
    if (!MANAGERS_ONLY.test(command) || expected.some((line) => /not a swarm manager/.test(line))) return node;
    const state = nodes.get(node);
    if (!state?.member || state.role === 'manager') return node;
    const manager = [...nodes.values()].find(({ member, role }) => member && role === 'manager')?.name ?? node;
    this.#notes.push(`only a manager does that: on ${manager}`);
    return manager;
  }

  #terminal(node: string): Terminal {
    const known = this.#terminals.get(node);
    if (known) return known;
    const made = new Terminal(this.#world.machine(node), new Variables(this.#environment));
    this.#terminals.set(node, made);
    return made;
  }

  async #openIn(container: string): Promise<void> {
    const [node] = [...this.#world.cluster.containers.values()].flatMap((one) =>
      one.name === container ? [one.node] : [],
    );
    await this.#terminal(node ?? this.#place).run(`docker exec -it ${container} sh`, PATIENCE, () => false);
  }

  /** `<TOKEN>`, `<MANAGER-IP>`: what a reader fills in. And addresses of the guide's machines that it has not printed. */
  #filledIn(command: string, node: string): string {
    const manager = [...this.#world.cluster.nodes.values()].find(
      ({ member, role }) => member && role === 'manager',
    )?.name;
    const first = this.#addressOf(manager ?? this.machines.nodes[0] ?? '');
    const engine = { world: this.#world, node };
    const filled = command.replaceAll(/<([A-Za-z][\w -]*)>/g, (whole, words: string) => {
      if (/token/i.test(words)) return joinToken(engine, /manager/i.test(words) ? 'manager' : 'worker');
      const named = /worker[-_ ]?\d+|manager[-_ ]?\d+|node[-_ ]?\d+|host[-_ ]?\d+/i.exec(words)?.[0]?.toLowerCase();
      const meant = named && this.machines.node(named);
      if (/ip|addr/i.test(words)) return meant ? this.#addressOf(meant) : first;
      return whole;
    });
    if (filled !== command) this.#notes.push('filled in what the guide leaves to its reader');
    const own = /--(?:advertise|listen|data-path)-addr[= ]([\d.]+)/.exec(filled)?.[1];
    if (own !== undefined && this.#meanings.of(own) === undefined) this.#meanings.note(own, this.#addressOf(node));
    const [, token, address] = /swarm join\b.*--token[= ](\S+).*?(\d+(?:\.\d+){3})(?::\d+)?\s*$/s.exec(filled) ?? [];
    if (address !== undefined && this.#meanings.of(address) === undefined) this.#meanings.note(address, first);
    if (token?.startsWith('SWMTKN-') && this.#meanings.of(token) === undefined)
      this.#meanings.note(token, joinToken(engine, 'worker'));
    return filled;
  }

  /** `web.1.10yscmxtoymkvs3bdd4z678w4`: our task of that number; and an id that the guide has never shown: the container there. */
  #namedContainers(command: string, node: string): string {
    const all = [...this.#world.cluster.containers.values()];
    const tasks = command.replaceAll(
      /\b([\w-]+\.\d+)\.[0-9a-z]{20,25}\b/g,
      (whole, task: string) =>
        all.find(({ name, status }) => status === 'running' && name.startsWith(`${task}.`))?.name ?? whole,
    );
    return tasks.replace(
      /(\bdocker (?:container )?(?:exec|attach|logs|stop|start|rm|inspect|top|port)\s+(?:-\w+ )*)((?=\w*\d)[0-9a-f]{3,64})\b/,
      (whole, head: string, id: string) => {
        if (this.#meanings.of(id) !== undefined || all.some((one) => one.id.startsWith(id))) return whole;
        const here = all.filter((one) => one.node === node && one.status === 'running');
        const [only] = here.slice(-1);
        if (only === undefined) return whole;
        this.#meanings.note(id, only.id.slice(0, 12));
        this.#notes.push(`${id} is shown nowhere before: ${only.name}, the container that runs there`);
        return `${head}${only.id.slice(0, 12)}`;
      },
    );
  }

  /** A network that the guide uses and its lists show, but no command of it makes, was there before. */
  async #presuppose({ command }: Step): Promise<void> {
    for (const [, name = ''] of command.matchAll(/--net(?:work)?[= ](?:name=)?([\w.-]+)/g)) {
      if (this.#made.has(name) || this.#world.topology.networks.some((one) => one.name === name)) continue;
      if (this.steps.some((one) => new RegExp(`network create\\b.*\\b${name}\\s*$`, 's').test(one.command))) continue;
      const listed = this.steps.flatMap(({ expected }) => expected).find((line) => line.split(/\s+/)[1] === name);
      const driver = listed && /\b(overlay|bridge)\b/.exec(listed)?.[1];
      if (!driver) continue;
      const [manager] = this.machines.nodes;
      await this.#terminal(manager ?? '').run(`docker network create -d ${driver} ${name}`, PATIENCE, () => false);
      this.#notes.push(`the guide’s ${driver} network ${name} was there before it begins: made first`);
    }
  }

  /** Names of what a command makes. */
  #remember(command: string): void {
    for (const [, name = ''] of command.matchAll(/--name[= ]([\w.-]+)/g)) this.#made.add(name);
    for (const [, subnet = ''] of command.matchAll(/--subnet[= ]([\d.]+\/\d+)/g)) this.#subnets.push(subnet);
    const network = /network create\b[\s\S]*?([\w.-]+)\s*$/.exec(command)?.[1];
    if (network) this.#made.add(network);
    const [, gone = ''] = /\b(?:network|container|service)? ?rm\s+(?:-f\s+)?([\w. -]+)$/.exec(command) ?? [];
    for (const name of gone.split(/\s+/)) this.#removed.add(name);
  }

  /** Earlier engines called the ingress sandbox by an id: it is the last namespace that they list, made before all others. */
  #learnSandbox({ command, expected }: Step, ours: readonly string[]): void {
    if (!/\bip netns\s*$/.test(command) || !ours.some((line) => /^ingress_sbox\b/.test(line))) return;
    const theirs = expected.filter((line) => /^[0-9a-f]{12}\b/.test(line)).at(-1);
    if (theirs === undefined || expected.some((line) => /ingress_sbox/.test(line))) return;
    const id = theirs.slice(0, 12);
    this.#meanings.note(id, 'ingress_sbox', true);
    this.#notes.push(`${id} is the sandbox of the ingress network: ingress_sbox in later engines`);
  }

  #judge(step: Step, where: string, typed: string, output: string, status: number): Result {
    const ours = output.split('\n').map((line) => line.replace(/^\/ # (?=\S)/, ''));
    const meant = step.expected.map(meantBy);
    const rows = compare(meant, ours);
    this.#learnSandbox(step, ours);
    for (const row of rows) if (row.kind === 'same') this.#meanings.learn(row.theirs ?? '', row.ours ?? '');
    const base = { step, where, typed, notes: this.#notes };
    const context = {
      command: step.command,
      typed,
      output,
      rows,
      made: this.#made,
      removed: this.#removed,
      subnets: this.#subnets,
      machines: this.machines.names,
      inside: where.includes(' on ') || /\bdocker (?:container )?exec\b/.test(step.command),
    };
    if (step.expected.length === 0) {
      // The guide shows nothing: it has to succeed.
      const shown = rows.map((row): Row => ({ ...row, kind: 'elided' }));
      if (status === 0 || (GOES_ON.test(step.command) && status === 130))
        return { ...base, outcome: 'equal', rows: shown, reasons: [] };
      const [reason] = rows
        .flatMap((row) => reasonFor(row, context) ?? [])
        .filter(({ name }) => ['not-simulated', 'refused', 'guide-order'].includes(name));
      return { ...base, outcome: reason ? 'explained' : 'differs', rows, reasons: reason ? [reason] : [] };
    }
    // One that goes on says more than anybody prints.
    if (GOES_ON.test(step.command) || step.ends === 'interrupt') {
      const last = rows.map(({ kind }) => kind).lastIndexOf('same');
      for (const [i, row] of rows.entries()) if (i > last && row.kind === 'ours') row.kind = 'elided';
    }
    const reasons = new Set<Reason>(meant.some((line, i) => line !== step.expected[i]) ? [MISPRINT] : []);
    let unexplained = contradicts(rows) !== undefined;
    const why = contradicts(rows);
    if (why) this.#notes.push(why);
    for (const row of rows) {
      if (row.kind !== 'theirs' && row.kind !== 'ours') continue;
      const reason = reasonFor(row, context);
      const twin = row.theirs === undefined ? undefined : counterpart(reason, row, context);
      if (twin !== undefined) this.#meanings.learn(withoutBroadcast(row.theirs ?? ''), withoutBroadcast(twin));
      if (reason) reasons.add(reason);
      else unexplained = true;
    }
    const outcome = unexplained ? 'differs' : reasons.size > 0 ? 'explained' : 'equal';
    return { ...base, outcome, rows, reasons: [...reasons] };
  }
}

/** The line of ours that a reason puts in the place of theirs. */
function counterpart(reason: Reason | undefined, row: Row, context: Context): string | undefined {
  if (reason?.name === 'tool-version') return twinOf(row, context);
  return reason?.name === 'other-machines' ? otherMachine(row, context) : undefined;
}

/** Some versions of `ip` leave it away: an address that follows from another means nothing of its own. */
function withoutBroadcast(line: string): string {
  return line.replace(/ brd \S+/, '');
}

/** What a client's command calls its container: `--name`, or the operand of exec and attach. */
function containerIn(argv: readonly string[]): string {
  const name = argv.findIndex((word) => /^--name\b/.test(word));
  if (name >= 0) return argv[name]?.split('=')[1] ?? argv[name + 1] ?? '';
  const command = argv.findIndex((word) => ['exec', 'attach', 'start'].includes(word));
  if (command >= 0) return argv.slice(command + 1).find((word) => !word.startsWith('-')) ?? '';
  return 'container';
}
