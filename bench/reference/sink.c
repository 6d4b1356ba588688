/*
 * Reads standard input to its end in pieces of 1 MiB, throws it away, and prints "BYTES NANOSECONDS" from the first byte to the last.
 * sink [BYTES_PER_SECOND]      no faster than this
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Until so many bytes may have been read. */
static void wait_for(uint64_t start, uint64_t bytes, uint64_t per_second) {
  const uint64_t due = start + bytes * 1000 / per_second * 1000000, now = clock_ns();
  if (now >= due) return;
  const struct timespec rest = {(time_t)((due - now) / 1000000000), (long)((due - now) % 1000000000)};
  nanosleep(&rest, NULL);
}

int main(int argc, char** argv) {
  const size_t size = 1 << 20;
  const uint64_t per_second = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
  char* buffer = malloc(size);
  (void)fcntl(0, F_SETPIPE_SZ, (int)size); /* refused beyond pipe-user-pages-soft: then the default has to do */
  uint64_t bytes = 0, start = 0;
  for (;;) {
    const ssize_t got = read(0, buffer, size);
    if (got < 0) {
      perror("read");
      return 1;
    }
    if (start == 0) start = clock_ns();
    if (got == 0) break;
    bytes += (uint64_t)got;
    if (per_second != 0) wait_for(start, bytes, per_second);
  }
  printf("%llu %llu\n", (unsigned long long)bytes, (unsigned long long)(clock_ns() - start));
  return 0;
}
