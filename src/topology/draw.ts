/** What a real system draws at random, drawn from a seed (mulberry32): ids, MACs, device names, ports. */

export class Draw {
  #state: number;
  constructor(seed: number) {
    this.#state = (seed ^ 0x5377_6172) >>> 0;
  }

  /** 32 bits. */
  next = (): number => {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };

  /** Both ends included. */
  between(low: number, high: number): number {
    return low + Math.floor((this.next() / 2 ** 32) * (high - low + 1));
  }

  hex(digits: number): string {
    let text = '';
    for (let i = 0; i < digits; i++) text += DIGITS[this.next() & 15];
    return text;
  }

  /** Swarm's ids: 25 characters of base 36. */
  id(): string {
    let text = '';
    for (let i = 0; i < 25; i++) text += DIGITS[this.between(0, 35)];
    return text;
  }
}

const DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz';
