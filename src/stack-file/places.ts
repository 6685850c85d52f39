/**
 * Where each value of a stack file stands in its text, by JSON pointer (RFC 6901), which is also how ajv names a value.
 */
import type { Place } from './error.js';

/** The pointer of a member of the value at `pointer`. */
export function below(pointer: string, key: string | number): string {
  return `${pointer}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** `/services/web/ports/0` as a person would write it: `services.web.ports[0]`. */
export function spelled(pointer: string): string {
  let path = '';
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (/^\d+$/.test(key) && path !== '') path += `[${key}]`;
    else path += path === '' ? key : `.${key}`;
  }
  return path;
}

/** The places of one file's keys and values. */
export class Places {
  readonly #keys = new Map<string, Place>();
  readonly #values = new Map<string, Place>();

  record(pointer: string, key: Place | undefined, value: Place): void {
    if (key !== undefined) this.#keys.set(pointer, key);
    this.#values.set(pointer, value);
  }

  /** Where the key is written; for a list's item, which has none, where the item is. */
  key(pointer: string): Place {
    return this.#keys.get(pointer) ?? this.value(pointer);
  }

  /** Where the value begins; for a pointer that is not in the file, where the nearest value around it begins. */
  value(pointer: string): Place {
    const place = this.#values.get(pointer);
    if (place !== undefined) return place;
    return pointer === '' ? { line: 1, column: 1 } : this.value(pointer.slice(0, pointer.lastIndexOf('/')));
  }
}
