/**
 * Checks data against a JSON schema and says what is wrong in a person's words, at the place of the mistake.
 */
import { Ajv, type ErrorObject, type SchemaObject, type ValidateFunction } from 'ajv';
import type { Findings } from './findings.js';
import { below, spelled } from './places.js';
import { nearest, quotedList } from './wording.js';

/** Compiled once per schema, and only when a first file is read: a program that reads none does not pay. */
const compiled = new WeakMap<SchemaObject, ValidateFunction>();

function validatorOf(schema: SchemaObject): ValidateFunction {
  const known = compiled.get(schema);
  if (known !== undefined) return known;
  const ajv = new Ajv({
    allErrors: true,
    verbose: true,
    allowUnionTypes: true,
    strictTypes: false,
    keywords: ['hint', 'keyHint'],
    // Compiled for one file or few: shorter code, and a check of the schemas themselves (they are constants), cost more than they give.
    code: { optimize: false },
    validateSchema: false,
  });
  const validate = ajv.compile(schema);
  compiled.set(schema, validate);
  return validate;
}

/** Refuses all that `schema` does not allow in `data`, which stands at `pointer` in the file. */
export function check(schema: SchemaObject, data: unknown, pointer: string, findings: Findings): void {
  const validate = validatorOf(schema);
  if (validate(data)) return;
  for (const error of validate.errors ?? []) tell(error, pointer + error.instancePath, findings);
}

function tell(error: ErrorObject, pointer: string, findings: Findings): void {
  const { places } = findings;
  const schema = (error.parentSchema ?? {}) as SchemaObject;
  const here = spelled(pointer) || 'the file';
  const hint = typeof schema.hint === 'string' ? schema.hint : undefined;
  const keyHint = typeof schema.keyHint === 'string' ? schema.keyHint : undefined;
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(params.additionalProperty);
      findings.refuse(
        places.key(below(pointer, key)),
        `${here} has no key "${key}"`,
        hintForKey(key, schema) ?? keyHint ?? hint,
      );
      return;
    }
    case 'required': {
      findings.refuse(places.value(pointer), `${here} lacks "${String(params.missingProperty)}"`, hint);
      return;
    }
    case 'type':
      findings.refuse(
        places.value(pointer),
        `${here} must be ${expected(schema.type)}, not ${found(error.data)}`,
        hint,
      );
      return;
    case 'enum': {
      const allowed = (schema.enum as unknown[]).map(String);
      const meant = nearest(String(error.data), allowed);
      findings.refuse(
        places.value(pointer),
        `${here} must be ${quotedList(allowed)}, not ${found(error.data)}`,
        meant === undefined ? hint : `did you mean "${meant}"?`,
      );
      return;
    }
    case 'pattern':
      // A pattern is no explanation; the hint beside it is.
      findings.refuse(places.value(pointer), `${here} cannot be ${found(error.data)}`, hint);
      return;
    case 'minProperties':
    case 'maxProperties':
      findings.refuse(places.value(pointer), `${here} must have one key, and no more`, hint);
      return;
    default:
      findings.refuse(
        places.value(pointer),
        `${here} ${error.message ?? 'is not valid'}, and this is ${found(error.data)}`,
        hint,
      );
  }
}

/** What an unknown key was meant to be: a known key spelled otherwise, or a key that belongs one level deeper. */
function hintForKey(key: string, schema: SchemaObject): string | undefined {
  const properties = (schema.properties ?? {}) as Record<string, SchemaObject>;
  for (const [name, inner] of Object.entries(properties)) {
    if (Object.hasOwn((inner.properties ?? {}) as object, key)) return `"${key}" belongs under "${name}"`;
  }
  const meant = nearest(key, Object.keys(properties));
  if (meant !== undefined) return `did you mean "${meant}"?`;
  return Object.hasOwn(properties, 'services')
    ? 'a service belongs under "services", an extension is named x-…'
    : undefined;
}

const TYPE_WORDS: Record<string, string> = {
  string: 'text',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  null: 'left empty',
};

function expected(type: unknown): string {
  const types = (Array.isArray(type) ? type : [type]).map((one) => TYPE_WORDS[String(one)] ?? String(one));
  return types.length < 2 ? (types[0] ?? 'something else') : `${types.slice(0, -1).join(', ')} or ${types.at(-1)}`;
}

function found(data: unknown): string {
  if (data === null || data === undefined) return 'empty';
  if (Array.isArray(data)) return 'a list';
  if (typeof data === 'object') return 'a map';
  if (typeof data === 'string') return `"${data.length > 40 ? `${data.slice(0, 40)}…` : data}"`;
  return String(data);
}
