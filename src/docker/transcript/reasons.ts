/**
 * Why a line may differ although both are right: a short list of known reasons, each with a name. What none of them explains is a
 * difference.
 */

import { holds } from '../../topology/pools.js';
import type { Row } from './compare.js';
import { PRIVATE } from './outside.js';
import { plainForm } from './words.js';

export interface Context {
  /** As the guide has it, and as it was typed. */
  command: string;
  typed: string;
  /** All of our output. */
  output: string;
  rows: readonly Row[];
  /** What the guide and we call machines. */
  machines: readonly string[];
  /** It was typed inside a container, whose insides the guide's own commands have made. */
  inside: boolean;
  /** Objects that the guide's own commands have made so far. */
  made: ReadonlySet<string>;
  removed: ReadonlySet<string>;
  /** Those that the guide's own commands have named. */
  subnets: readonly string[];
}

export interface Reason {
  name: string;
  words: string;
  explains(row: Row, context: Context): boolean;
}

const LISTS =
  /\b(?:(?:network|container|node|service|image|volume|stack) ls|docker (?:ps|images)|service ps|ip (?:a|addr|address|link|route|r)\b|ip netns\s*$|ipvsadm|brctl show|netstat|ss |route)/;
const JSON_LINE = /^\s*(?:"[^"]*":|[[\]{}"])/;
const MODULES =
  /^\s*(?:\d+: )?(?:tunl0|ip6tnl0|sit0|gre0|gretap0|erspan0|ip_vti0|ip6_vti0|ip6gre0|teql0)@NONE:|^\s*link\/(?:ipip|tunnel6|sit|gre|void) /;

/** iptables 1.8.9 and later print a protocol's number. */
const PROTOCOLS: Record<string, string> = { 0: 'all', 1: 'icmp', 6: 'tcp', 17: 'udp' };

/** What other versions of a tool, a client and a kernel print besides, and the names of machines. */
function withoutVersions(line: string, machines: readonly string[]): string {
  let text = plainForm(line)
    .replace(
      / qlen \d+| qdisc \w+| group default| mode DEFAULT| state \w+| scope global| brd \S+| proto kernel| metric \d+/g,
      '',
    )
    .replace(/@if<n>|@\w+(?=:)| link-netns\S* \S+| link-netnsid \d+|,M-DOWN/g, '')
    .replace(/ ENGINE VERSION$| \d+\.\d+\.\d+$/, '')
    .replace(/^(<count> \S+) (0|1|6|17) /, (_, head: string, number: string) => `${head} ${PROTOCOLS[number]} `)
    .replace(/\): \d+ data bytes$|\) \d+\(\d+\) bytes of data\.$/, ') data')
    .replace(/(\d) packets received/, '$1 received')
    .replace(/(% packet loss), time <ms>$/, '$1')
    .replace(/-v or -vv|-v\[v\]\.\.\./, '-v')
    .replace(/(?:capture size|snapshot length) \d+/, 'snapshot length');
  for (const name of machines) text = text.replaceAll(new RegExp(`(?<![\\w.-])${name}(?![\\w-])`, 'g'), '<host>');
  return text.replace(/ +/g, ' ');
}

/** The line on the other side that is the same but for versions. */
export function twinOf({ theirs, ours, kind }: Row, { rows, machines }: Context): string | undefined {
  const form = withoutVersions(theirs ?? ours ?? '', machines);
  const other = kind === 'theirs' ? 'ours' : 'theirs';
  return rows.find((row) => row.kind !== 'same' && withoutVersions(row[other] ?? '', machines) === form)?.[other];
}

const DEVICE = /^\s*\d+: (\w+)\S*: <.*> mtu \d+/;

/** A device of theirs whose MAC holds an address that neither Docker's pools nor a `--subnet` of the guide's own can have given. */
function isOfAnotherNetwork({ theirs = '', ours = '' }: Row, { rows, subnets }: Context): boolean {
  const [, device] = DEVICE.exec(theirs || ours) ?? [];
  if (device === undefined) return false;
  const shown = rows.filter((row) => row.theirs !== undefined);
  const at = shown.findIndex((row) => DEVICE.exec(row.theirs ?? '')?.[1] === device);
  const [, digits] = /link\/ether 02:42:((?:[0-9a-f]{2}:){3}[0-9a-f]{2})/.exec(shown[at + 1]?.theirs ?? '') ?? [];
  if (digits === undefined) return false;
  const address = digits
    .split(':')
    .map((byte) => Number.parseInt(byte, 16))
    .join('.');
  return !PRIVATE.test(address) && !subnets.some((subnet) => holds(subnet, address));
}

