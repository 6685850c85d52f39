// Mutants of the engine's source: what one could have forgotten to ask or to do, one at a time. They are derived line by line:
//
//   never   `if (a || b)`: each of a and b is taken for false; `if (a)`: a is
//   any     `if (a && b)`, `return a && b`: each of a and b is taken for true
//   not     `call();`, `field = value;`, `n++;`: not done
//   when    `time + step.after`: without what is added
//
// Every mutant stands in the same text, behind `m(number)`, so that one engine has them all and a number says which is on. `m` is
// only asked where its answer makes a difference: a test that never gets there cannot fail for it.

/** Splits `text` at `operator` where it stands in no bracket. */
function parts(text, operator) {
  const found = [];
  let depth = 0;
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    if ('([{'.includes(text[i])) depth++;
    else if (')]}'.includes(text[i])) depth--;
    else if (depth === 0 && text.startsWith(` ${operator} `, i)) {
      found.push(text.slice(from, i));
      i += operator.length + 1;
      from = i + 1;
    }
  }
  return [...found, text.slice(from)];
}

/** Where the bracket that opens at `from` closes. */
function closing(text, from) {
  let depth = 0;
  for (let i = from; i < text.length; i++) {
    if (text[i] === '(') depth++;
    else if (text[i] === ')' && --depth === 0) return i;
  }
  return -1;
}

const STATEMENT = /^(?:[\w.!]+(?:<[\w|<> ]+>)?\(.*\)|[\w.]+(?:\[.*\])? (?:[-+|&*]|<<|>>>)?= .*|[\w.]+(?:\+\+|--))$/;
const TIME = /\+ ((?:<u64>)?(?:\w+\.)?(?:after|balancedAt|outerAfter|elapsed))\b/g;

/**
 * The text with all mutants of its lines, of which `wants(line, statement)` says which may have some; `next(rule, what, line)`
 * answers the number of a new one, or 0: not that one.
 */
export function mutated(text, wants, next) {
  let deep = false;
  return text
    .split('\n')
    .map((line, i) => {
      // Whatever stands at a file's margin declares something; a function of one line has its body behind it.
      const inline = /^(export )?function .*\{ (.*) \}$/.exec(line);
      if (/^\S/.test(line)) deep = /^(export )?(function|class|@)/.test(line) && !inline;
      if (!inline && (!deep || !/^ /.test(line))) return line;
      if (/^\s*(\/\/|\*|\/\*|let|case|default|for|while|class|get|set|static|readonly)/.test(line))
        return timed(line, i, wants, next);
      if (inline)
        return `${line.slice(0, line.length - inline[2].length - 2)}${statement(inline[2], i, wants, next)} }`;
      const indent = /^\s*/.exec(line)[0];
      const body = line.slice(indent.length);
      const otherwise = /^(\} else |else )/.exec(body)?.[0] ?? '';
      return indent + otherwise + statement(body.slice(otherwise.length), i, wants, next);
    })
    .join('\n');
}

function timed(code, i, wants, next) {
  if (!wants(code, false)) return code;
  return code.replace(TIME, (whole, what) => {
    const n = next('when', what, i + 1);
    return n ? `+ (m(${n}) ? <u64>0 : <u64>${what})` : whole;
  });
}

function statement(code, i, wants, next) {
  if (code.startsWith('if (')) {
    const end = closing(code, 3);
    if (end < 0) return code;
    const rest = code.slice(end + 1);
    let condition = code.slice(4, end);
    if (wants(code, false)) {
      const acts = STATEMENT.test(rest.trim().replace(/;$/, '')) && !/ (?:\|\||&&) /.test(condition);
      const n = acts ? next('any', condition, i + 1) : 0;
      condition = guarded(condition, i, next, false);
      if (n) condition = `(!!(${condition}) || m(${n}))`;
    }
    return `if (${condition})${rest.startsWith(' {') || rest === '' ? rest : ` ${statement(rest.trimStart(), i, wants, next)}`}`;
  }
  const [, front, answer] = /^((?:const \w+ =|[\w.]+ =|return) )(.* (?:&&|\|\|) .*);$/.exec(code) ?? [];
  if (
    answer &&
    wants(code, false) &&
    parts(answer, '?').length === 1 &&
    (parts(answer, '||').length > 1 || parts(answer, '&&').length > 1)
  )
    return `${front}${guarded(answer, i, next, true)};`;
  const [, done, comment = ''] = /^(.*);(\s*\/\/.*)?$/.exec(code) ?? [];
  if (done === undefined || !STATEMENT.test(done) || /^(return|else|throw|break)\b/.test(done) || !wants(code, true))
    return timed(code, i, wants, next);
  const n = next('not', done, i + 1);
  const inside = timed(`${done};`, i, wants, next);
  return n ? `{ if (!m(${n})) ${inside} }${comment}` : inside + comment;
}

/** `condition` with each of what it asks for taken for what lets more pass. */
function guarded(condition, i, next, returned) {
  const either = parts(condition, '||');
  if (either.length > 1) {
    return either
      .map((one) => {
        const n = next('never', one, i + 1);
        return n ? `(!!(${one}) && !m(${n}))` : one;
      })
      .join(' || ');
  }
  const bits = parts(condition, '|');
  if (bits.length > 1) {
    return bits
      .map((one) => {
        const n = next('never', one, i + 1);
        return n ? `(!!(${one}) && !m(${n}))` : one;
      })
      .join(' | ');
  }
  const both = parts(condition, '&&');
  if (both.length > 1) {
    const all = both
      .map((one) => {
        const n = next('any', one, i + 1);
        return n ? `(!!(${one}) || m(${n}))` : one;
      })
      .join(' && ');
    const n = returned ? 0 : next('never', condition, i + 1);
    return n ? `${all} && !m(${n})` : all;
  }
  const n = next('never', condition, i + 1);
  return n ? `!!(${condition}) && !m(${n})` : condition;
}
