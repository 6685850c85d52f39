/**
 * What a reader has to say about a damaged file. A file of noise would fill the memory with complaints: the first few tell
 * the story, the rest are counted.
 */

const MOST = 20;

export class Warnings {
  readonly list: string[] = [];
  #more = 0;

  add(sentence: string): void {
    if (this.list.length < MOST) this.list.push(sentence);
    else this.#more += 1;
  }

  /** The sentences, with a last one for those that were left out. */
  finish(): string[] {
    if (this.#more > 0) this.list.push(`and ${this.#more} more of the kind`);
    return this.list;
  }
}
