// Seeded randomness: xoshiro128** (Blackman, Vigna), one stream for the engine. No source of the machine is read.

let a: u32 = 1;
let b: u32 = 2;
let c: u32 = 3;
let d: u32 = 4;

/** splitmix64 spreads the seed over the state, as its authors advise. */
export function seed(value: u64): void {
  let x = value;
  const first = split(x);
  x += 0x9e3779b97f4a7c15;
  const second = split(x);
  a = <u32>first;
  b = <u32>(first >>> 32);
  c = <u32>second;
  d = <u32>(second >>> 32) | 1;
}

function split(x: u64): u64 {
  let z = x + 0x9e3779b97f4a7c15;
  z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >>> 27)) * 0x94d049bb133111eb;
  return z ^ (z >>> 31);
}

export function random(): u32 {
  const result = rotl<u32>(b * 5, 7) * 9;
  const t = b << 9;
  c ^= a;
  d ^= b;
  b ^= c;
  a ^= d;
  c ^= t;
  d = rotl<u32>(d, 11);
  return result;
}

/** Uniform in 0 … limit - 1, by scaling (as the kernel's prandom_u32_max). */
export function below(limit: u32): u32 {
  return <u32>((<u64>random() * <u64>limit) >>> 32);
}

/** A keyed hash of its own for what the kernel keys by boot: VXLAN source ports, IP ids. */
let secret: u64 = 0;
export function reseedSecret(): void { secret = (<u64>random() << 32) | <u64>random(); }
export function keyedHash(x: u64, y: u64): u32 {
  return <u32>(split(x ^ split(y ^ secret)) >>> 32);
}
