// What a C programmer would write for the routing mesh on node1, to measure the engine against: the same frames in, the
// same frames out. Host conntrack and DNAT, the sandbox's conntrack, mark, IPVS, SNAT, the forwarding database, the outer
// headers with their checksum, and the outer packet's own conntrack entry; the way back; new connections. Kept per packet:
// timeouts, TCP's state and windows in both namespaces, IPVS's state, counters, ages. Nothing else: no devices, rules or taps.
//
// Stages run over vectors of packets, each looking up what the stage before has prefetched. The data is copied while it is summed.
//
// Driven by bench/native.ts: commands are lines on standard input, with bytes behind them where a line says so; every
// command is answered by one line.
//
//   config NUMBERS…     addresses, MACs and destinations: see `configure`
//   flows ROW COUNT SIZE BACK STEP   then COUNT order numbers (u32) and COUNT × 54 or 104 bytes of headers: the established flows' data
//   pass COUNT BACK     then COUNT × (u32 length, bytes): untimed; answers the digest of what left
//   run ROW BATCHES     timed batches of the traffic that `stage` makes: least and median ns a batch
//   verify ROW BATCHES  the same, digests of what went in and what left
//
// Addresses and ports are kept as a little-endian load of the wire's bytes gives them.
#define _GNU_SOURCE
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef int32_t i32;
typedef uint64_t u64;
#define INLINE static inline __attribute__((always_inline))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
INLINE u64 get8(const void *p) { u64 v; memcpy(&v, p, 8); return v; }
INLINE u32 get4(const void *p) { u32 v; memcpy(&v, p, 4); return v; }
INLINE u16 get2(const void *p) { u16 v; memcpy(&v, p, 2); return v; }
INLINE void put8(void *p, u64 v) { memcpy(p, &v, 8); }
INLINE void put4(void *p, u32 v) { memcpy(p, &v, 4); }
INLINE void put2(void *p, u16 v) { memcpy(p, &v, 2); }
#define swap2 __builtin_bswap16
#define swap4 __builtin_bswap32
#define MAC 0xffffffffffffull
#define SECOND 1000u

enum { BATCH = 128, VECTOR = 64, LONGEST = 1536, OUTER = 50, TCP = 6, UDP = 17, FIN = 1, SYN = 2, RST = 4, ACK = 16 };

// ---- checksums (RFC 1071, RFC 1624)

INLINE u32 fold(u64 s) {
  s = (s & 0xffffffff) + (s >> 32);
  s = (s & 0xffffffff) + (s >> 32);
  u32 t = (u32)(s & 0xffff) + (u32)(s >> 16);
  return (t & 0xffff) + (t >> 16);
}
// What is copied to `to` on the way, if anywhere, may be up to 64 bytes more.
INLINE u64 sumAndCopy(u8 *to, const u8 *p, u32 n) {
  u64 s = 0;
  if (n >= 128) {
    __m256i zero = _mm256_setzero_si256(), a = zero, b = zero;
    for (; n >= 64; p += 64, n -= 64) {
      __m256i x = _mm256_loadu_si256((const void *)p), y = _mm256_loadu_si256((const void *)(p + 32));
      if (to) _mm256_storeu_si256((void *)to, x), _mm256_storeu_si256((void *)(to + 32), y), to += 64;
      a = _mm256_add_epi64(a, _mm256_add_epi64(_mm256_unpacklo_epi32(x, zero), _mm256_unpackhi_epi32(x, zero)));
      b = _mm256_add_epi64(b, _mm256_add_epi64(_mm256_unpacklo_epi32(y, zero), _mm256_unpackhi_epi32(y, zero)));
    }
    u64 lanes[4];
    _mm256_storeu_si256((void *)lanes, _mm256_add_epi64(a, b));
    s = lanes[0] + lanes[1] + lanes[2] + lanes[3];
  }
  if (to)
    for (u32 i = 0; i < n; i += 32) _mm256_storeu_si256((void *)(to + i), _mm256_loadu_si256((const void *)(p + i)));
  for (; n >= 8; p += 8, n -= 8) {
    u64 v = get8(p);
    s += (v & 0xffffffff) + (v >> 32);
  }
  if (n >= 4) s += get4(p), p += 4, n -= 4;
  if (n >= 2) s += get2(p), p += 2, n -= 2;
  if (n) s += *p;
  return s;
}
INLINE u64 sum(const u8 *p, u32 n) { return sumAndCopy(0, p, n); }
INLINE u32 header(const u8 *ip) { return fold((u64)get4(ip) + get4(ip + 4) + get4(ip + 8) + get4(ip + 12) + get4(ip + 16)); }
INLINE u32 words(u64 v) { return (u32)(v & 0xffff) + (u32)(v >> 16 & 0xffff) + (u32)(v >> 32 & 0xffff) + (u32)(v >> 48); }
INLINE u32 pseudo(u64 addresses, u32 protocol, u32 length) { return words(addresses) + (protocol << 8) + swap2((u16)length); }

