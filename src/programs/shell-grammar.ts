/** A shell's grammar: a line's tokens (words with their quotes still in them, operators), and the pipelines that they make. */

import { Exit } from './process.js';

/** A piece of a line: an operator, or a word with its quotes still in it. */
export type Token = { kind: 'operator' | 'word'; text: string };

export interface Redirection {
  file: 'stdin' | 'stdout' | 'stderr';
  to: string | 'stdout' | 'stderr';
  /** `2>&1` */
  duplicate: boolean;
  append: boolean;
  /** `<<END`: its lines; `to` is the word at its end, whose quotes keep variables from being read. */
  document?: string;
}

export interface Command {
  words: string[];
  redirections: Redirection[];
}
/** Commands joined by pipes, and when it is to run. */
export interface Pipeline {
  when: 'always' | 'success' | 'failure';
  commands: Command[];
}

const SYNTAX = 2;
const UNSUPPORTED = new Set([
  'for',
  'while',
  'until',
  'if',
  'case',
  'function',
  '{',
  'do',
  'done',
  'then',
  'fi',
  'esac',
]);

/** The word behind `<<` or `<<-`. */
const DOCUMENT = /(?<![<\d])<<(-?)\s*('[^']*'|"[^"]*"|[\w.-]+)/;

/** Is more of it to come: the last line ends in a backslash, or a here-document has not ended? */
export function continues(text: string): boolean {
  const lines = text.split('\n');
  if (/(?:^|[^\\])(?:\\\\)*\\$/.test(lines.at(-1) ?? '')) return true;
  const open = lines.findIndex((line) => DOCUMENT.test(line));
  if (open < 0) return false;
  return !lines.slice(open + 1).some((line) => line.trim() === delimiterOf(lines[open] ?? ''));
}

