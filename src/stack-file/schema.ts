/**
 * Says in a person's words what a validator has found wrong, at the place of the mistake. The validators are the schemas in `schemas/`,
 * compiled by ajv when swarmwire is built (scripts/build-validators.mjs).
 */
import type { Findings } from './findings.js';
import { below, spelled } from './places.js';
import { nearest, quotedList } from './wording.js';

export interface Validate {
  (data: unknown): boolean;
  /** Of the last data. */
  errors?: readonly Violation[] | null;
}

/** ajv's `ErrorObject`. */
interface Violation {
  keyword: string;
  instancePath: string;
  params: Record<string, unknown>;
  message: string;
  parentSchema: Schema;
  data: unknown;
}

interface Schema {
  type?: string | string[];
  enum?: unknown[];
  /** What each key's value is, and the keys of that if it is a map. */
  properties?: Record<string, { keys?: string[] }>;
  hint?: string;
  keyHint?: string;
}

/** Refuses all that `validate` does not allow in `data`, which stands at `pointer` in the file. */
export function check(validate: Validate, data: unknown, pointer: string, findings: Findings): void {
  if (validate(data)) return;
  for (const error of validate.errors ?? []) tell(error, pointer + error.instancePath, findings);
}

function tell(error: Violation, pointer: string, findings: Findings): void {
  const { places } = findings;
  const { params, parentSchema: schema } = error;
  const { hint, keyHint } = schema;
  const here = spelled(pointer) || 'the file';
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
      const allowed = (schema.enum ?? []).map(String);
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
      findings.refuse(places.value(pointer), `${here} ${error.message}, and this is ${found(error.data)}`, hint);
  }
}

/** What an unknown key was meant to be: a known key spelled otherwise, or a key that belongs one level deeper. */
function hintForKey(key: string, { properties = {} }: Schema): string | undefined {
  for (const [name, { keys }] of Object.entries(properties)) {
    if (keys?.includes(key)) return `"${key}" belongs under "${name}"`;
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

function expected(type: string | string[] = []): string {
  const types = [type].flat().map((one) => TYPE_WORDS[one] ?? one);
  return types.length < 2 ? (types[0] ?? 'something else') : `${types.slice(0, -1).join(', ')} or ${types.at(-1)}`;
}

function found(data: unknown): string {
  if (data === null || data === undefined) return 'empty';
  if (Array.isArray(data)) return 'a list';
  if (typeof data === 'object') return 'a map';
  if (typeof data === 'string') return `"${data.length > 40 ? `${data.slice(0, 40)}…` : data}"`;
  return String(data);
}
