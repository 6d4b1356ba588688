// What victims share: checks that name themselves, and a clock that tells how long the program itself has run.
#pragma once

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define REQUIRE(condition)                                                               \
  do {                                                                                   \
    if (!(condition)) {                                                                  \
      printf("%s:%d: not true: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
      fflush(stdout);                                                                    \
      _exit(1);                                                                          \
    }                                                                                    \
  } while (0)

static inline int64_t clockNs(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/** Milliseconds since the first call, on the clock that stands still while the program is away. */
static inline int64_t runMs(void) {
  static int64_t start = 0;
  if (start == 0) start = clockNs(CLOCK_MONOTONIC);
  return (clockNs(CLOCK_MONOTONIC) - start) / 1000000;
}

/** Everything is set up: tells so by making `ready`, and waits for `go`, which the last life of the program begins with. */
static inline void awaitGo(void) {
  FILE* file = fopen("ready", "w");
  if (file != NULL) fclose(file);
  for (file = NULL; file == NULL; file = fopen("go", "r")) {
    struct timespec pause = {0, 2000000};
    nanosleep(&pause, NULL);
  }
  fclose(file);
}

/** Whether the last life may end: its driver makes the file `go` then, however slow the machine was. Looked for every few milliseconds
 * only. */
static inline bool mayEnd(const char* go) {
  static int64_t next = 0;
  if (runMs() < next) return false;
  next = runMs() + 5;
  return access(go, F_OK) == 0;
}
