/** A command line of iptables, read (v1.8.9, nf_tables back end): what is wrong is said in its words. */

import type { Iptables, Table } from '../../engine/index.js';
import { PROTOCOLS } from '../../engine/rule-bits.js';
import type { RuleMatch, RuleProtocol, RuleSpec, RuleTarget } from '../../engine/rules.js';
import { EXTENSIONS, type Extension } from '../../views/rule-matches.js';
import { Exit } from '../process.js';
import { mark, place, prefix, prefix6, rejection, TRY, VERSION, wrong } from './iptables-values.js';

export type Verb = 'A' | 'D' | 'I' | 'R' | 'C' | 'L' | 'S' | 'F' | 'Z' | 'N' | 'X' | 'E' | 'P';

export interface Line {
  verb: Verb;
  table: Table;
  chain: string | undefined;
  /** From 1; 0: none was given. */
  number: number;
  /** A policy, or a chain's new name. */
  word: string | undefined;
  numeric: boolean;
  verbose: boolean;
  exact: boolean;
  lineNumbers: boolean;
  /** One rule a source and destination. */
  rules: RuleSpec[];
}

const LONG: Record<string, string> = {
  append: 'A',
  delete: 'D',
  insert: 'I',
  replace: 'R',
  check: 'C',
  list: 'L',
  'list-rules': 'S',
  flush: 'F',
  zero: 'Z',
  new: 'N',
  'new-chain': 'N',
  'delete-chain': 'X',
  'rename-chain': 'E',
  policy: 'P',
  table: 't',
  protocol: 'p',
  proto: 'p',
  source: 's',
  src: 's',
  destination: 'd',
  dst: 'd',
  'in-interface': 'i',
  'out-interface': 'o',
  jump: 'j',
  goto: 'g',
  match: 'm',
  numeric: 'n',
  verbose: 'v',
  exact: 'x',
  'set-counters': 'c',
  wait: 'w',
  fragment: 'f',
  ipv4: '4',
  version: 'V',
  help: 'h',
  'line-numbers': '0',
  'line-number': '0',
};
const VERBS = 'ADIRCLSFZNXEP';
const NEEDS_CHAIN = 'ADIRCNEP';
const TAKES = 'tpsdiojgmc';
const TABLES: readonly Table[] = ['filter', 'nat', 'mangle', 'raw'];
const HOOKED: Record<string, readonly string[]> = { i: ['OUTPUT', 'POSTROUTING'], o: ['INPUT', 'PREROUTING'] };

export function readLine(tables: Iptables, args: readonly string[]): Line {
  return new Reader(tables, args).read();
}