const MACHINES_OWN = /^\s*inet \d+(?:\.\d+){3}\/\d+ .*scope global (eth\d+|en\w+)\s*$/;

/** The address of a machine's own, on a machine, on the other side: what it is on and how wide that is, is the guide's. */
export function otherMachine(row: Row, { rows, inside }: Context): string | undefined {
  const [, device] = MACHINES_OWN.exec(row.theirs ?? row.ours ?? '') ?? [];
  if (inside || device === undefined) return undefined;
  const other = row.kind === 'theirs' ? 'ours' : 'theirs';
  return rows.find((one) => one.kind === other && MACHINES_OWN.exec(one[other] ?? '')?.[1] === device)?.[other];
}

export const MISPRINT: Reason = {
  name: 'misprint',
  words: 'the guide misprints a line; it is compared with what it means',
  explains: () => false,
};

export const REASONS: readonly Reason[] = [
  {
    name: 'not-simulated',
    words: 'a program that swarmwire does not simulate',
    explains: (_, { output }) =>
      /\b(?:sh|exec): "?[\w./-]+"?: (?:not found|executable file not found)|executable file not found in \$PATH/.test(
        output,
      ) ||
      /: command not found$|Unit \S+ (?:could not be|not) found|not an http or ftp url|Protocol "https" not supp/m.test(
        output,
      ),
  },
  {
    name: 'refused',
    words: 'swarmwire does not do that, and says so',
    explains: (_, { output }) => /(?:daemon|Error).*\bswarmwire\b|^swarmwire: (?!images are names)/m.test(output),
  },
  {
    name: 'guide-order',
    words:
      'Docker refuses it after what the guide has typed before: its examples are alternatives, or it leaves a step away',
    explains: (_, { output, removed, made }) => {
      const [, gone] = /(?:network|No such container:) ([\w.-]+)(?: not found)?/.exec(output) ?? [];
      if (gone !== undefined && removed.has(gone) && /not found|No such container/.test(output)) return true;
      const [, taken] =
        /network with name ([\w.-]+) already exists|\(([\w.-]+)\) is already using parent/.exec(output) ?? [];
      if (/You cannot remove a running container/.test(output)) return true;
      return /already/.test(output) && (taken === 'docker_gwbridge' || [...made].some((name) => output.includes(name)));
    },
  },
  {
    name: 'images-are-names',
    words: 'images are names: nothing is pulled, and what their own programs print is not known',
    explains: ({ theirs, ours }, { command }) =>
      (ours !== undefined &&
        /^(?:Unable to find image|[\w./-]+: Pulling from|swarmwire: images are names|Digest: sha256|Status: |.*: Pulling from )/.test(
          ours,
        )) ||
      (theirs !== undefined && /(?:Pull complete|Pulling fs layer|Download complete|Already exists)/.test(theirs)) ||
      (/docker(?: container)? (?:ps|ls)|docker ps/.test(command) &&
        /"\S/.test(theirs ?? ours ?? '') &&
        sameButQuoted(theirs, ours)),
  },
  {
    name: 'client-version',
    words: 'the text is the docker client’s own, and differs from version to version',
    explains: ({ theirs = '', ours = '' }, { command }) =>
      /^\s*docker (?:\w+ ?)?$/.test(command) ||
      /^(?:overall progress|verify: |\d+\/\d+: |WARNING! |Are you sure|.*\[y\/N\])/.test(`${theirs}${ours}`.trim()) ||
      (/docker info|docker version/.test(command) && true) ||
      (/network rm/.test(command) &&
        /^(?:WARNING|in your swarm|be effective|impaired|Are you)/.test(`${theirs}${ours}`.trim())),
  },
  {
    name: 'engine-before-18.09',
    words: 'before 18.09 the ingress network was 10.255.0.0/16',
    explains: ({ theirs = '' }) => /\b10\.255\.0\.\d+/.test(theirs),
  },
  {
    name: 'engine-1.12',
    words: 'engine 1.12 rewrote a published port in ingress_sbox; since then the namespace of the task does it',
    explains: ({ theirs = '' }, { typed }) =>
      /\bingress_sbox\b/.test(typed) && /\bREDIRECT .* redir ports \d+$/.test(theirs.trimEnd()),
  },
  {
    name: 'other-network',
    words: 'the guide shows containers on another network than the one that its commands make',
    explains: isOfAnotherNetwork,
  },
  {
    name: 'other-machines',
    words: 'the guide’s machines are on a network of their own, of another size',
    explains: (row, context) => otherMachine(row, context) !== undefined,
  },
  {
    name: 'host-resolver',
    words: 'what a container finds in /etc/resolv.conf comes from its machine',
    explains: ({ theirs, ours }, { command }) =>
      /resolv\.conf/.test(command) && /^(?:search|options|nameserver) /.test(theirs ?? ours ?? ''),
  },
  {
    name: 'engine-version',
    words: 'the guide shows another version of the engine than 20.10, which prints more or less there',
    explains: ({ theirs, ours, kind }, { command }) =>
      /inspect/.test(command) &&
      JSON_LINE.test(theirs ?? ours ?? '') &&
      (kind === 'ours' ||
        /": (?:null|\{\}|\[\]),?$|"(?:lb-|Created|IPAMConfig|Options|Aliases|ingress-sbox|StopGracePeriod|DNSConfig)|^\s*[[\]{}],?\s*$/.test(
          theirs ?? '',
        )),
  },
  {
    name: 'kernel-modules',
    words: 'tunnel devices that a kernel makes when their modules are loaded',
    explains: ({ theirs = '', ours = '' }) => MODULES.test(theirs) || MODULES.test(ours),
  },
  {
    name: 'tool-version',
    words: 'the same, but for what other versions of the tool print besides, and for the names of machines',
    explains: (row, context) =>
      /^inet6 |^(?:rtt|round-trip) min\//.test(plainForm(row.theirs ?? row.ours ?? '')) ||
      twinOf(row, context) !== undefined,
  },
  {
    name: 'internet',
    words: 'the world outside is one host that answers for all names',
    explains: ({ theirs, ours }, { command }) =>
      // A router that says that it knows no way, where others are silent.
      (/\bping\b/.test(command) && /Unreachable$|, 100% packet loss/.test(theirs ?? ours ?? '')) ||
      (/\b(?:ping|curl|wget|dig|nslookup|traceroute)\b/.test(command) &&
        /\b[\w-]+\.(?:com|net|org|io|es|cn)\b/.test(command) &&
        !/bad address|not known/.test(ours ?? '')),
  },
  {
    name: 'cut-off',
    words: 'the guide leaves the end of the output away',
    explains: (row, { rows }) =>
      row.kind === 'ours' &&
      rows.every(({ kind }) => kind !== 'theirs') &&
      rows.slice(rows.indexOf(row)).every(({ kind }) => kind === 'ours'),
  },
  {
    name: 'other-history',
    words:
      'lists show what else has been done on a machine: the guide’s has another history than ours, which has seen this guide alone',
    explains: ({ theirs, ours, kind }, { command, made, inside, rows }) => {
      if (inside || !LISTS.test(command) || command.includes('|')) return false;
      // A line of either about the same object is about nobody's history.
      const words = new Set((theirs ?? ours ?? '').split(/[\s:@]+/).filter((word) => made.has(word)));
      if (kind === 'theirs') return words.size === 0;
      return !rows.some((row) => row.kind === 'theirs' && row.theirs?.split(/[\s:@]+/).some((word) => words.has(word)));
    },
  },
];

/** `docker ps` cuts commands off; an image's is not known. */
function sameButQuoted(theirs: string | undefined, ours: string | undefined): boolean {
  return (theirs ?? ours ?? '').includes('"');
}

export function reasonFor(row: Row, context: Context): Reason | undefined {
  return REASONS.find((reason) => reason.explains(row, context));
}
