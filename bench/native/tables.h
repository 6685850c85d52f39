// Tables: open addressing, keys in the slots, at most half full; memory in huge pages.
#pragma once
#include "wire.h"

// Tuples of the tunnel's own packets and of IPVS: the tuple, which connection and direction it is. `record` = connection << 3 |
// reply << 2 | kind; 0: free.
typedef struct { u64 a; u32 ports, record; } Slot;
typedef struct { Slot *slots; u32 mask, count; } Table;

static void *memory(size_t bytes) {
  size_t whole = (bytes + (2u << 20) - 1) & ~(size_t)((2u << 20) - 1);
  u8 *at = mmap(0, whole + (2u << 20), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) exit(3);
  at = (u8 *)(((uintptr_t)at + (2u << 20) - 1) & ~(uintptr_t)((2u << 20) - 1));
  madvise(at, whole, MADV_HUGEPAGE);
  return at;
}
INLINE u64 hash(u64 a, u64 b) {
  u64 x = a * 0x9E3779B97F4A7C15ull;
  x ^= x >> 32;
  x += b;
  x *= 0xD6E8FEB86659FD93ull;
  return x ^ x >> 32;
}
// What kind of tuple: never 0.
enum { HOST_TCP = 1, SANDBOX_TCP = 2, HOST_UDP = 3 };
INLINE u64 keyOf(u32 ports, u32 kind) { return ports | (u64)kind << 32; }
static void grow(Table *t, u32 capacity) {
  Slot *old = t->slots;
  u32 slots = old ? t->mask + 1 : 0;
  t->slots = memory((size_t)capacity * sizeof(Slot));
  t->mask = capacity - 1;
  for (u32 i = 0; i < slots; i++) {
    if (!old[i].record) continue;
    u32 j = (u32)hash(old[i].a, keyOf(old[i].ports, old[i].record & 3)) & t->mask;
    while (t->slots[j].record) j = (j + 1) & t->mask;
    t->slots[j] = old[i];
  }
  if (old) munmap(old, (size_t)slots * sizeof(Slot));
}
INLINE Slot *find(const Table *t, u32 i, u64 a, u32 ports, u32 kind) {
  for (;; i = (i + 1) & t->mask) {
    Slot *s = &t->slots[i];
    if (likely(((s->a ^ a) | (s->ports ^ ports) | ((s->record ^ kind) & 3)) == 0)) return s;
    if (!s->record) return 0;
  }
}
INLINE u32 place(const Table *t, u64 a, u32 ports, u32 kind) { return (u32)hash(a, keyOf(ports, kind)) & t->mask; }
static void insert(Table *t, u64 a, u32 ports, u32 kind, u32 record, u32 reply) {
  u32 i = place(t, a, ports, kind);
  while (t->slots[i].record) i = (i + 1) & t->mask;
  t->slots[i] = (Slot){.a = a, .ports = ports, .record = record << 3 | reply << 2 | kind};
  t->count++;
}
INLINE u32 recordOf(const Slot *s) { return s->record >> 3; }
// Between batches.
static void ensure(Table *t) {
  if ((t->count + 4 * BATCH) * 2 > t->mask) grow(t, (t->mask + 1) * 2);
}
