/**
 * A guide that is plain text, without blocks of code. Commands stand on lines of their own, and go on behind a backslash or with an
 * option at the beginning of the next line; sentences that are not in English quote them between their own characters.
 */

import type { Block, GuideLine } from './guide.js';
import { isCommand } from './prompts.js';

const PLAIN = /^[ -~]*$/;
const OPTION = /(?:^|\s)--?[A-Za-z][\w-]*/;
const REMARK = /\s+#.*$/;
/** Commands of docker's that a sentence quotes without an option. */
const QUOTED = /^docker (?:network|service|container|node|swarm|stack|image) (?:ls|ps|rm|inspect|leave|prune)$/;
const MOST_WORDS = 4;

export function plainBlocks(text: string): Block[] {
  const lines = text.replaceAll('\r\n', '\n').split('\n');
  const blocks: Block[] = [];
  let before: string[] = [];
  const add = (typed: GuideLine[], notes: string[]) => {
    blocks.push({ lines: typed, fenced: false, language: '', before, heading: false, annotation: {}, notes });
    before = [];
  };
  for (let i = 0; i < lines.length; i++) {
    const line = (lines[i] ?? '').replace(REMARK, '').trimEnd();
    if (isTyped(line)) {
      const { typed, notes, next } = wholeCommand(lines, i);
      add(typed, notes);
      i = next - 1;
      continue;
    }
    for (const quoted of PLAIN.test(line) ? [] : quotedIn(line))
      add([{ text: quoted, line: i + 1 }], ['quoted in a sentence']);
    if (line.trim() !== '') before.push(line.trim());
  }
  return blocks;
}

/** A line that somebody types, not one that begins with a word that is a program's name, too. */
function isTyped(line: string): boolean {
  if (!PLAIN.test(line) || !isCommand(line)) return false;
  return OPTION.test(line) || line.endsWith('\\') || (line.split(/\s+/).length <= MOST_WORDS && !/[.,;:)]$/.test(line));
}

/** From its first line to the line behind its last one. */
function wholeCommand(lines: readonly string[], from: number): { typed: GuideLine[]; notes: string[]; next: number } {
  const typed: GuideLine[] = [];
  const notes: string[] = [];
  let next = from;
  for (let goesOn = true; goesOn && next < lines.length; next++) {
    const text = (lines[next] ?? '').replace(REMARK, '').trimEnd();
    const last = typed.at(-1);
    if (last && !last.text.endsWith('\\')) {
      last.text += ' \\';
      notes.push(`a backslash is missing at the end of line ${last.line}`);
    }
    typed.push({ text, line: next + 1 });
    goesOn = text.endsWith('\\') || /^\s*--[a-z]/.test(lines[next + 1] ?? '');
  }
  return { typed, notes, next };
}

/** Commands between other characters. What a bare `rm` is to remove is named behind it. */
function quotedIn(line: string): string[] {
  return [...line.matchAll(/[ -~]+/g)].flatMap((found) => {
    const command = found[0].trim();
    if (!isCommand(command)) return [];
    if (QUOTED.test(command)) {
      const names = line.slice(found.index + found[0].length).match(/[A-Za-z][\w.-]*/g) ?? [];
      return command.endsWith(' rm') && names.length === 0 ? [] : [[command, ...names].join(' ')];
    }
    return OPTION.test(command) ? [command] : [];
  });
}