// ---- tables: open addressing, keys in the slots, at most half full

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

// ---- conntrack

enum { SEEN_REPLY = 2, ASSURED = 4 };
typedef struct { u32 end, maxEnd, maxWindow, maxAck; } Direction;
// One cache line. Times are milliseconds, as the kernel's are jiffies.
typedef struct __attribute__((aligned(64))) {
  u32 deadline, mark;
  Direction direction[2];
  u32 lastSequence, lastAck, lastEnd;
  u16 lastWindow;
  u8 scale[2], flags[2];
  u8 status, state, lastDirection, lastKind, again;
} Connection;
_Static_assert(sizeof(Connection) == 64, "one cache line");
static Table tunnels;
static u32 lastOuter;
// The tunnel's own connections: `streamAt` is when one becomes a stream.
typedef struct { u32 deadline, streamAt, status, mark; } Datagrams;
static Datagrams *outers;

INLINE u64 turned(u64 addresses) { return addresses << 32 | addresses >> 32; }
INLINE u32 turned4(u32 ports) { return ports << 16 | ports >> 16; }

enum { K_SYN, K_SYN_ACK, K_FIN, K_ACK, K_RST, K_NONE };
enum { NO, SS, SR, ES, FW, CW, LA, TW, CL, S2, XX, IG };
static const u8 NEXT[2][6][10] = {
  {{SS, SS, IG, IG, IG, IG, IG, SS, SS, S2}, {XX, XX, SR, XX, XX, XX, XX, XX, XX, SR}, {XX, XX, FW, FW, LA, LA, LA, TW, CL, XX},
   {ES, XX, ES, ES, CW, CW, TW, TW, CL, XX}, {XX, CL, CL, CL, CL, CL, CL, CL, CL, CL}, {XX, XX, XX, XX, XX, XX, XX, XX, XX, XX}},
  {{XX, S2, XX, XX, XX, XX, XX, SS, XX, S2}, {XX, SR, IG, IG, IG, IG, IG, IG, IG, SR}, {XX, XX, FW, FW, LA, LA, LA, TW, CL, XX},
   {XX, IG, SR, ES, CW, CW, TW, TW, CL, IG}, {XX, CL, CL, CL, CL, CL, CL, CL, CL, CL}, {XX, XX, XX, XX, XX, XX, XX, XX, XX, XX}},
};
static const u32 TIMEOUT[10] = {0, 120 * SECOND, 60 * SECOND, 432000 * SECOND, 120 * SECOND, 60 * SECOND, 30 * SECOND, 120 * SECOND, 10 * SECOND, 120 * SECOND};
enum { UNACKNOWLEDGED = 16, MAX_ACK = 32 };
#define LEAST_WINDOW 66000u
INLINE int before(u32 a, u32 b) { return (i32)(a - b) < 0; }
INLINE int after(u32 a, u32 b) { return (i32)(a - b) > 0; }
INLINE u32 largest(u32 a, u32 b) { return a > b ? a : b; }

INLINE u32 kindOf(u32 flags) {
  if (likely((flags & (SYN | FIN | RST)) == 0)) return flags & ACK ? K_ACK : K_NONE;
  return flags & RST ? K_RST : flags & SYN ? (flags & ACK ? K_SYN_ACK : K_SYN) : K_FIN;
}

