/** `weave` on a node: launch, connect, run, attach, expose, status, … (the script of Weave Net, `run` as it was before 2.0). */

import { POOL } from '../../drivers/weave-router.js';
import { CONTROL_PORT } from '../../drivers/weave-rules.js';
import { become } from '../../programs/host/inside.js';
import { Exit, Pipe, type Process, type Program } from '../../programs/index.js';
import type { Steps } from '../../programs/steps.js';
import { DockerError } from '../../swarm/errors.js';
import type { ContainerState } from '../../swarm/state.js';
import { hostPart } from '../../topology/topology.js';
import { type Routers, WeaveError } from './routers.js';

const USAGE = `Usage:

weave launch        [--nickname <nickname>] [--ipalloc-range <cidr>] <peer> ...
weave connect       <peer>
weave forget        <peer>
weave run           [<cidr> ...] <docker run args> ...
weave start         [<cidr> ...] <container_id>
weave attach        [<cidr> ...] <container_id>
weave detach        [<cidr> ...] <container_id>
weave expose        [<cidr>]
weave hide          [<cidr>]
weave ps
weave status        [targets | connections | peers]
weave stop | reset

where <peer> is an address or a name of another node, <cidr> an address with its prefix length`;

const CIDR = /^\d{1,3}(?:\.\d{1,3}){3}\/\d{1,2}$/;

export function weaveProgram(routers: Routers, node: string): Program {
  return function* weave(process) {
    const [command = '', ...args] = process.argv.slice(1);
    try {
      return yield* run(routers, node, process, command, args);
    } catch (error) {
      if (error instanceof WeaveError || error instanceof DockerError) throw new Exit(1, error.message);
      throw error;
    }
  };
}

function* run(
  routers: Routers,
  node: string,
  process: Process,
  command: string,
  args: readonly string[],
): Steps<number> {
  const say = (lines: readonly string[]) => {
    for (const line of lines) process.stdout.write(`${line}\n`);
  };
  const container = (name: string) => routers.world.cluster.container(name, node);
  switch (command) {
    case 'launch':
    case 'launch-router': {
      const { peers, ...options } = launchOptions(args, node);
      routers.launch(node, peers, options);
      return 0;
    }
    case 'connect':
      routers.connect(node, one(args));
      return 0;
    case 'forget':
      routers.forget(node, one(args));
      return 0;
    case 'run':
      return yield* runContainer(routers, node, process, args);
    case 'start': {
      const { cidrs, rest } = cidrsFirst(args);
      const found = container(one(rest));
      routers.world.cluster.containerStart(found);
      routers.attach(node, found, cidrs);
      say([found.id]);
      return 0;
    }
    case 'attach':
    case 'detach': {
      const { cidrs, rest } = cidrsFirst(args);
      const found = container(one(rest));
      say([routers[command](node, found, cidrs).map(hostPart).join(' ')].filter((line) => line !== ''));
      return 0;
    }
    case 'expose':
      say([hostPart(routers.expose(node, oneCidr(args)))]);
      return 0;
    case 'hide':
      say(routers.hide(node, oneCidr(args)).map(hostPart));
      return 0;
    case 'ps':
      say(listed(routers, node));
      return 0;
    case 'status':
      say(status(routers, node, args[0] ?? ''));
      return 0;
    case 'stop':
    case 'reset':
      if (!routers.runs(node)) process.stderr.write('Weave is not running.\n');
      routers[command](node);
      return 0;
    case 'version':
      say(['weave script 2.8.1 (swarmwire’s own)']);
      return 0;
    case 'setup':
      return 0;
    case '':
    case 'help':
    case '--help':
      say(USAGE.split('\n'));
      return command === '' ? 1 : 0;
    default:
      throw new Exit(1, `Unknown weave command '${command}'\n${USAGE}`);
  }
}

function launchOptions(args: readonly string[], node: string) {
  const peers: string[] = [];
  let [nickname, range] = [node, POOL];
  const words = [...args];
  while (words.length > 0) {
    const [option = '', given] = (words.shift() ?? '').split('=');
    const name = option.replace(/^--?/, '');
    if (!option.startsWith('-')) {
      // Early versions had an address of the router's own first, and ignore it since.
      if (!CIDR.test(option)) peers.push(option);
    } else if (name === 'nickname') nickname = given ?? words.shift() ?? node;
    else if (name === 'ipalloc-range') {
      range = given ?? words.shift() ?? '';
      if (!isCidr(range)) throw new Exit(1, invalid(range));
    } else
      throw new Exit(
        1,
        `weave launch: ${option} is not simulated: swarmwire’s routers have --nickname and --ipalloc-range`,
      );
  }
  return { peers, nickname, range };
}

