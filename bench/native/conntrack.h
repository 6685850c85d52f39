// Conntrack: TCP's states and windows (nf_conntrack_proto_tcp.c), datagrams, timeouts.
#pragma once
#include "tables.h"

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