// 0: it cannot be part of the connection. Segments carry no options here.
INLINE int trackTcp(Connection *c, u32 reply, const u8 *l4, u32 length, u32 now) {
  u32 flags = l4[13], kind = kindOf(flags), sequence = swap4(get4(l4 + 4)), ack = swap4(get4(l4 + 8)), raw = swap2(get2(l4 + 14));
  u32 end = sequence + length - ((u32)(l4[12] >> 4) << 2) + (flags >> 1 & 1) + (flags & 1);
  u32 to = NEXT[reply][kind][c->state];
  Direction *s = &c->direction[reply], *r = &c->direction[reply ^ 1];
  if (unlikely(to >= XX)) return 0;
  if (unlikely(!s->maxWindow)) {
    s->end = s->maxEnd = end;
    s->maxWindow = largest(raw, 1);
    if (!(flags & SYN)) s->maxEnd += s->maxWindow;
  }
  if (!(flags & ACK)) ack = r->end;
  if (unlikely(!before(sequence, s->maxEnd + 1) || !before(ack, r->end + 1) || (r->maxWindow && !after(end, s->end - r->maxWindow - 1)) ||
               !after(ack, r->end - largest(s->maxWindow, LEAST_WINDOW) - 1))) return 0;
  u32 window = flags & SYN ? raw : raw << c->scale[reply];
  s->maxWindow = largest(s->maxWindow, window);
  if (after(end, s->end)) s->end = end, c->flags[reply] |= UNACKNOWLEDGED;
  if (flags & ACK && (!(c->flags[reply] & MAX_ACK) || after(ack, s->maxAck))) s->maxAck = ack, c->flags[reply] |= MAX_ACK;
  if (r->maxWindow && after(end, s->maxEnd)) r->maxWindow += end - s->maxEnd;
  if (after(ack + window, r->maxEnd - 1)) r->maxEnd = ack + largest(window, 1);
  if (ack == r->end) c->flags[reply ^ 1] &= ~UNACKNOWLEDGED;
  if (kind == K_ACK) {
    if (c->lastDirection == reply && c->lastSequence == sequence && c->lastAck == ack && c->lastEnd == end && c->lastWindow == raw) c->again++;
    else c->lastSequence = sequence, c->lastAck = ack, c->lastEnd = end, c->lastWindow = raw, c->again = 0;
  }
  c->lastKind = kind;
  c->lastDirection = reply;
  u32 from = c->state;
  c->state = to;
  u32 timeout = TIMEOUT[to];
  if (c->again >= 3 && timeout > 300 * SECOND) timeout = 300 * SECOND;
  if ((c->flags[0] | c->flags[1]) & UNACKNOWLEDGED && timeout > 300 * SECOND) timeout = 300 * SECOND;
  if (!c->lastWindow && timeout > 300 * SECOND) timeout = 300 * SECOND;
  if (c->status & SEEN_REPLY) {
    if (to == ES && (from == SR || from == ES)) c->status |= ASSURED;
  } else if (to == ES && timeout > 300 * SECOND) timeout = 300 * SECOND;
  c->deadline = now + timeout;
  if (reply) c->status |= SEEN_REPLY;
  return 1;
}
INLINE void trackUdp(Datagrams *c, u32 now) {
  u32 timeout = 30 * SECOND;
  if (c->status & SEEN_REPLY && now > c->streamAt) timeout = 120 * SECOND, c->status |= ASSURED;
  c->deadline = now + timeout;
}

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

// ---- a batch

static u8 *in, *out;
// From one frame to the next, in and out: packed, so that a batch does not fall into a few sets of the cache.
static u32 stride = LONGEST;
static u32 inLength[BATCH], outLength[BATCH];

INLINE int headerOk(const u8 *ip, u32 length) {
  return ip[0] == 0x45 && (get2(ip + 6) & 0xff3f) == 0 && ip[8] > 2 && header(ip) == 0xffff && swap2(get2(ip + 2)) <= length;
}

static u32 outerConnection(u64 addresses, u32 ports) {
  u32 record = ++lastOuter;
  outers[record] = (Datagrams){.streamAt = now + 2 * SECOND};
  insert(&tunnels, turned(addresses), turned4(ports), HOST_UDP, record, 1);
  insert(&tunnels, addresses, ports, HOST_UDP, record, 0);
  return record;
}

// A client's SYN: DNAT to the sandbox.
static __attribute__((noinline)) u32 openHost(u64 a, u32 ports) {
  if ((u32)(a >> 32) != hostAddress || (ports >> 16) != published) return 0;
  return confirm(&hosts, a, ports, (u64)(u32)a | (u64)sandboxAddress << 32, ports);
}
// In the sandbox: a mark, round robin, a source port that is free.
static __attribute__((noinline)) u32 openSandbox(u64 a, u32 ports) {
  u32 chosen = robin;
  Destination *d = &destinations[chosen];
  robin = robin + 1 == destinationCount ? 0 : robin + 1;
  u64 replyA = (u64)d->address | (u64)sandboxOverlay << 32;
  u32 replyPorts = turned4(ports);
  while (search(&sandboxes, hashOf(&sandboxes, replyA, replyPorts), replyA, replyPorts))
    replyPorts = (replyPorts & 0xffff) | (u32)swap2(1024 + (swap2(replyPorts >> 16) + 1 - 1024) % 64512) << 16;
  u32 found = confirm(&sandboxes, a, ports, turned(replyA), turned4(replyPorts));
  Entry *e = entryOf(&sandboxes, found);
  e->connection.mark = mark;
  d->inactive++;
  d->connections++;
  insert(&balancedTable, (u64)(u32)a | (u64)mark << 32, ports, SANDBOX_TCP, found, 0);
  insert(&balancedTable, (u64)d->address | (u64)(u32)a << 32, turned4(ports), SANDBOX_TCP, found, 1);
  // Which port the tunnel takes for this flow, and so which of its connections.
  u64 h = hash(e->to ^ turned(e->to), e->toPorts ^ turned4(e->toPorts));
  u16 port = swap2(32768 + (u16)((h & 0xffffffff) * 28231 >> 32));
  u64 addresses = (u64)hostAddress | (u64)vtepAddress << 32;
  u32 outerPorts = port | 0xb5120000u;
  Slot *o = find(&tunnels, place(&tunnels, addresses, outerPorts, HOST_UDP), addresses, outerPorts, HOST_UDP);
  e->balanced = (Balanced){.destination = chosen, .port = port, .outer = o ? recordOf(o) : outerConnection(addresses, outerPorts)};
  fresh++;
  return found;
}