function one(args: readonly string[]): string {
  const [first, ...more] = args;
  if (first === undefined || more.length > 0) throw new Exit(1, USAGE);
  return first;
}

function oneCidr(args: readonly string[]): string | undefined {
  const { cidrs, rest } = cidrsFirst(args);
  if (cidrs.length > 1 || rest.length > 0) throw new Exit(1, USAGE);
  return cidrs[0];
}

/** Addresses stand before the rest. */
function cidrsFirst(args: readonly string[]): { cidrs: string[]; rest: string[] } {
  const rest = [...args];
  const cidrs: string[] = [];
  while (rest[0] !== undefined && /^(?:ip:)?[\d.]+\//.test(rest[0])) {
    const cidr = (rest.shift() ?? '').replace(/^ip:/, '');
    if (!isCidr(cidr)) throw new Exit(1, invalid(cidr));
    cidrs.push(cidr);
  }
  return { cidrs, rest };
}

function isCidr(text: string): boolean {
  const [address = '', length] = text.split('/');
  return CIDR.test(text) && address.split('.').every((part) => Number(part) < 256) && Number(length) <= 32;
}

function invalid(cidr: string): string {
  return `Invalid CIDR: ${cidr}\nCIDR must of be of form <ip_address>/<routing_prefix_length>, e.g. 10.2.1.1/24`;
}

/** `docker run -d`, then what `attach` does. */
function* runContainer(routers: Routers, node: string, process: Process, args: readonly string[]): Steps<number> {
  const { cidrs, rest } = cidrsFirst(args);
  if (rest.length === 0) throw new Exit(1, USAGE);
  routers.bridge(node);
  const printed = new Pipe();
  const ran = yield* become({ ...process, stdout: printed, terminal: false }, ['docker', 'run', '-d', ...rest]);
  printed.end();
  const id = (yield* printed.text()).trim();
  if (ran !== 0) return ran ?? 127;
  const container: ContainerState = routers.world.cluster.container(id, node);
  routers.attach(node, container, cidrs);
  process.stdout.write(`${container.id}\n`);
  return 0;
}

/** Containers with ethwe: id, MAC, addresses; first what the node itself has. */
function listed(routers: Routers, node: string): string[] {
  const bridge = routers.bridge(node);
  const cidrs = (device: typeof bridge) =>
    device.addresses.map(({ address, length }) => ` ${address}/${length}`).join('');
  return [
    `weave:expose ${bridge.mac}${cidrs(bridge)}`,
    ...routers
      .attached(node)
      .map(({ container, device }) => `${container.id.slice(0, 12)} ${device.mac}${cidrs(device)}`),
  ];
}

/** prog/weaver/http.go */
function status(routers: Routers, node: string, what: string): string[] {
  if (!routers.runs(node)) throw new WeaveError('weave container is not present. Have you launched it?');
  const { mtu } = routers.bridge(node);
  const peers = routers.peers(node);
  const named = (one: string) => `${routers.name(one)}(${routers.nickname(one)})`;
  const connection = ({ address, outward }: (typeof peers)[number]) =>
    `${outward ? '->' : '<-'} ${`${address}:${CONTROL_PORT}`.padEnd(21)} `;
  switch (what) {
    case 'targets':
      return routers.targets(node);
    case 'connections':
      return peers.map((peer) => `${connection(peer)}established fastdp ${named(peer.node)} mtu=${mtu}`);
    case 'peers': {
      const all = [node, ...peers.map((peer) => peer.node)];
      return all.flatMap((one) => [
        named(one),
        ...routers.peers(one).map((peer) => `   ${connection(peer)}${named(peer.node).padEnd(37)} established`),
      ]);
    }
    case '': {
      const all = [node, ...peers.map((peer) => peer.node)];
      const established = all.reduce((sum, one) => sum + routers.peers(one).length, 0);
      return [
        '        Version: 2.8.1 (swarmwire’s own)',
        '',
        '        Service: router',
        '       Protocol: weave 1..2',
        `           Name: ${named(node)}`,
        '     Encryption: disabled',
        '  PeerDiscovery: enabled',
        `        Targets: ${routers.targets(node).length}`,
        `    Connections: ${peers.length}${peers.length > 0 ? ` (${peers.length} established)` : ''}`,
        `          Peers: ${all.length}${established > 0 ? ` (with ${established} established connections)` : ''}`,
        ' TrustedSubnets: none',
        '',
        '        Service: ipam',
        '         Status: ready',
        `          Range: ${routers.range(node)}`,
        `  DefaultSubnet: ${routers.range(node)}`,
      ];
    }
    default:
      throw new Exit(1, `weave status ${what}: not simulated; there are targets, connections and peers`);
  }
}
