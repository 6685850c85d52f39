// The traffic, as bench/steady.ts makes it: data of established flows, 1 % SYNs of new ones, 1 % FINs.
#pragma once
#include "forward.h"

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