// Client → node1 → tunnel.
static __attribute__((noinline)) void forwardOut(u32 count) {
  static u64 A[VECTOR], H[VECTOR], M[VECTOR];
  static u32 P[VECTOR], C[VECTOR], ipDelta[VECTOR], l4Delta[VECTOR], O[VECTOR], D[VECTOR];
  static u16 port[VECTOR];
  static u8 ok[VECTOR];
  for (u32 base = 0; base < count; base += VECTOR) {
    u32 n = count - base < VECTOR ? count - base : VECTOR;
    const u8 *f = in + (size_t)base * stride;
    u8 *o = out + (size_t)base * stride;
    for (u32 i = 0; i < n; i++, f += stride) {
      A[i] = get8(f + 26);
      P[i] = get4(f + 34);
      H[i] = hashOf(&hosts, A[i], P[i]);
      __builtin_prefetch(&hosts.index[H[i] & hosts.mask]);
    }
    for (u32 i = 0; i < n; i++) C[i] = candidate(&hosts, H[i]);
    f = in + (size_t)base * stride;
    for (u32 i = 0; i < n; i++, f += stride, o += stride) {
      const u8 *ip = f + 14;
      u32 length = swap2(get2(ip + 2));
      devicePackets[0]++;
      deviceBytes[0] += inLength[base + i];
      ok[i] = 0;
      if (unlikely(get2(f + 12) != 8 || ip[9] != TCP || !headerOk(ip, inLength[base + i] - 14) || (get8(f) & MAC) != nicMac)) continue;
      if (unlikely(fold(sumAndCopy(o + OUTER + 34, ip + 20, length - 20) + pseudo(A[i], TCP, length - 20)) != 0xffff)) continue;
      u32 found = confirmed(&hosts, C[i], H[i], A[i], P[i]);
      if (unlikely(!found) && !(found = openHost(A[i], P[i]))) continue;
      Entry *e = entryOf(&hosts, found);
      if (unlikely(isReply(found)) || unlikely(!trackTcp(&e->connection, 0, f + 34, length - 20, now))) continue;
      ok[i] = 1;
      A[i] = e->to;
      P[i] = e->toPorts;
      ipDelta[i] = e->ip;
      l4Delta[i] = e->l4;
      H[i] = hashOf(&sandboxes, A[i], P[i]);
      __builtin_prefetch(&sandboxes.index[H[i] & sandboxes.mask]);
    }
    for (u32 i = 0; i < n; i++) C[i] = likely(ok[i]) ? candidate(&sandboxes, H[i]) : 0;
    f = in + (size_t)base * stride;
    for (u32 i = 0; i < n; i++, f += stride) {
      if (unlikely(!ok[i])) continue;
      u32 found = confirmed(&sandboxes, C[i], H[i], A[i], P[i]);
      if (unlikely(!found)) found = openSandbox(A[i], P[i]);
      Entry *e = entryOf(&sandboxes, found);
      Balanced *v = &e->balanced;
      __builtin_prefetch(&outers[v->outer], 1);
      if (unlikely(isReply(found)) || unlikely(!trackTcp(&e->connection, 0, f + 34, swap2(get2(f + 16)) - 20, now))) { ok[i] = 0; continue; }
      Destination *d = &destinations[v->destination];
      u32 length = swap2(get2(f + 16));
      d->inPackets++;
      d->inBytes += length;
      serviceInPackets++;
      serviceInBytes += length;
      balance(v, 0, f[47], now);
      A[i] = e->to;
      P[i] = e->toPorts;
      ipDelta[i] += e->ip;
      l4Delta[i] += e->l4;
      M[i] = d->mac;
      O[i] = v->outer;
      port[i] = v->port;
      D[i] = v->destination;
    }
    f = in + (size_t)base * stride;
    o = out + (size_t)base * stride;
    for (u32 i = 0; i < n; i++, f += stride, o += stride) {
      if (unlikely(!ok[i])) {
        drops++;
        outLength[base + i] = 0;
        continue;
      }
      learnedAt = neighbourAt = now;
      forwardingUsed[D[i]] = now;
      trackUdp(&outers[O[i]], now);
      u32 length = swap2(get2(f + 16));
      u8 *g = o + OUTER, *ip = g + 14, *l4 = ip + 20;
      // The segment is there already.
      put8(g, (M[i] & MAC) | sandboxMac << 48);
      put8(g + 8, (u32)(sandboxMac >> 16) | get8(f + 8) >> 32 << 32);
      put8(g + 16, get8(f + 16));
      put2(g + 24, get2(f + 24));
      ip[8] -= 2;
      put2(ip + 10, ~fold((u16)~get2(ip + 10) + ipDelta[i] + 0xfffd));
      put8(ip + 12, A[i]);
      put4(l4, P[i]);
      put2(l4 + 16, ~fold((u16)~get2(l4 + 16) + l4Delta[i]));
      _mm256_storeu_si256((void *)o, _mm256_load_si256((const void *)head));
      _mm_storeu_si128((void *)(o + 32), _mm_load_si128((const void *)(head + 32)));
      put2(o + 48, get2(head + 48));
      u16 whole = swap2(length + 50), datagram = swap2(length + 30), segment = swap2(length - 20), id = swap2(++outerId);
      u32 ecn = ip[1] & 3;
      if (ecn == 3) ecn = 2;
      o[15] = ecn;
      put2(o + 16, whole);
      put2(o + 18, id);
      put2(o + 24, ~fold(headIp + (ecn << 8) + whole + id));
      put2(o + 34, port[i]);
      put2(o + 38, datagram);
      u16 check = ~fold(headUdp + port[i] + 2 * datagram + words(get8(g) & MAC) + words(~A[i]) + (u16)~segment);
      put2(o + 40, check ? check : 0xffff);
      outLength[base + i] = length + 64;
      devicePackets[1]++;
      deviceBytes[1] += length + 64;
    }
  }
}

