// Sends data of 1 000 TCP flows from a raw packet socket, 64 bytes a frame, in batches; first one of each, which conntrack picks up
// in midstream (nf_conntrack_tcp_loose), then a million.
//   blast DEVICE DESTINATION-MAC SOURCE DESTINATION PORT
// Prints how many frames of data were sent, and in how many nanoseconds.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FLOWS = 1000, BATCH = 64, SIZE = 64, PACKETS = 1000000 };
static uint8_t frames[FLOWS][SIZE];

static uint32_t sum(const uint8_t *at, int length, uint32_t total) {
  for (int i = 0; i < length; i += 2) total += at[i] << 8 | (i + 1 < length ? at[i + 1] : 0);
  return total;
}
static void put16(uint8_t *at, uint32_t value) { at[0] = value >> 8; at[1] = value; }
static void seal(uint8_t *at, uint32_t total) {
  while (total >> 16) total = (total & 0xffff) + (total >> 16);
  put16(at, ~total);
}

static void make(uint8_t *f, const uint8_t *mac, uint32_t from, uint32_t to, int sport, int dport) {
  memset(f, 'x', SIZE);
  memcpy(f, mac, 6);
  memcpy(f + 6, (uint8_t[]){2, 0, 0, 0, 0, 1, 8, 0}, 8);
  uint8_t *ip = f + 14, *tcp = f + 34;
  int length = SIZE - 14;
  memcpy(ip, (uint8_t[]){0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0}, 12);
  put16(ip + 2, length);
  memcpy(ip + 12, &from, 4);
  memcpy(ip + 16, &to, 4);
  seal(ip + 10, sum(ip, 20, 0));
  put16(tcp, sport);
  put16(tcp + 2, dport);
  memcpy(tcp + 4, (uint8_t[]){0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0}, 16);
  seal(tcp + 16, sum(tcp, length - 20, sum(ip + 12, 8, 6 + length - 20)));
}

static void send_all(int s, int count) {
  struct iovec io[BATCH];
  struct mmsghdr messages[BATCH];
  for (int sent = 0; sent < count;) {
    int some = count - sent < BATCH ? count - sent : BATCH;
    for (int i = 0; i < some; i++) {
      io[i] = (struct iovec){frames[(sent + i) % FLOWS], SIZE};
      messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &io[i], .msg_iovlen = 1}};
    }
    int done = sendmmsg(s, messages, some, 0);
    if (done < 0) { perror("sendmmsg"); exit(1); }
    sent += done;
  }
}

int main(int argc, char **argv) {
  if (argc < 6) return 2;
  uint8_t mac[6];
  sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5);
  uint32_t from = inet_addr(argv[3]), to = inet_addr(argv[4]);
  int s = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
  struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(argv[1])};
  if (s < 0 || bind(s, (struct sockaddr *)&at, sizeof at)) { perror("socket"); return 1; }
  for (int i = 0; i < FLOWS; i++) make(frames[i], mac, from, to, 10000 + i, atoi(argv[5]));
  send_all(s, FLOWS);
  usleep(200000);
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  send_all(s, PACKETS);
  clock_gettime(CLOCK_MONOTONIC, &b);
  usleep(500000);
  printf("{\"packets\": %d, \"nanoseconds\": %lld}\n", PACKETS, (b.tv_sec - a.tv_sec) * 1000000000LL + (b.tv_nsec - a.tv_nsec));
  return 0;
}
