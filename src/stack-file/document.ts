/**
 * From text to plain data, with the place of each value: YAML 1.2 (core schema, where 22:22 is text and not a number),
 * anchors, aliases, merge keys (https://yaml.org/type/merge.html), and variables.
 */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type ParsedNode,
  parseAllDocuments,
  visit,
  type YAMLMap,
} from 'yaml';
import type { Place } from './error.js';
import type { Findings } from './findings.js';
import { InterpolationError, interpolate } from './interpolate.js';
import { below } from './places.js';

/** More values than any stack file holds: aliases of aliases can make billions out of a page of text. */
const MOST_VALUES = 100_000;
const DEEPEST = 100;

interface Pair {
  key: string;
  keyNode: Node;
  value: Node | null;
}

/** The file's only document as plain data; its places and complaints go to `findings`. @throws StackFileError */
export function readDocument(text: string, environment: Record<string, string>, findings: Findings): unknown {
  const lines = new LineCounter();
  const document = parse(text, lines, findings);
  try {
    return new Reader(text, lines, document, environment, findings).read();
  } catch (error) {
    if (error instanceof RangeError) findings.stop({ line: 1, column: 1 }, 'this file is nested too deeply');
    throw error;
  }
}

function parse(text: string, lines: LineCounter, findings: Findings): Document<ParsedNode> {
  const documents = parseOrRefuse(text, lines, findings);
  const [first, second] = documents;
  for (const document of documents) {
    for (const error of document.errors) {
      const [offset] = error.pos;
      const hint =
        error.code === 'TAB_AS_INDENT'
          ? 'YAML is indented with spaces'
          : error.code === 'DUPLICATE_KEY'
            ? 'a later value would hide the earlier one: keep one of them'
            : undefined;
      // The library's message goes on with a picture of the line; its first line says it all.
      findings.refuse(placeAt(lines, offset), `not valid YAML: ${error.message.split(/ at line \d+|\n/)[0]}`, hint);
    }
    for (const warning of document.warnings) {
      findings.refuse(
        placeAt(lines, warning.pos[0]),
        `not valid in a stack file: ${warning.message.split(/ at line \d+|\n/)[0]}`,
        'leave the tag away',
      );
    }
  }
  findings.settle();
  if (first === undefined || (first.contents === null && second === undefined)) {
    findings.stop({ line: 1, column: 1 }, 'this file is empty', 'a stack file has at least a map of services');
  }
  if (second !== undefined) {
    const offset = second.range[0];
    findings.stop(
      placeAt(lines, offset),
      'a second YAML document begins here; a stack file holds one',
      'keep one document, or give each a file of its own',
    );
  }
  return first;
}

function parseOrRefuse(text: string, lines: LineCounter, findings: Findings): Document.Parsed[] {
  try {
    // `schema` is given because a %YAML 1.1 line would otherwise turn 22:22 into 1342.
    const documents = parseAllDocuments(text, {
      lineCounter: lines,
      schema: 'core',
      uniqueKeys: true,
      prettyErrors: false,
    });
    return 'empty' in documents ? [] : documents;
  } catch (error) {
    return findings.stop(
      { line: 1, column: 1 },
      `not valid YAML: ${error instanceof RangeError ? 'nested too deeply' : String(error)}`,
    );
  }
}