// Tunnel → node1 → client.
static __attribute__((noinline)) void forwardBack(u32 count) {
  static u64 A[VECTOR], H[VECTOR];
  static u32 P[VECTOR], J[VECTOR], C[VECTOR], ipDelta[VECTOR], l4Delta[VECTOR];
  static Entry *E[VECTOR];
  static u8 ok[VECTOR];
  for (u32 base = 0; base < count; base += VECTOR) {
    u32 n = count - base < VECTOR ? count - base : VECTOR;
    const u8 *f = in + (size_t)base * stride;
    u8 *o = out + (size_t)base * stride;
    for (u32 i = 0; i < n; i++, f += stride) {
      A[i] = get8(f + 76);
      P[i] = get4(f + 84);
      H[i] = hashOf(&sandboxes, A[i], P[i]);
      J[i] = place(&tunnels, get8(f + 26), get4(f + 34), HOST_UDP);
      __builtin_prefetch(&sandboxes.index[H[i] & sandboxes.mask]);
      __builtin_prefetch(&tunnels.slots[J[i]]);
    }
    for (u32 i = 0; i < n; i++) {
      C[i] = candidate(&sandboxes, H[i]);
      __builtin_prefetch(&outers[recordOf(&tunnels.slots[J[i]])], 1);
    }
    f = in + (size_t)base * stride;
    for (u32 i = 0; i < n; i++, f += stride, o += stride) {
      const u8 *outside = f + 14, *udp = f + 34, *ip = f + 64;
      u32 whole = swap2(get2(outside + 2)), length = swap2(get2(ip + 2));
      devicePackets[0]++;
      deviceBytes[0] += inLength[base + i];
      ok[i] = 0;
      if (unlikely(get2(f + 12) != 8 || outside[9] != UDP || !headerOk(outside, inLength[base + i] - 14) || get4(udp + 8) != 8 ||
                   get4(udp + 12) != vni || get2(f + 62) != 8 || ip[9] != TCP || !headerOk(ip, whole - 50) || (get8(f) & MAC) != nicMac)) continue;
      u64 segment = sumAndCopy(o + 34, ip + 20, length - 20);
      if (unlikely(fold(segment + pseudo(A[i], TCP, length - 20)) != 0xffff)) continue;
      if (unlikely(fold(sum(udp, 50) + segment + pseudo(get8(outside + 12), UDP, whole - 20)) != 0xffff)) continue;
      Slot *tunnel = find(&tunnels, J[i], get8(f + 26), get4(f + 34), HOST_UDP);
      trackUdp(&outers[unlikely(!tunnel) ? outerConnection(get8(f + 26), get4(f + 34)) : recordOf(tunnel)], now);
      u32 found = confirmed(&sandboxes, C[i], H[i], A[i], P[i]);
      if (unlikely(!found) || unlikely(!isReply(found))) continue;
      Entry *e = E[i] = entryOf(&sandboxes, found);
      if (unlikely(!trackTcp(&e->connection, 1, f + 84, length - 20, now))) continue;
      ok[i] = 1;
      A[i] = turned(e->a);
      P[i] = turned4(e->ports);
      ipDelta[i] = (u16)~e->ip;
      l4Delta[i] = (u16)~e->l4;
      H[i] = hashOf(&hosts, A[i], P[i]);
      __builtin_prefetch(&hosts.index[H[i] & hosts.mask]);
    }
    for (u32 i = 0; i < n; i++) C[i] = likely(ok[i]) ? candidate(&hosts, H[i]) : 0;
    f = in + (size_t)base * stride;
    o = out + (size_t)base * stride;
    for (u32 i = 0; i < n; i++, f += stride, o += stride) {
      u32 found = likely(ok[i]) ? confirmed(&hosts, C[i], H[i], A[i], P[i]) : 0;
      u32 length = swap2(get2(f + 66));
      Entry *e = entryOf(&hosts, found);
      if (unlikely(!found) || unlikely(!isReply(found)) || unlikely(!trackTcp(&e->connection, 1, f + 84, length - 20, now))) {
        drops++;
        outLength[base + i] = 0;
        continue;
      }
      Balanced *v = &E[i]->balanced;
      Destination *d = &destinations[v->destination];
      d->outPackets++;
      d->outBytes += length;
      serviceOutPackets++;
      serviceOutBytes += length;
      balance(v, 1, f[97], now);
      learnedAt = neighbourAt = now;
      // The segment is there already.
      put8(o, (gatewayMac & MAC) | nicMac << 48);
      put8(o + 8, (u32)(nicMac >> 16) | get8(f + 58) >> 32 << 32);
      put8(o + 16, get8(f + 66));
      put2(o + 24, get2(f + 74));
      u8 *ip = o + 14;
      ip[8] -= 2;
      put2(ip + 10, ~fold((u16)~get2(ip + 10) + ipDelta[i] + (u16)~e->ip + 0xfffd));
      put8(ip + 12, turned(e->a));
      put4(ip + 20, turned4(e->ports));
      put2(ip + 36, ~fold((u16)~get2(ip + 36) + l4Delta[i] + (u16)~e->l4));
      outLength[base + i] = length + 14;
      devicePackets[1]++;
      deviceBytes[1] += length + 14;
    }
  }
}

