/** What a person gave the command cannot be used: said in one sentence, with a hint what to do. Exit code 2. */
export class BadInput extends Error {
  override name = 'BadInput';
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

/** What cannot be stood up is the file's fault. By its name: whoever says so may have no engine loaded, or have it in a thread. */
export function blaming(file: string | undefined, error: unknown): unknown {
  return error instanceof Error && error.name === 'PlanError' ? new BadInput(`${file}: ${error.message}`) : error;
}
