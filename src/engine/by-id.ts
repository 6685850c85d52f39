/** Records by their ids, which the engine counts up from 1 and never gives again: of hundreds of thousands a list is quicker than a map. */

export class ById<Record> {
  readonly #all: (Record | undefined)[] = [];

  get(id: number): Record | undefined {
    return this.#all[id];
  }

  set(id: number, record: Record): void {
    while (this.#all.length < id) this.#all.push(undefined);
    this.#all[id] = record;
  }

  delete(id: number): void {
    if (id < this.#all.length) this.#all[id] = undefined;
  }
}
