/** Prompts: what tells a command from its output, and says whose shell it is typed in. */

import { programOf } from '../../programs/index.js';

export interface Prompt {
  /** A machine's shell, or one inside a container? `either` is a bare `#`. */
  shell: 'host' | 'container' | 'either';
  /** The machine that the prompt names. */
  host?: string;
  /** What is typed; empty for a prompt that just waits. */
  typed: string;
}

/** What guides type on a machine itself, besides the programs that there are. */
const HOST_COMMANDS = new Set(
  'apk apt apt-get brctl bridge cd chmod conntrack dnf docker docker-compose docker-machine ethtool exit export firewall-cmd getent helios id ipset iptables iptables-save ip6tables ipvsadm journalctl ln mkdir modprobe nft nmap nsenter service ssh sudo sysctl systemctl tee touch ufw vi vim watch weave yum'.split(
    ' ',
  ),
);

const USER_AT_HOST = /^\s*\[?[A-Za-z_][\w.-]*@([\w.-]+)(?::\s*|\s+)[^\]$#\s]*\]?\s?[$#](?:\s+(.*))?$/;
const PATH = /^\s*(?:\/[\w/.-]*|~)\s?#(?:\s+(.*))?$/;
const SHELL = /^\s*(?:ba|a|z)?sh-[\d.]+[$#](?:\s+(.*))?$/;
const HOST = /^\s*((?:[a-z][a-z-]*[-_]?\d+)|manager|master|leader|client)\s?[$#]\s+(.*)$/;
const DOLLAR = /^\s*\$(?:\s+(.*))?$/;
const HASH = /^\s*#(?:\s+(.*))?$/;
const CONTAINER_ID = /^[0-9a-f]{12}$/;

/** The first word, without what stands before it: `sudo`, `A=b`. */
export function commandWord(line: string): string {
  const words = line.trim().split(/\s+/);
  while (words[0] !== undefined && (/^(?:sudo|[A-Za-z_]\w*=\S*)$/.test(words[0]) || words[0] === '-E')) words.shift();
  return words[0] ?? '';
}

export function isCommand(line: string): boolean {
  if (/^\s*[A-Za-z_]\w*=\$\(/.test(line)) return true;
  const word = commandWord(line);
  // A word that is a program's name and the beginning of a sentence as well.
  return /^[a-z]/.test(word) && (HOST_COMMANDS.has(word) || programOf(word) !== undefined);
}

export function promptOf(line: string): Prompt | undefined {
  const at = USER_AT_HOST.exec(line);
  if (at) {
    const [, host = '', typed = ''] = at;
    return CONTAINER_ID.test(host) ? { shell: 'container', host, typed } : { shell: 'host', host, typed };
  }
  const inside = PATH.exec(line) ?? SHELL.exec(line);
  if (inside) return { shell: 'container', typed: inside[1] ?? '' };
  const named = HOST.exec(line);
  if (named) return { shell: 'host', host: named[1] ?? '', typed: named[2] ?? '' };
  const dollar = DOLLAR.exec(line);
  if (dollar) return { shell: 'host', typed: dollar[1] ?? '' };
  // A bare `#` begins a comment in a script, unless a command follows.
  const hash = HASH.exec(line);
  if (hash && (hash[1] === undefined || isCommand(hash[1]))) return { shell: 'either', typed: hash[1] ?? '' };
  return undefined;
}
