/** Which machine a guide means: its names for its nodes, and the one that each command is typed on. */

import type { Block } from './guide.js';
import { promptOf } from './prompts.js';
import type { Step } from './steps.js';

/** `manager1`, `worker-2`, `node 3`, and a lone `manager`. */
const NAME = /\b(manager|master|leader|worker|node|host|server|vm|machine)[-_ ]?(\d+)\b|\b(manager)\b/gi;

interface Named {
  name: string;
  kind: string;
  number: number;
}

function namesIn(text: string): Named[] {
  return [...text.matchAll(NAME)].map(([whole, kind = '', number, alone]) => ({
    name: whole.toLowerCase().replace(' ', ''),
    kind: (alone ?? kind).toLowerCase().replace(/master|leader/, 'manager'),
    number: number === undefined ? 1 : Number(number),
  }));
}

export class Machines {
  /** Node names of the swarm to make, in their order. */
  readonly nodes: string[];
  /** A guide's name for a machine → its place among the nodes. */
  readonly #places = new Map<string, number>();
  readonly #managers: number;
  readonly #fromNought: boolean;

  constructor(blocks: readonly Block[], steps: readonly Step[], nodes: number | undefined) {
    const mentioned = blocks.flatMap(({ before }) => before.flatMap(namesIn));
    // `docker node ls` lists them all.
    mentioned.push(
      ...steps
        .filter(({ command }) => /docker node ls/.test(command))
        .flatMap(({ expected }) => expected.flatMap(namesIn)),
    );
    this.#managers = Math.max(1, ...mentioned.filter(({ kind }) => kind === 'manager').map(({ number }) => number));
    this.#fromNought = mentioned.some(({ kind, number }) => kind !== 'manager' && kind !== 'worker' && number === 0);
    const names: string[] = [];
    const claim = (name: string, place: number) => {
      if (this.#places.has(name)) return;
      this.#places.set(name, place);
      names[place] ??= name;
    };
    const written = [
      ...steps.flatMap(({ host, shell }) => (host && shell === 'host' ? [host] : [])),
      ...blocks.flatMap(({ annotation: { node } }) => (node === undefined ? [] : [node])),
    ];
    for (const name of written) {
      if (name === 'client') continue;
      const [one] = namesIn(name);
      let place = one ? this.#placeOf(one) : 0;
      // A name that says nothing of its place: the next that is free.
      if (!one) while (names[place] !== undefined) place++;
      claim(name, place);
    }
    for (const one of mentioned)
      if (!(one.kind === 'manager' && one.name === 'manager')) claim(one.name, this.#placeOf(one));
    if (mentioned.some(({ name }) => name === 'manager')) claim('manager', 0);
    const wanted = nodes ?? Math.max(3, names.length);
    this.nodes = Array.from({ length: wanted }, (_, i) => legal(names[i]) ?? `node${i + 1}`);
    // Two machines of the same name would be one.
    for (const [i, name] of this.nodes.entries())
      if (this.nodes.indexOf(name) !== i) this.nodes[i] = `${name}-${i + 1}`;
  }

  #placeOf({ kind, number }: Named): number {
    if (kind === 'worker') return this.#managers + number - 1;
    return Math.max(0, kind === 'manager' || !this.#fromNought ? number - 1 : number);
  }

  /** What the guide and we call them. */
  get names(): string[] {
    return [...new Set([...this.nodes, ...this.#places.keys()])];
  }

  /** A node's name; undefined: the guide's machine is none of the nodes. */
  node(name: string): string | undefined {
    if (this.nodes.includes(name)) return name;
    const place = this.#places.get(name.toLowerCase()) ?? this.#places.get(name);
    const [one] = namesIn(name);
    return this.nodes[place ?? (one ? this.#placeOf(one) : Number.NaN)];
  }

  /** The machine that the text before a block means, if it names one. */
  meantBy(before: readonly string[]): string | undefined {
    for (const paragraph of [...before].reverse()) {
      const names = namesIn(paragraph);
      if (names.length === 0) continue;
      for (const words of [/(?:from|使用)/, /(?:connect to|switch(?: back)? to|connected to)/, /(?:on|using|in)/]) {
        const phrase = new RegExp(`\\b${words.source}\\s+(?:the\\s+)?(?:\\w+\\s+){0,2}[*\`]*(?:${NAME.source})`, 'i');
        const found = phrase.exec(paragraph)?.[0];
        const [one] = found ? namesIn(found.slice(found.search(/\s/))).slice(-1) : [];
        if (one) return this.node(one.name);
      }
      // A lone `manager` is a machine's name only where no other is.
      const [first] = names.some(({ name }) => name !== 'manager')
        ? names.filter(({ name }) => name !== 'manager')
        : names;
      if (first) return this.node(first.name);
    }
    return undefined;
  }
}

/** A host name that a node can have. */
function legal(name: string | undefined): string | undefined {
  return name !== undefined && /^[A-Za-z0-9][\w.-]{0,62}$/.test(name) && promptOf(name) === undefined
    ? name
    : undefined;
}
