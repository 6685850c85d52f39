/** Pieces that the schemas of the `x-swarmwire` section are made of. */
import type { SchemaObject } from 'ajv';

export const text: SchemaObject = { type: 'string' };
export const texts: SchemaObject = { type: 'array', items: text };
export const textOrTexts: SchemaObject = { type: ['string', 'array'], items: text };
export const at: SchemaObject = {
  type: 'number',
  minimum: 0,
  maximum: 86_400_000,
  hint: 'milliseconds of virtual time',
};

export function map(properties: Record<string, SchemaObject>, more: SchemaObject = {}): SchemaObject {
  return { type: 'object', properties, additionalProperties: false, ...more };
}

export function number(minimum: number, maximum: number): SchemaObject {
  return { type: 'integer', minimum, maximum };
}
