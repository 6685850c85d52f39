/**
 * Why a line may differ although both are right: a short list of known reasons, each with a name. What none of them explains is a
 * difference.
 */

import type { Row } from './compare.js';
import { plainForm } from './words.js';

export interface Context {
  command: string;
  /** All of our output. */
  output: string;
  rows: readonly Row[];
  /** It was typed inside a container, whose insides the guide's own commands have made. */
  inside: boolean;
  /** Objects that the guide's own commands have made so far. */
  made: ReadonlySet<string>;
}

export interface Reason {
  name: string;
  words: string;
  explains(row: Row, context: Context): boolean;
}

const LISTS =
  /\b(?:(?:network|container|node|service|image|volume|stack) ls|docker (?:ps|images)|service ps|ip (?:a|addr|address|link|route|r)\b|ip netns|brctl show|netstat|ss |route)/;
const JSON_LINE = /^\s*(?:"[^"]*":|[[\]{}"])/;
const MODULES =
  /^\s*(?:\d+: )?(?:tunl0|ip6tnl0|sit0|gre0|gretap0|erspan0|ip_vti0|ip6_vti0|ip6gre0|teql0)@NONE:|^\s*link\/(?:ipip|tunnel6|sit|gre|void) /;

/** Lines whose differences are a version's: what newer iproute2, busybox and kernels print besides. */
function withoutVersions(line: string): string {
  return plainForm(line)
    .replace(
      / qlen \d+| qdisc \w+| group default| mode DEFAULT| state \w+| scope global| brd \S+| proto kernel| metric \d+/g,
      '',
    )
    .replace(/@if<n>|@\w+(?=:)| link-netns\S* \S+| link-netnsid \d+|,M-DOWN/g, '')
    .replace(/ ttl=\d+/, '')
    .replace(/ +/g, ' ');
}

export const REASONS: readonly Reason[] = [
  {
    name: 'not-simulated',
    words: 'a program that swarmwire does not simulate',
    explains: (_, { output }) =>
      /\b(?:sh|exec): "?[\w./-]+"?: (?:not found|executable file not found)|executable file not found in \$PATH/.test(
        output,
      ),
  },
  {
    name: 'refused',
    words: 'swarmwire does not do that, and says so',
    explains: (_, { output }) =>
      /\bswarmwire(?::| (?:does|has|cannot|measures|serves))/.test(output) && /Error|swarmwire:/.test(output),
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
    words: 'the same with what other versions of the tool and the kernel print besides',
    explains: ({ theirs, ours, kind }, { rows }) => {
      const form = withoutVersions(theirs ?? ours ?? '');
      const other = kind === 'theirs' ? 'ours' : 'theirs';
      if (/^inet6 /.test(form)) return true;
      return rows.some((row) => row.kind === other && withoutVersions(row[other] ?? '') === form);
    },
  },
  {
    name: 'internet',
    words: 'the world outside is one host that answers for all names',
    explains: ({ theirs, ours }, { command }) =>
      /\b(?:ping|curl|wget|dig|nslookup|traceroute)\b/.test(command) &&
      /\b[\w-]+\.(?:com|net|org|io|es|cn)\b/.test(command) &&
      (theirs ?? ours) !== undefined,
  },
  {
    name: 'other-history',
    words:
      'lists show what else has been done on a machine: the guide’s has another history than ours, which has seen this guide alone',
    explains: ({ theirs, ours }, { command, made, inside }) => {
      if (inside || !LISTS.test(command)) return false;
      if (theirs !== undefined) return ![...made].some((name) => theirs.split(/[\s:@]+/).includes(name));
      return ours !== undefined;
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
