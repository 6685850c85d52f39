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
// Each of its parts is a file: bytes and checksums, tables, conntrack, the node, a batch's way, the traffic.
#include "traffic.h"

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
