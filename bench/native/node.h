// What stands in the node: IPVS, each namespace's connections, addresses and counters.
#pragma once
#include "conntrack.h"

// ---- IPVS

typedef struct { u32 address; u64 mac; u64 connections, inPackets, inBytes, outPackets, outBytes; u32 active, inactive; } Destination;
// Of the sandbox's connection of the same number, with the tunnel's port and connection that carry it.
typedef struct { u32 deadline, outer; u16 port; u8 destination, state, counted; } Balanced;
_Static_assert(sizeof(Balanced) == 16, "a quarter of a cache line");
static Table balancedTable;

static u32 destinationCount, robin;
static Destination destinations[256];
static u64 serviceInPackets, serviceInBytes, serviceOutPackets, serviceOutBytes;
enum { V_ESTABLISHED = 1 };
static const u16 BALANCED_TIMEOUT[12] = {2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120, 300};
static const u8 BALANCED_NEXT[2][4][11] = {
  {{3, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3}, {6, 7, 2, 5, 5, 5, 6, 7, 8, 9, 5}, {1, 1, 2, 1, 4, 5, 6, 7, 6, 9, 1}, {6, 6, 6, 3, 6, 6, 6, 6, 8, 9, 3}},
  {{2, 1, 2, 3, 2, 2, 2, 2, 2, 9, 3}, {5, 4, 2, 5, 4, 5, 6, 5, 8, 9, 5}, {1, 1, 2, 1, 4, 5, 6, 7, 8, 1, 1}, {6, 6, 2, 6, 6, 5, 6, 6, 6, 6, 6}},
};
INLINE void balance(Balanced *v, u32 out, u32 flags, u32 now) {
  u32 event = likely((flags & (SYN | FIN | RST)) == 0) ? 2 : flags & RST ? 3 : flags & SYN ? 0 : 1;
  v->state = BALANCED_NEXT[out][event][v->state];
  v->deadline = now + BALANCED_TIMEOUT[v->state] * SECOND;
  u32 active = v->state == V_ESTABLISHED;
  if (unlikely(v->counted != active)) {
    v->counted = active;
    if (active) destinations[v->destination].inactive--, destinations[v->destination].active++;
    else destinations[v->destination].active--, destinations[v->destination].inactive++;
  }
}

// ---- a namespace's connections

// A connection: what it is from, what its packets become and by what that changes the checksums; IPVS's connection, which is the
// sandbox's; and what conntrack keeps. Two cache lines that are neighbours. Answers bear the second tuple turned, and become the
// first turned.
typedef struct { u64 a, to; u32 ports, toPorts; u16 ip, l4; Balanced balanced; Connection connection; } Entry;
_Static_assert(sizeof(Entry) == 128, "two cache lines");
// A namespace's. Both tuples are in the index, four bytes each: connection + 1, direction, a piece of the hash; 0: free.
typedef struct { u32 *index; u32 mask, keys; Entry *at; u32 count, ready, kind; } Conntrack;
static Conntrack hosts = {.kind = HOST_TCP}, sandboxes = {.kind = SANDBOX_TCP};
enum { CONNECTION = (1 << 22) - 1, REPLY = 1 << 22, READY = 1 << 14 };

INLINE u64 hashOf(const Conntrack *t, u64 a, u32 ports) { return hash(a, keyOf(ports, t->kind)); }
INLINE u32 tagOf(u64 h) { return (u32)(h >> 32) & ~(u32)(CONNECTION | REPLY); }
INLINE int isReply(u32 found) { return (found & REPLY) != 0; }
INLINE Entry *entryOf(const Conntrack *t, u32 found) { return &t->at[(found & CONNECTION) - 1]; }
INLINE int matches(const Entry *e, u32 found, u64 a, u32 ports) {
  return isReply(found) ? ((e->to ^ turned(a)) | (e->toPorts ^ turned4(ports))) == 0 : ((e->a ^ a) | (e->ports ^ ports)) == 0;
}
// The first that may be it, 0 when there is none: its lines are asked for.
INLINE u32 candidate(const Conntrack *t, u64 h) {
  for (u32 i = (u32)h & t->mask;; i = (i + 1) & t->mask) {
    u32 found = t->index[i];
    if (unlikely(!found)) return 0;
    if (unlikely((found ^ tagOf(h)) & ~(u32)(CONNECTION | REPLY))) continue;
    const Entry *e = entryOf(t, found);
    __builtin_prefetch(e, 1);
    __builtin_prefetch(&e->connection, 1);
    return found;
  }
}
static __attribute__((noinline)) u32 search(const Conntrack *t, u64 h, u64 a, u32 ports) {
  for (u32 i = (u32)h & t->mask;; i = (i + 1) & t->mask) {
    u32 found = t->index[i];
    if (!found || (((found ^ tagOf(h)) & ~(u32)(CONNECTION | REPLY)) == 0 && matches(entryOf(t, found), found, a, ports))) return found;
  }
}
INLINE u32 confirmed(const Conntrack *t, u32 found, u64 h, u64 a, u32 ports) {
  return likely(found) && likely(matches(entryOf(t, found), found, a, ports)) ? found : search(t, h, a, ports);
}
static void index1(const Conntrack *t, u64 h, u32 value) {
  u32 i = (u32)h & t->mask;
  while (t->index[i]) i = (i + 1) & t->mask;
  t->index[i] = tagOf(h) | value;
}
static void indexBoth(Conntrack *t, const Entry *e) {
  u32 number = (u32)(e - t->at) + 1;
  index1(t, hashOf(t, e->a, e->ports), number);
  index1(t, hashOf(t, turned(e->to), turned4(e->toPorts)), number | REPLY);
}
static u32 confirm(Conntrack *t, u64 a, u32 ports, u64 to, u32 toPorts) {
  Entry *e = &t->at[t->count++];
  *e = (Entry){
    .a = a, .ports = ports, .to = to, .toPorts = toPorts, .ip = fold(words(~a) + words(to)),
    .l4 = fold(words(~a) + words(to) + words((u64)(u32)~ports) + words(toPorts)),
  };
  indexBoth(t, e);
  return t->count;
}
static void growIndex(Conntrack *t, u32 slots) {
  if (t->index) munmap(t->index, ((size_t)t->mask + 1) * 4);
  t->index = memory((size_t)slots * 4);
  memset(t->index, 0, (size_t)slots * 4);
  t->mask = slots - 1;
  for (u32 i = 0; i < t->count; i++) indexBoth(t, &t->at[i]);
}
// Between batches: no page is new in one.
static void ensureBoth(Conntrack *t) {
  if ((t->count + BATCH) * 4 > t->mask) growIndex(t, (t->mask + 1) * 2);
  if (t->count + BATCH <= t->ready) return;
  if (t->ready + READY > CONNECTION) exit(3);
  memset(&t->at[t->ready], 0, READY * sizeof(Entry));
  t->ready += READY;
}
static void ensureAll(void) {
  ensure(&tunnels);
  ensure(&balancedTable);
  ensureBoth(&hosts);
  ensureBoth(&sandboxes);
}

// ---- what stands in the node's tables, as `config` says

static u32 hostAddress, vtepAddress, sandboxAddress, sandboxOverlay, mark, vni;
static u16 published;
static u64 nicMac, gatewayMac, vtepMac, sandboxMac;
static u32 forwardingUsed[256];
static u8 head[64] __attribute__((aligned(64)));
static u32 headIp, headUdp;
static u16 outerId;
static u64 drops, fresh;
static u32 learnedAt, neighbourAt, now = SECOND;
static u64 devicePackets[2], deviceBytes[2];
