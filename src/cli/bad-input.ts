/** What a person gave the command cannot be used: said in one sentence, with a hint what to do. Exit code 2. */
export class BadInput extends Error {
  override name = 'BadInput';
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}