// ---- the traffic, as bench/steady.ts makes it: data of established flows, 1 % SYNs of new ones, 1 % FINs

enum { ROWS = 16, LATELY = 4096 };
// Rows share the flows. Of its own new ones a row keeps the last: their numbers, and the headers that left for each, for its answers.
typedef struct {
  u32 flowCount, size, back, turn, at, step;
  u32 *order;
  u8 *ready;
  u64 sent;
  u32 opened, settled, closed;
  u32 number[LATELY];
  u8 left[LATELY][128];
} Row;
static Row rows[ROWS], *row = rows;
static u32 freshFlows;
static u32 pendingSyn[BATCH], pendingCount;
INLINE u32 numberOf(u32 i) { return row->number[i % LATELY]; }
INLINE u8 *leftFor(u32 i) { return row->left[i % LATELY]; }
static void openOne(u32 i) { row->number[i % LATELY] = row->flowCount + freshFlows++; }

INLINE void advance(u8 *l4, u32 by) {
  u16 was = get2(l4 + 6), is = swap2(swap2(was) + by);
  put2(l4 + 6, is);
  put2(l4 + 16, ~fold((u16)~get2(l4 + 16) + (u16)~was + is));
}
static void sealTcp(u8 *ip) {
  u32 length = swap2(get2(ip + 2));
  put2(ip + 10, 0);
  put2(ip + 10, ~fold(sum(ip, 20)));
  put2(ip + 36, 0);
  put2(ip + 36, ~fold(sum(ip + 20, length - 20) + pseudo(get8(ip + 12), TCP, length - 20)));
}
// Segments without data: `flow` is a number, as flowOf in bench/flows.ts counts.
static u32 control(u8 *f, u32 flow, u32 flags) {
  memset(f, 0, 64);
  put8(f, (nicMac & MAC) | gatewayMac << 48);
  put4(f + 8, (u32)(gatewayMac >> 16));
  put2(f + 12, 8);
  u8 *ip = f + 14;
  ip[0] = 0x45;
  put2(ip + 2, swap2(40));
  put2(ip + 6, 0x40);
  ip[8] = 64;
  ip[9] = TCP;
  put4(ip + 12, swap4(0xC6120001u + flow % 100003));
  put4(ip + 16, hostAddress);
  put2(ip + 20, swap2(1024 + flow % 63997));
  put2(ip + 22, published);
  put4(ip + 24, swap4(flags & SYN ? 0 : 1));
  put4(ip + 28, swap4(flags & SYN ? 0 : 1));
  ip[32] = 5 << 4;
  ip[33] = flags;
  put2(ip + 34, 0xffff);
  sealTcp(ip);
  return 54;
}
// What answers the encapsulated frame whose headers are `o`, without data.
static u32 answer(u8 *f, const u8 *o, u32 flags) {
  memcpy(f, o, 104);
  memcpy(f, o + 6, 6), memcpy(f + 6, o, 6);
  memcpy(f + 26, o + 30, 4), memcpy(f + 30, o + 26, 4);
  memcpy(f + 50, o + 56, 6), memcpy(f + 56, o + 50, 6);
  memcpy(f + 76, o + 80, 4), memcpy(f + 80, o + 76, 4);
  memcpy(f + 84, o + 86, 2), memcpy(f + 86, o + 84, 2);
  put2(f + 16, swap2(90));
  put2(f + 18, 0);
  put2(f + 38, swap2(70));
  put2(f + 34, swap2(32768 + ((swap2(get2(o + 84)) * 40503u + o[83]) % 28231)));
  put2(f + 36, 0xb512);
  u8 *ip = f + 64;
  put2(ip + 2, swap2(40));
  ip[8] = 64;
  put4(ip + 24, swap4(flags & SYN ? 0 : 1));
  put4(ip + 28, swap4(1));
  ip[32] = 5 << 4;
  ip[33] = flags;
  put2(ip + 34, 0xffff);
  sealTcp(ip);
  put2(f + 24, 0);
  put2(f + 24, ~fold(sum(f + 14, 20)));
  put2(f + 40, 0);
  u16 check = ~fold(sum(f + 34, 70) + pseudo(get8(f + 26), UDP, 70));
  put2(f + 40, check ? check : 0xffff);
  return 104;
}

