// Bytes as they are on the wire, and checksums (RFC 1071, RFC 1624).
#pragma once

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

enum { BATCH = 256, VECTOR = 64, LONGEST = 1536, OUTER = 50, TCP = 6, UDP = 17, FIN = 1, SYN = 2, RST = 4, ACK = 16 };

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
