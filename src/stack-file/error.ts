/**
 * What is wrong with a stack file, and where: the error that `parseStackFile` throws.
 * A message has the form that compilers use, `file:line:column: message`, so that terminals and editors link it.
 */

/** A place in the text. Both count from 1; a column counts UTF-16 units, as editors do. */
export interface Place {
  line: number;
  column: number;
}

/** Something worth saying about a file that is accepted all the same. */
export interface Notice {
  /** The key as its author wrote it (`build`, `deploy.endpoint_mode`), or the name of a variable. */
  key: string;
  where: Place;
  message: string;
}

/** One reason to refuse a file. */
export interface Problem extends Place {
  message: string;
  /** What to write instead. */
  hint?: string;
}

function format(file: string, problem: Problem): string {
  const line = `${file}:${problem.line}:${problem.column}: ${problem.message}`;
  return problem.hint === undefined ? line : `${line}\nhint: ${problem.hint}`;
}

/** Thrown with every problem that was found. The fields are those of the first; the message names all, in the file's order. */
export class StackFileError extends Error {
  override readonly name = 'StackFileError';
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly hint: string | undefined;
  readonly problems: readonly Problem[];

  constructor(file: string, problems: readonly [Problem, ...Problem[]]) {
    const sorted = problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
    super(sorted.map((problem) => format(file, problem)).join('\n'));
    const first = sorted[0] ?? problems[0];
    this.file = file;
    this.line = first.line;
    this.column = first.column;
    this.hint = first.hint;
    this.problems = sorted;
  }

  /** Without the class's name in front, so that a line starts with the file. */
  override toString(): string {
    return this.message;
  }
}
