// A batch through the node, out and back.
#pragma once
#include "node.h"

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
