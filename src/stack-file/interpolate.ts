/**
 * Variables in a stack file's values, as Compose substitutes them
 * (Compose Specification, chapter "Interpolation"; docker/cli, cli/compose/template):
 *
 *     $NAME  ${NAME}       the value; empty when unset
 *     ${NAME:-word}        word when unset or empty        ${NAME-word}   word when unset
 *     ${NAME:?word}        refused when unset or empty     ${NAME?word}   refused when unset
 *     ${NAME:+word}        word when set and not empty     ${NAME+word}   word when set
 *     $$                   a dollar sign
 *
 * A word may hold variables in its turn. A variable's value is taken as it is: it is not substituted again.
 */

/** A `$` that means nothing, or a variable that must be set and is not. `at` counts UTF-16 units from the text's start. */
export class InterpolationError extends Error {
  override readonly name = 'InterpolationError';
  readonly at: number;
  readonly hint: string;

  constructor(at: number, message: string, hint: string) {
    super(message);
    this.at = at;
    this.hint = hint;
  }
}

const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const OPERATOR = /:?[-?+]/y;
/** Nobody nests defaults this deep; a limit keeps a hostile file from exhausting the stack. */
const DEEPEST = 64;

/**
 * @param lookup a variable's value, undefined when it is not set
 * @param unset told of each variable that became an empty text because it is not set
 * @throws InterpolationError
 */
export function interpolate(
  text: string,
  lookup: (name: string) => string | undefined,
  unset: (name: string) => void = () => {},
): string {
  if (!text.includes('$')) return text;
  let at = 0;

  function take(pattern: RegExp): string | undefined {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  }

  /** Reads to the end, or to the brace that closes a word. `live` is false in a word that is not used. */
  function read(depth: number, live: boolean): string {
    let out = '';
    while (at < text.length) {
      const char = text.charAt(at);
      if (depth > 0 && char === '}') return out;
      if (char === '$') {
        out += variable(depth, live);
      } else {
        out += char;
        at += 1;
      }
    }
    return out;
  }

  function variable(depth: number, live: boolean): string {
    const start = at;
    at += 1;
    if (text.charAt(at) === '$') {
      at += 1;
      return '$';
    }
    if (text.charAt(at) !== '{') {
      const name = take(NAME);
      if (name === undefined) throw invalid(start);
      return value(name, live);
    }
    at += 1;
    const name = take(NAME);
    if (name === undefined || depth >= DEEPEST) throw invalid(start);
    const operator = take(OPERATOR);
    if (operator === undefined) {
      close(start);
      return value(name, live);
    }
    const set = lookup(name);
    const counts = operator.startsWith(':') ? set !== undefined && set !== '' : set !== undefined;
    const kind = operator.at(-1);
    const word = read(depth + 1, live && (kind === '+' ? counts : !counts));
    close(start);
    if (kind === '+') return counts ? word : '';
    if (counts) return set ?? '';
    if (kind === '-') return word;
    if (!live) return '';
    const state = set === undefined ? 'is not set' : 'is empty';
    throw new InterpolationError(
      start,
      `variable ${name} ${state}${word === '' ? '' : `: ${word}`}`,
      `set ${name} in the environment`,
    );
  }

  function close(start: number): void {
    if (text.charAt(at) !== '}') throw invalid(start);
    at += 1;
  }

  function value(name: string, live: boolean): string {
    const set = lookup(name);
    if (set === undefined && live) unset(name);
    return set ?? '';
  }

  function invalid(start: number): InterpolationError {
    const shown = text.slice(start, start + 20);
    return new InterpolationError(
      start,
      `"${shown}" is no variable`,
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is Compose's syntax that is shown
      'a variable is written $NAME or ${NAME:-default}; for a plain dollar sign write $$',
    );
  }

  return read(0, true);
}