function delimiterOf(line: string): string {
  return (DOCUMENT.exec(line)?.[2] ?? '').replaceAll(/['"]/g, '');
}

/** A script's commands, each with the lines that belong to it. */
export function logicalLines(text: string): string[] {
  const found: string[] = [];
  let line: string | undefined;
  for (const next of text.split('\n')) {
    line = line === undefined ? next : `${line}\n${next}`;
    if (continues(line)) continue;
    found.push(line);
    line = undefined;
  }
  if (line !== undefined) found.push(line);
  return found;
}

/** What follows a line that asks for a here-document, up to its end. */
function documentIn(text: string): { line: string; document: string | undefined } {
  const joined = text.replaceAll('\\\n', '');
  const [line = '', ...rest] = joined.split('\n');
  const match = DOCUMENT.exec(line);
  if (!match) return { line: joined, document: undefined };
  const end = rest.findIndex((one) => one.trim() === delimiterOf(line));
  const lines = (end < 0 ? rest : rest.slice(0, end)).map((one) => (match[1] ? one.replace(/^\t+/, '') : one));
  return { line, document: lines.map((one) => `${one}\n`).join('') };
}

/** @throws Exit for a syntax error */
export function parseLine(text: string): Pipeline[] {
  const { line, document } = documentIn(text);
  return parse(tokens(line), document);
}

/** @throws Exit for what does not end, and for what this shell does not know. */
function tokens(line: string): Token[] {
  const found: Token[] = [];
  let word: string | undefined;
  const end = () => {
    if (word !== undefined) found.push({ kind: 'word', text: word });
    word = undefined;
  };
  for (let i = 0; i < line.length; i++) {
    const c = line[i] ?? '';
    if (c === "'" || c === '"') {
      const close = quoteEnd(line, i);
      word = (word ?? '') + line.slice(i, close + 1);
      i = close;
    } else if (c === '\\') {
      word = (word ?? '') + line.slice(i, i + 2);
      i++;
    } else if (c === '`' || (c === '$' && line[i + 1] === '(')) {
      const close = substitutionEnd(line, i);
      word = (word ?? '') + line.slice(i, close + 1);
      i = close;
    } else if (/\s/.test(c)) end();
    else if (c === '#' && word === undefined) break;
    else {
      const operator = /^(?:&&|\|\||[12]?>&[12]|[012]?>>|[12]?>|&>|<<-?|<|\||;|&|\(|\))/.exec(line.slice(i))?.[0];
      // A digit is part of an operator only at a word's beginning.
      if (operator && (!/^\d/.test(operator) || word === undefined)) {
        end();
        found.push({ kind: 'operator', text: operator });
        i += operator.length - 1;
      } else word = (word ?? '') + c;
    }
  }
  end();
  return found;
}

function parse(all: readonly Token[], document: string | undefined): Pipeline[] {
  const pipelines: Pipeline[] = [];
  let when: Pipeline['when'] = 'always';
  let command: Command = { words: [], redirections: [] };
  let commands: Command[] = [];
  const unexpected = (text: string) => new Exit(SYNTAX, `sh: syntax error: unexpected "${text}"`);
  const endCommand = (text: string) => {
    if (command.words.length === 0 && command.redirections.length === 0) throw unexpected(text);
    commands.push(command);
    command = { words: [], redirections: [] };
  };
  const endPipeline = (text: string) => {
    endCommand(text);
    pipelines.push({ when, commands });
    commands = [];
  };
  for (let i = 0; i < all.length; i++) {
    const token = all[i];
    if (!token) break;
    const { kind, text } = token;
    if (kind === 'word') {
      if (command.words.length === 0 && UNSUPPORTED.has(text))
        throw new Exit(SYNTAX, `sh: "${text}" is not supported by this shell: it runs one-liners`);
      command.words.push(text);
      continue;
    }
    if (text === '|') endCommand(text);
    else if (text === ';' || text === '&&' || text === '||') {
      endPipeline(text);
      when = text === ';' ? 'always' : text === '&&' ? 'success' : 'failure';
    } else if (text.includes('>&')) {
      command.redirections.push({
        file: text.startsWith('2') ? 'stderr' : 'stdout',
        to: text.endsWith('1') ? 'stdout' : 'stderr',
        duplicate: true,
        append: false,
      });
    } else if (text.startsWith('<<')) {
      const end = all[++i];
      if (end?.kind !== 'word') throw unexpected(end?.text ?? 'newline');
      command.redirections.push({
        file: 'stdin',
        to: end.text,
        duplicate: false,
        append: false,
        document: document ?? '',
      });
    } else if (text.endsWith('>') || text === '<') {
      const target = all[++i];
      if (target?.kind !== 'word') throw unexpected(target?.text ?? 'newline');
      const append = text.endsWith('>>');
      if (text === '&>') {
        command.redirections.push(
          { file: 'stdout', to: target.text, duplicate: false, append },
          { file: 'stderr', to: 'stdout', duplicate: true, append },
        );
      } else {
        const file = text === '<' ? 'stdin' : text.startsWith('2') ? 'stderr' : 'stdout';
        command.redirections.push({ file, to: target.text, duplicate: false, append });
      }
    } else throw new Exit(SYNTAX, `sh: "${text}" is not supported by this shell: it runs one-liners`);
  }
  if (command.words.length > 0 || command.redirections.length > 0) endPipeline('newline');
  else if (commands.length > 0 || (when !== 'always' && all.length > 0)) throw unexpected('newline');
  return pipelines;
}

/** Where the quote that begins at `from` ends. */
export function quoteEnd(line: string, from: number): number {
  const quote = line[from];
  for (let i = from + 1; i < line.length; i++) {
    if (line[i] === quote) return i;
    if (quote === "'") continue;
    if (line[i] === '\\') i++;
    else if (line[i] === '$' && line[i + 1] === '(') i = substitutionEnd(line, i);
  }
  throw new Exit(SYNTAX, 'sh: syntax error: unterminated quoted string');
}

/** Where the `$(…)` or the backquotes that begin at `from` end. */
export function substitutionEnd(line: string, from: number): number {
  if (line[from] === '`') {
    const close = line.indexOf('`', from + 1);
    if (close > 0) return close;
    throw new Exit(SYNTAX, 'sh: syntax error: EOF in backquote substitution');
  }
  let depth = 0;
  for (let i = from + 1; i < line.length; i++) {
    const c = line[i];
    if (c === '\\') i++;
    else if (c === "'" || c === '"') i = quoteEnd(line, i);
    else if (c === '(') depth++;
    else if (c === ')' && --depth === 0) return i;
  }
  throw new Exit(SYNTAX, 'sh: syntax error: unexpected end of file (expecting ")")');
}
