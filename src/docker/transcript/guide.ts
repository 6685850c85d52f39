/**
 * A Markdown guide's blocks of code (CommonMark's fenced and indented ones, and the looser ones that people write), with what
 * stands before each: the text, from which a reader knows on which machine it is meant to be typed, and what its author says in a
 * comment, `<!-- swarmwire: node=worker1 -->`.
 */

export interface GuideLine {
  text: string;
  /** From 1. */
  line: number;
}

/** What an author says of the next block. */
export interface Annotation {
  /** The machine it is typed on. */
  node?: string;
  /** A container: its lines are typed in a shell in there. */
  container?: string;
  /** It is not run; why. */
  skip?: string;
  /** A new swarm begins with it. */
  fresh?: boolean;
}

export interface Block {
  lines: GuideLine[];
  fenced: boolean;
  /** What stands behind the fence: `bash`, `console`, `yaml`, or nothing. */
  language: string;
  /** Paragraphs since the block before, the nearest last. */
  before: string[];
  /** Is there a heading among them? */
  heading: boolean;
  annotation: Annotation;
  /** What a reader has to know of how it was read. */
  notes?: readonly string[];
}

export class GuideError extends Error {}

const FENCE = /^(\s*)(`{3,}|~{3,})\s*([^`]*)$/;
const COMMENT = /^\s*<!--\s*swarmwire:\s*(.*?)\s*-->\s*$/;
/** A prompt that tells an indented line of code from an indented line of text. */
const INDENTED = /^(?: {2,}|\t)\s*(?:\$ \S|\[?\w[\w.-]*@[\w.-]+[^$#]*[$#](?: |$)|(?:sudo )?docker [a-z]+ [ -~]+$)/;

/** @throws GuideError for an annotation that it does not know */
export function blocksOf(text: string, file: string): Block[] {
  const lines = text.replaceAll('\r\n', '\n').split('\n');
  const blocks: Block[] = [];
  let before: string[] = [];
  let heading = false;
  let annotation: Annotation = {};
  let paragraph = '';
  const endParagraph = () => {
    if (paragraph !== '') before.push(paragraph);
    paragraph = '';
  };
  const add = (block: Pick<Block, 'lines' | 'fenced' | 'language'>) => {
    endParagraph();
    blocks.push({ ...block, before, heading, annotation });
    [before, heading, annotation] = [[], false, {}];
  };
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] ?? '';
    const fence = FENCE.exec(line);
    const comment = COMMENT.exec(line);
    if (fence) {
      const end = fenceEnd(lines, i, fence[2] ?? '');
      const indent = fence[1]?.length ?? 0;
      add({
        lines: numbered(lines, i + 1, end, indent),
        fenced: true,
        language: (fence[3] ?? '').trim().toLowerCase(),
      });
      i = end;
    } else if (comment) annotation = { ...annotation, ...readAnnotation(comment[1] ?? '', `${file}:${i + 1}`) };
    else if (INDENTED.test(line)) {
      const end = indentedEnd(lines, i);
      const indent = columns(line);
      add({ lines: numbered(lines, i, end, indent), fenced: false, language: '' });
      i = end - 1;
    } else if (/^\s*$/.test(line)) endParagraph();
    else if (/^#{1,6}\s/.test(line)) {
      endParagraph();
      heading = true;
      before = [line.replace(/^#+\s*/, '')];
    } else {
      if (/^\s*(?:[-*+]|\d+\.)\s/.test(line)) endParagraph();
      paragraph = `${paragraph} ${line.trim()}`.trim();
    }
  }
  return blocks;
}

/** Its closing fence; a shorter one closes too, where no right one follows. */
function fenceEnd(lines: readonly string[], from: number, fence: string): number {
  const closes = (line: string, least: number) => {
    const match = /^\s*(`{3,}|~{3,})\s*$/.exec(line);
    const found = match?.[1] ?? '';
    return found[0] === fence[0] && found.length >= least;
  };
  for (const least of [fence.length, 3]) {
    for (let i = from + 1; i < lines.length; i++) if (closes(lines[i] ?? '', least)) return i;
  }
  return lines.length;
}

/** The first line that is indented less, and does not go on a line before it. */
function indentedEnd(lines: readonly string[], from: number): number {
  const indent = columns(lines[from] ?? '');
  let end = from + 1;
  for (let i = from + 1; i < lines.length; i++) {
    const line = lines[i] ?? '';
    if (/^\s*$/.test(line)) continue;
    const goesOn = /\\\s*$/.test(lines[i - 1] ?? '');
    // Text behind an empty line is a paragraph again, unless it looks like the code did.
    if (columns(line) < indent && !goesOn) break;
    if (/^\s*$/.test(lines[i - 1] ?? '') && /[^ -~]/.test(line)) break;
    end = i + 1;
  }
  return end;
}

function columns(line: string): number {
  return (/^\s*/.exec(line)?.[0] ?? '').replaceAll('\t', '    ').length;
}

function numbered(lines: readonly string[], from: number, to: number, indent: number): GuideLine[] {
  return lines.slice(from, to).map((text, i) => ({
    text: text.replaceAll('\t', '    ').replace(new RegExp(`^ {0,${indent}}`), ''),
    line: from + i + 1,
  }));
}

function readAnnotation(text: string, where: string): Annotation {
  const annotation: Annotation = {};
  for (const [whole, name = '', quoted, plain] of text.matchAll(/([\w-]+)(?:=(?:"([^"]*)"|([^\s,]*)))?[\s,]*/g)) {
    const value = quoted ?? plain ?? '';
    if (name === 'node' && value !== '') annotation.node = value;
    else if (name === 'container' && value !== '') annotation.container = value;
    else if (name === 'skip') annotation.skip = value || 'its author says so';
    else if (name === 'fresh' && value === '') annotation.fresh = true;
    else
      throw new GuideError(
        `${where}: ${whole.trim()}: no such annotation; there are node=NAME, container=NAME, skip="WHY", fresh`,
      );
  }
  return annotation;
}
