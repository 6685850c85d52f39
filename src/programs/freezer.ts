/** What a frozen machine's programs would do (`docker pause`): it waits until they are let go on. */

export class Freezer {
  #frozen = false;
  readonly #waiting: (() => void)[] = [];

  get frozen(): boolean {
    return this.#frozen;
  }

  freeze(): void {
    this.#frozen = true;
  }

  /** All that has come meanwhile happens now, in its order. */
  thaw(): void {
    this.#frozen = false;
    for (const then of this.#waiting.splice(0)) then();
  }

  hold(then: () => void): void {
    this.#waiting.push(then);
  }
}
