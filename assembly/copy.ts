// Copies of frames and records, which are short.

/** Longer copies are memory.copy's: a call out of the module, which costs as much as 256 bytes do here. */
const SHORT: usize = 256;

/** `bytes` from `from` to `to`, and up to 31 more where there are few: both have room behind. They do not overlap. */
// @ts-ignore: decorator
@inline
export function copyFrame(to: usize, from: usize, bytes: usize): void {
  if (bytes > SHORT) {
    memory.copy(to, from, bytes);
    return;
  }
  for (let i: usize = 0; i < bytes; i += 32) {
    const low = v128.load(from + i);
    const high = v128.load(from + i, 16);
    v128.store(to + i, low);
    v128.store(to + i, high, 16);
  }
}