static void process(u32 way, u32 count) {
  if (way) forwardBack(count);
  else forwardOut(count);
}
static void passOne(u32 way) {
  ensureAll();
  process(way, 1);
}
static void stage(void) {
  u32 back = row->back, headers = back ? 104 : 54, length = back ? row->size + 50 : row->size;
  u8 fill = back ? 0x79 : 0x78;
  pendingCount = 0;
  if (back) {
    // Whoever answers in this batch has been asked before it.
    u32 asked = 0;
    for (u64 n = row->sent; n < row->sent + BATCH; n++) {
      if (n % 100 != 49) continue;
      openOne(row->opened + asked);
      inLength[0] = control(in, numberOf(row->opened + asked), SYN);
      passOne(0);
      memcpy(leftFor(row->opened + asked++), out, 128);
    }
  }
  for (u32 i = 0; i < BATCH; i++, row->sent++) {
    u8 *f = in + (size_t)i * stride;
    if (row->sent % 100 == 49) {
      pendingSyn[pendingCount++] = i;
      if (!back) openOne(row->opened);
      inLength[i] = back ? answer(f, leftFor(row->opened), SYN | ACK) : control(f, numberOf(row->opened), SYN);
      row->opened++;
      continue;
    }
    if (row->sent % 100 == 99 && row->closed < row->settled) {
      inLength[i] = back ? answer(f, leftFor(row->closed), FIN | ACK) : control(f, numberOf(row->closed), FIN | ACK);
      row->closed++;
      continue;
    }
    u32 flow = row->order[row->at++];
    memcpy(f, row->ready + (size_t)flow * headers, headers);
    if (length > headers) memset(f + headers, fill, f[headers] != fill || length - headers < 64 ? length - headers : 64);
    inLength[i] = length;
    if (row->turn) advance(f + headers - 20, row->turn * row->step);
    if (row->at == row->flowCount) row->at = 0, row->turn = (row->turn + 1) & 1023;
  }
  ensureAll();
}
// Handshakes of what was opened are completed.
static void settle(void) {
  if (!row->back)
    for (u32 i = 0; i < pendingCount; i++) memcpy(leftFor(row->settled + i), out + (size_t)pendingSyn[i] * stride, 128);
  for (u32 i = 0; i < pendingCount; i++, row->settled++) {
    if (!row->back) {
      inLength[0] = answer(in, leftFor(row->settled), SYN | ACK);
      passOne(1);
    }
    inLength[0] = control(in, numberOf(row->settled), ACK);
    passOne(0);
  }
  now++;
}
// Its frames lie as far apart as they are long.
static void choose(u32 which) {
  if (which >= ROWS) exit(4);
  row = &rows[which];
  stride = row->size ? ((row->size + OUTER + 63) & ~63u) + 64 : LONGEST;
  memset(in, 0, (size_t)BATCH * LONGEST);
}

