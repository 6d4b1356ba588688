/*
 * Programs that the fault tests checkpoint, damage and kill; the first argument says which.
 *
 *   spin FILE                  counts in a shared mapping of FILE for ever: whatever runs of it leaves a trace at once
 *   die HOW WHEN KIB THREADS   has that much random memory and ends at WHEN (microseconds since 1970): "exit N" or "signal N"
 *   produce KIB FILE           random memory, one line each 20 ms, ends when FILE exists
 *   consume FILE               reads to the end of file, then makes FILE; ends after that
 *   write MIB GROWN STATUS     random memory, written to at random places without a pause; grows to GROWN MiB once it has got SIGUSR1, 1 MiB
 *                              each millisecond; at SIGHUP it checks itself and exits with STATUS (99: wrong content)
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static uint64_t seed = 88172645463325252u;

static uint64_t next_random(void) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed;
}

static uint64_t* random_memory(size_t bytes) {
  uint64_t* memory = malloc(bytes);
  if (memory == NULL) exit(97);
  for (size_t i = 0; i < bytes / sizeof *memory; i++) memory[i] = next_random();
  return memory;
}

static int64_t now_us(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * INT64_C(1000000) + time.tv_nsec / 1000;
}

static void pause_us(int64_t us) {
  const struct timespec time = {us / 1000000, us % 1000000 * 1000};
  nanosleep(&time, NULL);
}

static int spin(const char* path) {
  const int fd = open(path, O_RDWR);
  volatile uint64_t* count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (fd < 0 || count == MAP_FAILED) return 97;
  for (;;) *count += 1;
}

static void* wait_for_ever(void* unused) {
  for (;;) pause_us(500);
  return unused;
}

static int die(const char* how, int64_t when, size_t kib, int threads) {
  const struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  random_memory(kib * 1024);
  pthread_t thread;
  for (int i = 1; i < threads; i++) pthread_create(&thread, NULL, wait_for_ever, NULL);
  while (now_us(CLOCK_REALTIME) < when) {
    if (when - now_us(CLOCK_REALTIME) > 2000) pause_us(1000);
  }
  int number = 0;
  if (sscanf(how, "exit %d", &number) == 1) exit(number);
  if (sscanf(how, "signal %d", &number) == 1) raise(number);
  return 98;
}

static int produce(size_t kib, const char* path) {
  random_memory(kib * 1024);
  while (access(path, F_OK) != 0) {
    if (write(STDOUT_FILENO, "line\n", 5) != 5) return 96;
    pause_us(20000);
  }
  return 0;
}

static int consume(const char* path) {
  char buffer[4096];
  while (read(STDIN_FILENO, buffer, sizeof buffer) > 0) continue;
  close(open(path, O_CREAT | O_WRONLY, 0600));
  return 0;
}

static volatile sig_atomic_t grows, ends;

static void on_signal(int number) {
  if (number == SIGUSR1) grows = 1;
  if (number == SIGHUP) ends = 1;
}

/** Each page begins with its own number, whatever else is written into it. */
static void touch(unsigned char* memory, size_t pages) {
  uint64_t* page = (uint64_t*)(memory + next_random() % pages * 4096);
  page[1 + next_random() % 511] = next_random();
}

static int write_all(size_t mib, size_t grown, int status) {
  unsigned char* memory = mmap(NULL, grown << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 97;
  madvise(memory, grown << 20, MADV_NOHUGEPAGE);
  signal(SIGUSR1, on_signal);
  signal(SIGHUP, on_signal);
  size_t pages = 0;
  const size_t per_mib = 256;
  for (; pages < mib * per_mib; pages++) {
    for (int i = 1; i < 512; i++) ((uint64_t*)(memory + pages * 4096))[i] = next_random();
    *(uint64_t*)(memory + pages * 4096) = pages;
  }
  int64_t grow_next = 0;
  while (!ends) {
    for (int i = 0; i < 100; i++) touch(memory, pages);
    const int64_t now = now_us(CLOCK_MONOTONIC);
    if (!grows || pages >= grown * per_mib || now < grow_next) continue;
    grow_next = now + 1000;
    for (size_t i = 0; i < per_mib; i++, pages++) *(uint64_t*)(memory + pages * 4096) = pages;
  }
  for (size_t page = 0; page < pages; page++) {
    if (*(uint64_t*)(memory + page * 4096) != page) return 99;
  }
  return status;
}

int main(int argc, char** argv) {
  const char* mode = argc > 1 ? argv[1] : "";
  if (strcmp(mode, "spin") == 0 && argc == 3) return spin(argv[2]);
  if (strcmp(mode, "die") == 0 && argc == 6) return die(argv[2], atoll(argv[3]), (size_t)atoll(argv[4]), atoi(argv[5]));
  if (strcmp(mode, "produce") == 0 && argc == 4) return produce((size_t)atoll(argv[2]), argv[3]);
  if (strcmp(mode, "consume") == 0 && argc == 3) return consume(argv[2]);
  if (strcmp(mode, "write") == 0 && argc == 5) {
    return write_all((size_t)atoll(argv[2]), (size_t)atoll(argv[3]), atoi(argv[4]));
  }
  return 98;
}
