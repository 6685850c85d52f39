/**
 * The programs of `-m bpf`, classic BPF as iptables reads and prints it: `7,32 0 0 4294963252,7 0 0 0,…`, which is the number of
 * instructions, then code, jump if true, jump if false and k of each. Written into the engine as assembly/hooks/bpf.ts has it.
 */

/** SKF_AD_OFF and all above it are no places in the packet but things that the kernel knows of it. */
const KNOWN_OF_IT = 0xfff00000;
/** `ld poff`: where the payload behind the layer 4 header begins. */
const PAYLOAD_OFFSET = 0xfffff000 + 52;
const MOST_INSTRUCTIONS = 64;
/** All that the kernel takes (bpf_check_classic: chk_code_allowed). */
const CODES = new Set(
  [
    [0x00, 0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x60, 0x80],
    [0x01, 0x61, 0x81, 0xb1, 0x02, 0x03, 0x84],
    [0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x90, 0xa0].flatMap((kind) => [kind | 4, kind | 0xc]),
    [0x05, ...[0x10, 0x20, 0x30, 0x40].flatMap((kind) => [kind | 5, kind | 0xd])],
    [0x06, 0x16, 0x07, 0x87],
  ].flat(),
);

/** Throws RangeError for what is no program, or one that the kernel would refuse. */
export function bpfProgram(bytecode: string): Uint32Array {
  const refuse = (why: string): never => {
    throw new RangeError(`"${bytecode}" is no program of -m bpf: ${why}`);
  };
  const [count, ...instructions] = bytecode.split(',');
  if (!/^\d+$/.test(count ?? '') || Number(count) !== instructions.length || instructions.length === 0)
    refuse('it begins with the number of its instructions');
  if (instructions.length > MOST_INSTRUCTIONS) refuse(`it has more than ${MOST_INSTRUCTIONS} instructions`);
  const words = [instructions.length];
  for (const [index, text] of instructions.entries()) {
    const at = `instruction ${index + 1}, "${text}"`;
    if (!/^\d+ \d+ \d+ \d+$/.test(text)) refuse(`${at}: four numbers with a space between`);
    const [code = 0, yes = 0, no = 0, k = 0] = text.split(' ').map(Number);
    if (yes > 255 || no > 255 || k > 0xffffffff || !CODES.has(code)) refuse(`${at}: no such instruction`);
    const kind = code & 7;
    const left = instructions.length - index - 1;
    if (kind === 5 && (code === 5 ? k : Math.max(yes, no)) >= left) refuse(`${at}: it jumps behind the end`);
    if ((code === 0x34 || code === 0x94) && k === 0) refuse(`${at}: a division by 0`);
    if ((kind === 2 || kind === 3 || code === 0x60 || code === 0x61) && k > 15) refuse(`${at}: there are 16 words`);
    if (kind === 0 && (code & 0xe0) === 0x20 && k >= KNOWN_OF_IT && k !== PAYLOAD_OFFSET)
      refuse(`${at}: of the extensions only the payload's offset, ${PAYLOAD_OFFSET}, is simulated`);
    if (left === 0 && kind !== 6) refuse('its last instruction returns nothing');
    words.push((code | (yes << 16) | (no << 24)) >>> 0, k);
  }
  return Uint32Array.from(words);
}

/** As iptables-save prints the program that `word` reads, word by word. */
export function bpfText(word: (index: number) => number): string {
  const count = word(0);
  const instructions = Array.from({ length: count }, (_, index) => {
    const [first, k] = [word(1 + 2 * index), word(2 + 2 * index)];
    return `${first & 0xffff} ${(first >>> 16) & 255} ${first >>> 24} ${k}`;
  });
  return [count, ...instructions].join(',');
}