static u64 digested(u64 h, const u8 *p, u32 n) {
  for (u32 i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001b3ull;
  return h;
}
// Masked as `npm run conformance` does: the tunnel's source port and IP id, with the checksums over them.
static u64 digestOut(u64 h, u8 *f, u32 n, u32 way) {
  if (!way && n > 50) put2(f + 18, 0), put2(f + 24, 0), put2(f + 34, 0), put2(f + 40, 0);
  return digested(h, f, n);
}

static int byTime(const void *a, const void *b) { return *(double *)a < *(double *)b ? -1 : *(double *)a > *(double *)b; }
static double clockNs(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}
static void readBytes(void *to, size_t n) {
  if (fread(to, 1, n, stdin) != n) exit(1);
}
static u64 number(char **s) { return strtoull(*s, s, 0); }

// host vtep sandbox sandboxOverlay published mark vni nicMac gatewayMac vtepMac sandboxMac capacity, then COUNT (address mac)…
static void configure(char *s) {
  hostAddress = number(&s), vtepAddress = number(&s), sandboxAddress = number(&s), sandboxOverlay = number(&s);
  published = number(&s), mark = number(&s), vni = number(&s);
  nicMac = number(&s), gatewayMac = number(&s), vtepMac = number(&s), sandboxMac = number(&s);
  u32 capacity = number(&s);
  u32 slots = 4096;
  while (slots < capacity) slots *= 2;
  grow(&tunnels, 1 << 17);
  grow(&balancedTable, slots * 2);
  hosts.at = memory((size_t)CONNECTION * sizeof(Entry));
  sandboxes.at = memory((size_t)CONNECTION * sizeof(Entry));
  growIndex(&hosts, slots * 4);
  growIndex(&sandboxes, slots * 4);
  outers = memory((size_t)(1 << 20) * sizeof(Datagrams));
  in = memory((size_t)BATCH * LONGEST + 64);
  out = memory((size_t)BATCH * (LONGEST + 64));
  destinationCount = number(&s);
  for (u32 i = 0; i < destinationCount; i++) {
    destinations[i].address = number(&s);
    destinations[i].mac = number(&s);
  }
  put8(head, (vtepMac & MAC) | nicMac << 48);
  put4(head + 8, (u32)(nicMac >> 16));
  put2(head + 12, 8);
  head[14] = 0x45;
  head[22] = 64;
  head[23] = UDP;
  put4(head + 26, hostAddress);
  put4(head + 30, vtepAddress);
  put2(head + 36, 0xb512);
  head[42] = 8;
  put4(head + 46, vni);
  headIp = fold(sum(head + 14, 20));
  // Pseudo-header, the fixed words of UDP and VXLAN, the inner Ethernet header but for its goal, the inner protocol's complement.
  headUdp = fold(words(get8(head + 26)) + (UDP << 8) + 0xb512 + sum(head + 42, 8) + words(sandboxMac) + 8 + (u16)~(TCP << 8));
}

int main(void) {
  static char line[1 << 20];
  static double *samples;
  setvbuf(stdout, 0, _IOLBF, 1 << 12);
  while (fgets(line, sizeof line, stdin)) {
    if (!strncmp(line, "config ", 7)) {
      configure(line + 7);
      puts("ok");
    } else if (!strncmp(line, "flows ", 6)) {
      char *s = line + 6;
      u32 which = number(&s) % ROWS;
      row = &rows[which];
      row->flowCount = number(&s);
      row->size = number(&s);
      row->back = number(&s);
      row->step = number(&s);
      size_t headers = row->back ? 104 : 54;
      row->order = malloc((size_t)row->flowCount * 4);
      row->ready = malloc(row->flowCount * headers);
      readBytes(row->order, (size_t)row->flowCount * 4);
      readBytes(row->ready, row->flowCount * headers);
      choose(which);
      puts("ok");
    } else if (!strncmp(line, "pass ", 5)) {
      char *s = line + 5;
      u32 count = number(&s), way = number(&s);
      for (u32 i = 0; i < count; i++) {
        readBytes(&inLength[i], 4);
        readBytes(in + (size_t)i * stride, inLength[i]);
      }
      ensureAll();
      process(way, count);
      u64 h = 0xcbf29ce484222325ull;
      for (u32 i = 0; i < count; i++) h = digestOut(h, out + (size_t)i * stride, outLength[i], way);
      printf("%016lx\n", h);
    } else if (!strncmp(line, "run ", 4)) {
      char *s = line + 4;
      choose(number(&s));
      u32 batches = number(&s);
      samples = realloc(samples, sizeof(double) * (batches + 1));
      for (u32 i = 0; i < batches; i++) {
        stage();
        double from = clockNs();
        process(row->back, BATCH);
        samples[i] = clockNs() - from;
        settle();
      }
      qsort(samples, batches, sizeof(double), byTime);
      printf("%.1f %.1f\n", samples[0], samples[batches / 2]);
    } else if (!strncmp(line, "verify ", 7)) {
      char *s = line + 7;
      choose(number(&s));
      u32 batches = number(&s);
      u64 a = 0xcbf29ce484222325ull, b = a;
      for (u32 i = 0; i < batches; i++) {
        stage();
        for (u32 j = 0; j < BATCH; j++) a = digested(a, in + (size_t)j * stride, inLength[j]);
        process(row->back, BATCH);
        static u8 copyOf[LONGEST + 64];
        for (u32 j = 0; j < BATCH; j++) {
          memcpy(copyOf, out + (size_t)j * stride, outLength[j]);
          b = digestOut(b, copyOf, outLength[j], row->back);
        }
        settle();
      }
      u64 in1 = 0, out1 = 0;
      for (u32 i = 0; i < destinationCount; i++) in1 += destinations[i].inPackets, out1 += destinations[i].outPackets;
      printf("%016lx %016lx %lu %lu %lu %lu\n", a, b, drops, in1, out1, fresh);
    } else puts("what?");
  }
  return 0;
}
