/*
 * What a victim tells the benchmark while it runs, through a shared file mapping: how far it is, and every gap between two iterations.
 * The reader is bench/support/victim.ts: 64-bit little-endian words, in this order.
 */
#ifndef BENCH_RECORD_H
#define BENCH_RECORD_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define RECORD_GAPS 1024
#define RECORD_THRESHOLD_NS 200000 /* shorter gaps are not written down */

struct gap {
  uint64_t end_ns; /* CLOCK_REALTIME: the only clock that a restarted victim and the benchmark share */
  uint64_t length_ns;
};

struct record {
  uint64_t ready; /* 1 once the memory is filled */
  uint64_t iterations;
  uint64_t gap_count; /* gap number i is in gaps[i % RECORD_GAPS] */
  uint64_t now_ns;    /* CLOCK_REALTIME of the last iteration that looked at the clock */
  struct gap gaps[RECORD_GAPS];
};

static inline uint64_t clock_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Descriptors that leaked into the benchmark are no part of what is measured, and would make a checkpoint refuse. */
static inline void forget_inherited(void) {
  for (int fd = 3; fd < 1024; ++fd) close(fd);
}

static inline struct record* record_open(const char* path) {
  const int fd = open(path, O_RDWR | O_CREAT, 0600);
  if (fd < 0 || ftruncate(fd, sizeof(struct record)) != 0) {
    perror(path);
    exit(2);
  }
  struct record* record = mmap(NULL, sizeof(struct record), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (record == MAP_FAILED) {
    perror("mmap");
    exit(2);
  }
  close(fd);
  return record;
}

/* To be called once an iteration. */
static inline void record_tick(volatile struct record* record, uint64_t* last) {
  const uint64_t now = clock_ns();
  if (now - *last > RECORD_THRESHOLD_NS) {
    record->gaps[record->gap_count % RECORD_GAPS].end_ns = now;
    record->gaps[record->gap_count % RECORD_GAPS].length_ns = now - *last;
    ++record->gap_count;
  }
  *last = now;
  record->now_ns = now;
  ++record->iterations;
}

#endif