class Reader {
  readonly #words: string[];
  readonly #line: Line = {
    verb: 'L',
    table: 'filter',
    chain: undefined,
    number: 0,
    word: undefined,
    numeric: false,
    verbose: false,
    exact: false,
    lineNumbers: false,
    rules: [],
  };
  #verb: Verb | undefined;
  readonly #given = new Set<string>();
  #match: RuleMatch = {};
  #sources: (string | undefined)[] = [undefined];
  #destinations: (string | undefined)[] = [undefined];
  #notSource = false;
  #notDestination = false;
  #jump: string | undefined;
  #targetOptions: Record<string, string> = {};
  readonly #loaded: Extension[] = [];

  constructor(
    private readonly tables: Iptables,
    args: readonly string[],
  ) {
    this.#words = [...args];
  }

  read(): Line {
    let not = false;
    while (this.#words.length > 0) {
      const word = this.#words.shift() ?? '';
      if (word === '!') {
        not = true;
        continue;
      }
      if (word.startsWith('--')) this.#long(word, not);
      else if (word.startsWith('-') && word.length > 1) this.#short(word, not);
      else throw new Exit(2, `Bad argument \`${word}'\n${TRY}`);
      not = false;
    }
    if (this.#verb === undefined) throw wrong('no command specified');
    this.#line.verb = this.#verb;
    this.#finish();
    return this.#line;
  }

  #long(word: string, not: boolean): void {
    const [name = '', ...rest] = word.slice(2).split('=');
    if (rest.length > 0) this.#words.unshift(rest.join('='));
    const letter = LONG[name];
    if (letter !== undefined) this.#option(letter, word, not);
    else this.#extension(name, word, not);
  }

  /** `-nvL`, `-tnat`: letters together, the last of which may take a value. */
  #short(word: string, not: boolean): void {
    for (let at = 1; at < word.length; at++) {
      const letter = word[at] ?? '';
      if ((TAKES + NEEDS_CHAIN).includes(letter) && at + 1 < word.length) {
        this.#words.unshift(word.slice(at + 1));
        this.#option(letter, `-${letter}`, not);
        return;
      }
      if (letter === 'w' && at + 1 < word.length) {
        if (!/^\d+$/.test(word.slice(at + 1))) throw wrong('wait seconds not numeric');
        return;
      }
      this.#option(letter, `-${letter}`, not);
    }
  }

  #value(option: string): string {
    const value = this.#words.shift();
    if (value === undefined) throw wrong(`option "${option}" requires an argument`);
    return value;
  }

  /** Where the next word is no option, it is the value. */
  #maybe(): string | undefined {
    const [next] = this.#words;
    return next === undefined || next.startsWith('-') || next === '!' ? undefined : this.#words.shift();
  }

  #once(letter: string): void {
    if (this.#given.has(letter)) throw wrong(`multiple -${letter} flags not allowed`);
    this.#given.add(letter);
  }

  #option(letter: string, option: string, not: boolean): void {
    if (VERBS.includes(letter)) {
      if (this.#verb !== undefined) throw wrong(`Cannot use -${letter} with -${this.#verb}`);
      this.#verb = letter as Verb;
      this.#commandWords(letter as Verb, option);
      return;
    }
    const line = this.#line;
    switch (letter) {
      case 't': {
        const name = this.#value(option);
        const table = TABLES.find((one) => one === name);
        if (!table && name !== 'security')
          throw new Exit(
            3,
            `${VERSION}: table '${name}' does not exist\nPerhaps iptables or your kernel needs to be upgraded.`,
          );
        if (!table) throw wrong(`table ${name}: not simulated`);
        line.table = table;
        return;
      }
      case 'n':
        line.numeric = true;
        return;
      case 'v':
        line.verbose = true;
        return;
      case 'x':
        line.exact = true;
        return;
      case '0':
        line.lineNumbers = true;
        return;
      case 'w':
        if (/^\d+$/.test(this.#words[0] ?? '')) this.#words.shift();
        return;
      case '4':
        return;
      case 'V':
        throw new Exit(0, '');
      case 'c':
        throw wrong('-c: not simulated');
      case 'p':
        this.#once('p');
        this.#protocol(this.#value(option), not);
        return;
      case 's':
        this.#once('s');
        this.#sources = this.#value(option)
          .split(',')
          .map((text) => this.#prefix(text));
        this.#notSource = not;
        return;
      case 'd':
        this.#once('d');
        this.#destinations = this.#value(option)
          .split(',')
          .map((text) => this.#prefix(text));
        this.#notDestination = not;
        return;
      case 'i':
      case 'o':
        this.#once(letter);
        this.#interface(letter, this.#value(option), not);
        return;
      case 'j':
        this.#once('j');
        this.#jump = this.#value(option);
        return;
      case 'm':
        this.#load(this.#value(option));
        return;
      case 'g':
      case 'f':
        throw wrong(`-${letter}: not simulated`);
      default:
        throw wrong(`unknown option "${option}"`);
    }
  }

  #commandWords(verb: Verb, option: string): void {
    const line = this.#line;
    line.chain = NEEDS_CHAIN.includes(verb) ? this.#value(option) : this.#maybe();
    if ('DIRLS'.includes(verb) && line.chain !== undefined && /^\d+$/.test(this.#words[0] ?? ''))
      line.number = Number(this.#words.shift());
    if (verb === 'P' || verb === 'E') {
      line.word = this.#maybe();
      if (line.word === undefined)
        throw wrong(
          verb === 'P' ? '-P requires a chain and a policy' : '-E requires old-chain-name and new-chain-name',
        );
    }
  }

  #protocol(name: string, not: boolean): void {
    const text = name.toLowerCase().replace(/^icmpv6$/, 'ipv6-icmp');
    const protocol = (Object.keys(PROTOCOLS) as RuleProtocol[]).find(
      (one) => one === text || PROTOCOLS[one] === Number(text),
    );
    if (!protocol && (text === 'all' || text === '0')) return;
    if (!protocol && /^(?:\d{1,3}|esp|ah|gre|igmp|udplite|dccp|ospf)$/.test(text))
      throw wrong(`-p ${name}: not simulated`);
    if (!protocol) throw wrong(`unknown protocol "${name}" specified`);
    this.#match.protocol = protocol;
    if (not) this.#match.not = ['protocol'];
    const own = EXTENSIONS.find(({ names }) => names.includes(protocol));
    if (own) this.#loaded.push(own);
  }

  #interface(letter: 'i' | 'o', name: string, not: boolean): void {
    if (name.length > 15) throw wrong(`interface name \`${name}' must be shorter than IFNAMSIZ (15)`);
    const { chain = '' } = this.#line;
    if (HOOKED[letter]?.includes(chain)) throw wrong(`Can't use -${letter} with ${chain}\n`);
    if (name.endsWith('+')) throw wrong(`-${letter} ${name}: not simulated (name one interface)`);
    // There need not be such an interface yet.
    const one = { name };
    if (letter === 'i') Object.assign(this.#match, not ? { notIn: one } : { in: one });
    else Object.assign(this.#match, not ? { notOut: one } : { out: one });
  }

  #load(name: string): void {
    const extension = EXTENSIONS.find(({ names }) => names.includes(name));
    if (extension) {
      this.#loaded.push(extension);
      return;
    }
    if (REAL.has(name)) throw wrong(`match ${name}: not simulated`);
    throw wrong(`Couldn't load match \`${name}':No such file or directory\n`);
  }

  /** An option of a match that was loaded, or of the target. */
  #extension(name: string, option: string, not: boolean): void {
    const extension = this.#loaded.find(({ options }) => Object.hasOwn(options, name));
    const read = extension?.options[name];
    if (extension && read) {
      const value = extension.flags?.includes(name) ? '' : this.#value(option);
      try {
        Object.assign(this.#match, read({ value, not }, name, this.#match));
      } catch (error) {
        if (error instanceof RangeError) throw wrong(error.message);
        throw error;
      }
      return;
    }
    const full = TARGET_OPTIONS.find((one) => one.startsWith(name) && name.length >= 2);
    if (this.#jump === undefined || full === undefined) throw wrong(`unknown option "${option}"`);
    this.#targetOptions[full] = full === 'random' || full === 'persistent' ? '' : this.#value(option);
  }

  #finish(): void {
    const line = this.#line;
    if (!'ADIRC'.includes(line.verb)) return;
    if (line.verb === 'D' && line.number > 0) return;
    const target = this.#target();
    for (const source of this.#sources) {
      for (const destination of this.#destinations) {
        const match: RuleMatch = { ...this.#match };
        if (source !== undefined && !source.endsWith('/0'))
          Object.assign(match, this.#notSource ? { notSource: source } : { source });
        if (destination !== undefined && !destination.endsWith('/0'))
          Object.assign(match, this.#notDestination ? { notDestination: destination } : { destination });
        line.rules.push({ ...match, ...target });
      }
    }
  }

  #prefix(text: string): string {
    return this.tables.family === 'ip6' ? prefix6(text) : prefix(text);
  }

  #target(): RuleTarget {
    const name = this.#jump;
    const options = this.#targetOptions;
    const needs = (option: string): string => {
      const value = options[option];
      if (value === undefined) throw wrong(`${name}: option "--${option}" must be specified\n`);
      return value;
    };
    switch (name) {
      case undefined:
        return { target: 'NONE' };
      case 'ACCEPT':
      case 'DROP':
      case 'RETURN':
        return { target: name };
      case 'MASQUERADE':
        if (Object.keys(options).length > 0) throw wrong('MASQUERADE: its options are not simulated');
        return { target: name };
      case 'MARK':
        return mark(options);
      case 'DNAT':
        return { target: name, ...place(needs('to-destination')) };
      case 'SNAT':
        return { target: name, ...place(needs('to-source')) };
      case 'REJECT':
        return rejection(options['reject-with'], this.tables.family);
      case 'REDIRECT': {
        const ports = needs('to-ports');
        if (!/^\d+$/.test(ports)) throw wrong(`REDIRECT: ${ports}: not simulated (one port)`);
        return { target: name, port: Number(ports) };
      }
      default:
        if (this.tables.chains[this.#line.table].has(name) && !/^[A-Z]+ROUTING$|^(?:IN|OUT)PUT$|^FORWARD$/.test(name))
          return { target: 'JUMP', chain: name };
        if (REAL_TARGETS.has(name)) throw wrong(`target ${name}: not simulated`);
        throw wrong(`Chain '${name}' does not exist`);
    }
  }
}

const TARGET_OPTIONS = [
  'to-destination',
  'to-source',
  'to-ports',
  'set-mark',
  'set-xmark',
  'or-mark',
  'and-mark',
  'xor-mark',
  'reject-with',
  'random',
  'persistent',
];
/** Matches and targets that iptables has and the engine has not. */
const REAL = new Set(
  'limit multiport connmark mac owner iprange set string tcpmss time recent physdev length ttl tos hashlimit connlimit statistic icmp helper pkttype rpfilter bpf cgroup'.split(
    ' ',
  ),
);
const REAL_TARGETS = new Set(
  'LOG NFLOG TPROXY CT CONNMARK NOTRACK TCPMSS TTL NETMAP SET CLASSIFY TOS DSCP QUEUE NFQUEUE'.split(' '),
);
