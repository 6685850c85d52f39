/**
 * What of a line of output is another's every time: ids, times, sizes, counters, MAC addresses, addresses. Two lines are the same
 * if they are so without these; the addresses and ids that stand in the same place mean the same thing from then on.
 */

/** In this order: what one takes, the next does not see. */
const ASIDE: readonly [RegExp, string][] = [
  [/\b\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d)?/g, '<time>'],
  [/\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?: [+-]\d{4} \w+)?/g, '<time>'],
  [/^\s*\d\d:\d\d:\d\d\.\d{6}\b/g, '<time>'],
  [
    /\b(?:about (?:a|an) (?:minute|hour)|less than a second|an? (?:second|minute|hour) ago|\d+ (?:second|minute|hour|day|week|month|year)s?)(?: ago)?\b/gi,
    '<while>',
  ],
  [/\btime[=<][\d.]+ ?ms\b/g, 'time=<ms>'],
  [/\btime \d+ms\b/g, 'time <ms>'],
  [/ = [\d.]+(?:\/[\d.]+){2,3} ms\b/g, ' = <ms>'],
  [/\bSWMTKN-1-[0-9a-z]+-[0-9a-z]+\b/g, '<token>'],
  [/\bsha256:[0-9a-f]+\b/g, '<id>'],
  [/\b[0-9a-f]{64}\b/g, '<id>'],
  [/\b8000\.[0-9a-f]{12}\b/g, '<bridge>'],
  [/\bveth[0-9a-f]{7}\b/g, '<veth>'],
  [/\bveth\d+\b/g, '<veth>'],
  [/\b(?:1|2|lb)-(?=[0-9a-z]*\d)[0-9a-z]{9,10}\b/g, '<namespace>'],
  [/\b(?=[0-9a-z]*\d)(?=[0-9a-z]*[a-z])[0-9a-z]{25}\b/g, '<id>'],
  [/\b(?=[0-9a-z]*\d)(?=[0-9a-z]*[a-z])[0-9a-z]{12}\b/g, '<id>'],
  [/\b\d{12}\b/g, '<id>'],
  [/\b(?!ff:ff:ff:ff:ff:ff|00:00:00:00:00:00)(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b/g, '<mac>'],
  [/\bfe80:[0-9a-f:]+/g, '<link-local>'],
  [/\b\d+(?:\.\d+)?\s?[kMGT]i?B\b/g, '<size>'],
  [/\bip(?:-\d+){4}\b/g, '<host>'],
  [/^\s*\d+: (?=[\w.-]+[@:])/g, '<n>: '],
  [/@if\d+\b/g, '@if<n>'],
  [/\((policy \w+) \d+[KMG]? packets, \d+[KMG]? bytes\)/g, '($1)'],
  [/^\s*\d+[KMG]?\s+\d+[KMG]?\s+(?=[A-Z][\w-]* )/g, '<count> '],
  [/\bid \d+, seq\b/g, 'id <n>, seq'],
  // Marks of published services count up.
  [/\bFWM\s+\d+/g, 'FWM <n>'],
  [/\bMARK set 0x[0-9a-f]+/g, 'MARK set <n>'],
  [/"Index": \d+/g, '"Index": <n>'],
  // Which task of a service runs where is drawn.
  [/\b([\w-]+)\.\d+\.<id>/g, '$1.<task>'],
];

export const ADDRESS = /\b\d{1,3}(?:\.\d{1,3}){3}\b/g;
/** What is asked for by hand, and means the same everywhere. */
const EVERYWHERE = /^(?:0\.0\.0\.0|127\.|224\.|255\.|169\.254\.)/;

/** A line with its blanks collapsed and all that is another's every time taken out. */
export function plainForm(line: string): string {
  let text = line.replace(/\s+$/, '');
  for (const [pattern, name] of ASIDE) text = text.replace(pattern, name);
  text = text.replace(ADDRESS, (address) => (EVERYWHERE.test(address) ? address : '<address>'));
  return text.replace(/\s+/g, ' ').replace(/,$/, '').trim();
}

/** What a guide's machine printed → what stands there in ours: addresses, ids, tokens, names of interfaces. */
const TOKENS = [
  /\bSWMTKN-1-[0-9a-z]+-[0-9a-z]+\b/g,
  /\b[0-9a-f]{64}\b/g,
  /\b(?=[0-9a-z]*\d)(?=[0-9a-z]*[a-z])[0-9a-z]{25}\b/g,
  /\b(?:1|2|lb)-(?=[0-9a-z]*\d)[0-9a-z]{9,10}\b/g,
  /\bveth[0-9a-f]{7}\b/g,
  /(?<![\w-])(?=[0-9a-z]*\d)(?=[0-9a-z]*[a-z])[0-9a-z]{12}(?![\w-])/g,
  ADDRESS,
];

export class Meanings {
  readonly #ours = new Map<string, string>();
  readonly #fixed = new Set<string>();

  /** Two lines that are the same. */
  learn(theirs: string, ours: string): void {
    for (const pattern of TOKENS) {
      const [left, right] = [theirs, ours].map((line) => line.match(pattern) ?? []);
      if (!left || !right || left.length !== right.length) continue;
      for (const [i, token] of left.entries()) this.note(token, right[i] ?? token);
    }
  }

  /** One that is `fixed` is not learned anew. */
  note(theirs: string, ours: string, fixed = false): void {
    if (EVERYWHERE.test(theirs) || this.#fixed.has(theirs)) return;
    this.#ours.set(theirs, ours);
    if (fixed) this.#fixed.add(theirs);
  }

  /** Undefined: the guide has not shown it. */
  of(token: string): string | undefined {
    const known = this.#ours.get(token);
    if (known !== undefined) return known;
    // Ids are typed short.
    if (!/^[0-9a-z]{3,}$/.test(token) || !/\d/.test(token)) return undefined;
    const [, ours] = [...this.#ours].find(([theirs]) => theirs.length > token.length && theirs.startsWith(token)) ?? [];
    return ours?.slice(0, Math.max(token.length, 12));
  }

  /** A command with our own addresses and ids in it. */
  translate(command: string): string {
    return command.replaceAll(
      /SWMTKN-1-[0-9a-z-]+|\d{1,3}(?:\.\d{1,3}){3}|(?<![\w.-])(?:[12]-)?[0-9a-z]{3,64}(?![\w-])/g,
      (token) => this.of(token) ?? token,
    );
  }

  clear(): void {
    this.#ours.clear();
    this.#fixed.clear();
  }
}
