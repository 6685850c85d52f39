/** What a shell makes of a word: quotes come off, `$NAME` and `$(…)` are replaced, and what is not quoted is split at blanks. */

import { quoteEnd, substitutionEnd } from './shell-grammar.js';
import type { Steps } from './steps.js';

export interface Expansion {
  variable(name: string): string | undefined;
  /** What that script prints. */
  output(script: string): Steps<string>;
}

/** An unquoted variable that is empty is no word at all; one that has blanks in it is several, unless `whole` keeps it together. */
export function* expand(word: string, context: Expansion, whole = false): Steps<string[]> {
  const fields: string[] = [];
  let field: string | undefined;
  const add = (text: string) => {
    field = (field ?? '') + text;
  };
  const split = (text: string) => {
    if (whole) {
      add(text);
      return;
    }
    for (const piece of text.split(/(\s+)/)) {
      if (piece === '') continue;
      if (!/\s/.test(piece)) add(piece);
      else if (field !== undefined) {
        fields.push(field);
        field = undefined;
      }
    }
  };
  for (let i = 0; i < word.length; i++) {
    const c = word[i] ?? '';
    if (c === "'") {
      const end = quoteEnd(word, i);
      add(word.slice(i + 1, end));
      i = end;
    } else if (c === '"') {
      const end = quoteEnd(word, i);
      add(yield* quoted(word.slice(i + 1, end), context));
      i = end;
    } else if (c === '\\') add(word[++i] ?? '');
    else {
      const found = yield* replacement(word, i, context);
      if (found) {
        split(found.text);
        i = found.last;
      } else add(c);
    }
  }
  if (field !== undefined) fields.push(field);
  return fields;
}

/** As between double quotes: nothing is split. A here-document's text is read so, too. */
export function* quoted(text: string, context: Expansion): Steps<string> {
  let whole = '';
  for (let i = 0; i < text.length; i++) {
    const c = text[i] ?? '';
    if (c === '\\' && /["\\$`]/.test(text[i + 1] ?? '')) {
      whole += text[++i];
      continue;
    }
    const found = yield* replacement(text, i, context);
    whole += found?.text ?? c;
    i = found?.last ?? i;
  }
  return whole;
}

const VARIABLE = /^\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::?-([^}]*))?\}|([?$#\d]))/;

/** What stands at `at`, if it is to be replaced, and where it ends. */
function* replacement(text: string, at: number, context: Expansion): Steps<{ text: string; last: number } | undefined> {
  if (text[at] === '`' || (text[at] === '$' && text[at + 1] === '(')) {
    const last = substitutionEnd(text, at);
    return { text: yield* context.output(text.slice(text[at] === '`' ? at + 1 : at + 2, last)), last };
  }
  const match = text[at] === '$' ? VARIABLE.exec(text.slice(at)) : undefined;
  if (!match) return undefined;
  const [whole, plain, braced, otherwise = '', special] = match;
  const value = context.variable(plain ?? braced ?? special ?? '');
  return { text: value || otherwise, last: at + whole.length - 1 };
}