function placeAt(lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

/** An alias means the anchor of its name that stands nearest before it. */
function aliasTargets(document: Document): Map<Alias, Node> {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  visit(document, {
    Node(_key, node) {
      if (isAlias(node)) {
        const target = anchors.get(node.source);
        if (target !== undefined) targets.set(node, target);
      } else if (node.anchor !== undefined) {
        anchors.set(node.anchor, node);
      }
    },
  });
  return targets;
}

class Reader {
  readonly #text: string;
  readonly #lines: LineCounter;
  readonly #document: Document;
  readonly #environment: Record<string, string>;
  readonly #findings: Findings;
  readonly #targets: Map<Alias, Node>;
  readonly #open = new Set<Node>();
  readonly #unset = new Set<string>();
  #values = 0;

  constructor(
    text: string,
    lines: LineCounter,
    document: Document,
    environment: Record<string, string>,
    findings: Findings,
  ) {
    this.#text = text;
    this.#lines = lines;
    this.#document = document;
    this.#environment = environment;
    this.#findings = findings;
    this.#targets = aliasTargets(document);
  }

  read(): unknown {
    const value = this.#plain(this.#document.contents, '', undefined, 0);
    this.#findings.settle();
    return value;
  }

  #plain(node: Node | null, pointer: string, key: Node | undefined, depth: number): unknown {
    // A value that was left empty has no place worth naming: its key has.
    const empty = node === null || (isScalar(node) && node.source === '');
    const where = this.#place(empty ? (key ?? node ?? undefined) : node);
    this.#findings.places.record(pointer, key && this.#place(key), where);
    this.#count(where, depth);
    if (node === null) return null;
    if (isAlias(node)) return this.#within(node, (target) => this.#plain(target, pointer, key, depth + 1));
    if (isScalar(node)) return this.#scalar(node.value, node, pointer);
    if (isSeq(node)) {
      return this.#guard(node, () =>
        node.items.map((item, index) => this.#plain(item as Node | null, below(pointer, index), undefined, depth + 1)),
      );
    }
    if (isMap(node)) {
      return this.#guard(node, () => {
        const map: Record<string, unknown> = {};
        for (const pair of this.#pairs(node, depth)) {
          const value = this.#plain(pair.value, below(pointer, pair.key), pair.keyNode, depth + 1);
          // Defined, not assigned: a key named __proto__ must be a key like any other.
          Object.defineProperty(map, pair.key, { value, enumerable: true, configurable: true, writable: true });
        }
        return map;
      });
    }
    return null;
  }

  /** A map's own pairs and those it merges; its own come first and win, then the first that is merged. */
  #pairs(map: YAMLMap, depth: number): Pair[] {
    const pairs = new Map<string, Pair>();
    const merged: Node[] = [];
    for (const item of map.items) {
      const keyNode = this.#keyNode(item.key as Node | null, map);
      const value = item.value as Node | null;
      if (isScalar(keyNode) && keyNode.source === '<<' && keyNode.type === 'PLAIN') {
        if (value !== null) merged.push(value);
        continue;
      }
      const key = this.#keyText(keyNode);
      if (pairs.has(key)) this.#findings.refuse(this.#place(keyNode), `the key "${key}" stands twice in this map`);
      pairs.set(key, { key, keyNode, value });
    }
    for (const node of merged) {
      for (const pair of this.#mergedPairs(node, depth + 1)) {
        if (!pairs.has(pair.key)) pairs.set(pair.key, pair);
      }
    }
    return [...pairs.values()];
  }

  #mergedPairs(node: Node, depth: number): Pair[] {
    this.#count(this.#place(node), depth);
    if (isAlias(node)) return this.#within(node, (target) => this.#mergedPairs(target, depth + 1));
    if (isMap(node)) return this.#guard(node, () => this.#pairs(node, depth));
    if (isSeq(node))
      return this.#guard(node, () => node.items.flatMap((item) => this.#mergedPairs(item as Node, depth + 1)));
    return this.#findings.stop(
      this.#place(node),
      '<< merges maps, and this is none',
      'write <<: *anchor, or <<: [*one, *other]',
    );
  }

  #keyNode(node: Node | null, map: YAMLMap): Node {
    const key = isAlias(node) ? this.#targets.get(node) : node;
    if (key === null || key === undefined)
      return this.#findings.stop(this.#place(node ?? map), 'a key is missing here');
    return key;
  }

  #keyText(node: Node): string {
    if (!isScalar(node)) return this.#findings.stop(this.#place(node), 'a key must be text, not a map or a list');
    return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
  }

  #scalar(value: unknown, node: Node, pointer: string): unknown {
    if (typeof value === 'bigint') return Number(value);
    if (typeof value !== 'string' || !isInterpolated(pointer)) return value;
    try {
      const filled = interpolate(
        value,
        (name) => (Object.hasOwn(this.#environment, name) ? this.#environment[name] : undefined),
        (name) => this.#tellUnset(name, node),
      );
      // Compose's schema takes "3" for 3 where a variable may stand; ours has plain numbers, so `nodes: ${N}` becomes one.
      const isNumber = filled !== value && pointer.startsWith('/x-swarmwire/') && /^\d{1,9}$/.test(filled);
      return isNumber ? Number(filled) : filled;
    } catch (error) {
      if (!(error instanceof InterpolationError)) throw error;
      this.#findings.refuse(this.#placeOf(value.slice(error.at, error.at + 8), node), error.message, error.hint);
      return value;
    }
  }

  #tellUnset(name: string, node: Node): void {
    if (this.#unset.has(name)) return;
    this.#unset.add(name);
    this.#findings.warn(name, this.#place(node), `variable ${name} is not set; an empty text stands in for it`);
  }

  #within<T>(alias: Alias, read: (target: Node) => T): T {
    const target = this.#targets.get(alias);
    if (target === undefined)
      return this.#findings.stop(this.#place(alias), `no anchor &${alias.source} stands before this alias`);
    return read(target);
  }

  /** Refuses a collection that holds itself. */
  #guard<T>(node: Node, read: () => T): T {
    if (this.#open.has(node)) return this.#findings.stop(this.#place(node), 'this anchor holds an alias of itself');
    this.#open.add(node);
    const result = read();
    this.#open.delete(node);
    return result;
  }

  #count(where: Place, depth: number): void {
    this.#values += 1;
    if (depth > DEEPEST) this.#findings.stop(where, 'this is nested too deeply');
    if (this.#values > MOST_VALUES)
      this.#findings.stop(where, `this file has more than ${MOST_VALUES} values once its aliases are followed`);
  }

  #place(node: Node | undefined): Place {
    return placeAt(this.#lines, node?.range?.[0] ?? 0);
  }

  /** Where `piece` stands in a scalar: quotes and escapes shift it, so it is looked for in the text itself. */
  #placeOf(piece: string, node: Node): Place {
    const [start, end] = node.range ?? [0, 0];
    const found = this.#text.slice(start, end).indexOf(piece);
    return placeAt(this.#lines, start + Math.max(found, 0));
  }
}

/** Extensions of others are none of our business; what is taken from them by an alias is read where it is used. */
function isInterpolated(pointer: string): boolean {
  return !pointer.startsWith('/x-') || pointer.startsWith('/x-swarmwire/');
}
