/** What is given out in order, going on behind the last one: a number that was taken back comes again last (idm, serial). */
export class Serial {
  readonly #taken = new Set<number>();
  #next: number;
  constructor(
    private readonly first: number,
    private readonly last: number,
  ) {
    this.#next = first;
  }
  take(wanted: number): boolean {
    if (this.#taken.has(wanted)) return false;
    this.#taken.add(wanted);
    return true;
  }
  next(): number | undefined {
    for (let i = this.first; i <= this.last; i++) {
      const value = this.#next;
      this.#next = value < this.last ? value + 1 : this.first;
      if (this.take(value)) return value;
    }
    return undefined;
  }
  give(value: number): void {
    this.#taken.delete(value);
  }
}
