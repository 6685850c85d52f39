/** A guide's commands in their order, each with the output that the guide shows for it. */

import { continues } from '../../programs/index.js';
import type { Block } from './guide.js';
import { isCommand, type Prompt, promptOf } from './prompts.js';

export interface Step {
  /** Of the command, from 1. */
  line: number;
  command: string;
  /** Whose shell: `either` until it is known whether one in a container is open. */
  shell: 'host' | 'container' | 'either';
  /** The machine that its prompt names. */
  host?: string;
  /** What the guide prints for it; undefined: nothing at all. */
  expected: string[];
  block: Block;
  /** Ctrl-C, and leaving a container's shell with Ctrl-P Ctrl-Q. */
  ends?: 'interrupt' | 'detach';
}

/** Languages of blocks that nobody types into a shell. */
const OTHER_LANGUAGES = /^(?:ya?ml|dockerfile|go|js|javascript|typescript|python|ini|toml|xml|html|c|java|rust)\b/;
const DETACH = /^\s*ctrl[-+ ]?p[\s,+]*ctrl[-+ ]?q/i;
const NOTE = /\s+(?:<--.*|#\s.*)$/;

export function stepsOf(blocks: readonly Block[]): Step[] {
  return blocks.flatMap((block) => (OTHER_LANGUAGES.test(block.language) ? [] : stepsIn(block)));
}

function stepsIn(block: Block): Step[] {
  const prompts = block.lines.map(({ text }) => promptOf(text));
  const prompted = prompts.some((prompt) => prompt !== undefined && prompt.typed !== '');
  const steps: Step[] = [];
  let step: Step | undefined;
  let open = false;
  let waited = false;
  const begin = (text: string, line: number, { shell, host }: Omit<Prompt, 'typed'>) => {
    step = { line, command: text, shell, ...(host ? { host } : {}), expected: [], block };
    steps.push(step);
    open = continues(withoutNote(text));
    if (open) step.command = withoutNote(text);
  };
  for (const [i, { text, line }] of block.lines.entries()) {
    const prompt = prompts[i];
    if (open && step && !(prompt?.shell === 'host' && prompt.typed !== '')) {
      // A shell asks for more with `> `.
      const more = withoutNote(text.replace(/^> /, ''));
      step.command += `\n${more}`;
      open = continues(step.command);
    } else if (prompt) {
      waited = true;
      if (prompt.typed === '') step = undefined;
      else begin(prompt.typed, line, prompt);
    } else if (DETACH.test(text)) {
      steps.push({ line, command: '', shell: 'either', expected: [], block, ends: 'detach' });
      step = undefined;
    } else if (isCommand(text) && (!prompted || !waited || step === undefined))
      begin(text.trim(), line, { shell: 'either' });
    else if (step) {
      if (/^\^C/.test(text.trim())) step.ends = 'interrupt';
      else step.expected.push(text);
    }
  }
  for (const one of steps) {
    one.command = one.command.replace(/\\\s*$/, '').trimEnd();
    one.expected = trimmed(one.expected);
  }
  return steps.filter(({ command, ends }) => command !== '' || ends === 'detach');
}

/** Backslash, blanks and a remark: the remark is none of the command's. */
function withoutNote(text: string): string {
  return text.replace(/\\\s+#.*$/, '\\').replace(/\\\s+$/, '\\');
}

function trimmed(lines: readonly string[]): string[] {
  const kept = lines.map((line) => line.replace(NOTE, '').trimEnd());
  while (kept[0] === '') kept.shift();
  while (kept.at(-1) === '') kept.pop();
  return kept;
}
