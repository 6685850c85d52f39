// Cells: 128 bytes each, for records that are used together: conntrack's entries and the flows that move them, on one page of
// memory where it can be. Where there are many flows, a packet waits for pages: each is a miss of the TLB.
//
// A page is two blocks of 16 cells. Entries come from first blocks; a flow takes a cell of the second block beside its entry. Who
// finds none there takes what there is, so nothing is kept free for anybody. Blocks are described in a table by their address.

import { arena } from "./memory";

export const CELL: usize = 128;
const PAGE: usize = 4096;
const BLOCK_BITS: u32 = 11;
const CELLS: u32 = 16;
const CHUNK: u32 = 512;

/** A block's free cells, a bit each; is it listed; the block listed before it, or 0. */
@unmanaged
class Block {
  free: u16;
  listed: u16;
  next: u32;
}
let blocks: usize = 0;
let described: u32 = 0;
/** Numbers of the first and second blocks that may have free cells: the last of each list. */
const lists: usize = memory.data(8);
/** Cells without a record, in all blocks. */
export let freeCells: u32 = 0;
let total: u32 = 0;

// @ts-ignore: decorator
@inline
function blockOf(number: u32): Block { return changetype<Block>(blocks + (<usize>number << 3)); }
// @ts-ignore: decorator
@inline
function cellOf(number: u32, i: u32): usize { return (<usize>number << BLOCK_BITS) + <usize>(i & (CELLS - 1)) * CELL; }
// @ts-ignore: decorator
@inline
function listOf(second: u32): usize { return lists + (<usize>second << 2); }

/** At least so many are free; between vectors only. */
// @ts-ignore: decorator
@inline
export function ensureCells(wanted: u32): void {
  if (freeCells < wanted) grow(wanted);
}

function grow(wanted: u32): void {
  while (freeCells < wanted) {
    const count = max(CHUNK, min(total, 65536));
    const at = (arena(<usize>count * CELL + PAGE) + PAGE - 1) & ~(PAGE - 1);
    const first = <u32>(at >>> BLOCK_BITS);
    const end = first + count / CELLS;
    describe(end);
    for (let number = end; number > first; number--) {
      blockOf(number - 1).free = <u16>0xffff;
      list(number - 1);
    }
    freeCells += count;
    total += count;
  }
}

/** There is room to describe the blocks before that one. */
function describe(end: u32): void {
  if (end <= described) return;
  const more = max(end, described << 1);
  const table = arena(<usize>more << 3);
  memory.copy(table, blocks, <usize>described << 3);
  blocks = table;
  described = more;
}

// @ts-ignore: decorator
@inline
function list(number: u32): void {
  const block = blockOf(number);
  const last = listOf(number & 1);
  block.listed = 1;
  block.next = load<u32>(last);
  store<u32>(last, number);
}

/** Of that list's, or 0. */
function from(second: u32): usize {
  const last = listOf(second);
  while (true) {
    const number = load<u32>(last);
    if (!number) return 0;
    const block = blockOf(number);
    const cell = block.free ? pick(number, block) : 0;
    if (block.free) return cell;
    block.listed = 0;
    store<u32>(last, block.next);
    if (cell) return cell;
  }
}

// @ts-ignore: decorator
@inline
function pick(number: u32, block: Block): usize {
  const free = <u32>block.free;
  block.free = <u16>(free & (free - 1));
  freeCells--;
  const at = cellOf(number, ctz(free));
  for (let i: usize = 0; i < CELL; i += 16) v128.store(at + i, i64x2.splat(0));
  return at;
}

/** An empty cell, or 0 when there is none. */
export function takeCell(): usize {
  const at = from(0);
  return at ? at : from(1);
}

/** The same, on the page of `near` if that is a cell and one is free there. */
export function takeCellNear(near: usize): usize {
  const number = <u32>(near >>> BLOCK_BITS) | 1;
  if (number < described && blockOf(number).free) return pick(number, blockOf(number));
  const at = from(1);
  return at ? at : from(0);
}

export function giveCell(at: usize): void {
  const number = <u32>(at >>> BLOCK_BITS);
  const block = blockOf(number);
  block.free = <u16>(<u32>block.free | (1 << (<u32>(at >>> 7) & (CELLS - 1))));
  if (!block.listed) list(number);
  freeCells++;
}

/** Of the two that `takeCell` gives next something of both lines, to have them in the cache. */
// @ts-ignore: decorator
@inline
export function nextCells(): u32 {
  const number = load<u32>(listOf(0));
  if (!number) return 0;
  const block = blockOf(number);
  const rest = <u32>block.free & (<u32>block.free - 1);
  const next = block.next;
  const first = cellOf(number, ctz(<u32>block.free));
  const second = rest ? cellOf(number, ctz(rest)) : cellOf(next, ctz(<u32>blockOf(next).free));
  return load<u32>(first) | load<u32>(first, 64) | load<u32>(second) | load<u32>(second, 64);
}
