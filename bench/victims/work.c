/*
 * A fixed amount of one kind of work; prints the nanoseconds it took.
 * work cpu|malloc|pipe|exec UNITS [wait]      wait: says "ready" and waits for a line on standard input before it begins
 */
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "record.h"

extern char** environ;

static volatile uint64_t sink;

/* Arithmetic in registers and one cache line. */
static void work_cpu(uint64_t units) {
  uint64_t value = 1;
  for (uint64_t i = 0; i < units * 1000000u; ++i) value = value * 6364136223846793005u + (value >> 29);
  sink = value;
}

/* Blocks of 16 bytes to 64 KiB, a thousand alive at a time. */
static void work_malloc(uint64_t units) {
  static char* alive[1000];
  uint64_t value = 1;
  for (uint64_t i = 0; i < units * 10000u; ++i) {
    value = value * 6364136223846793005u + 1442695040888963407u;
    const unsigned slot = (unsigned)(value >> 40) % 1000;
    const size_t size = (size_t)16 << ((value >> 20) % 13);
    free(alive[slot]);
    alive[slot] = malloc(size);
    if (alive[slot] == NULL) exit(2);
    alive[slot][0] = (char)value;
    alive[slot][size - 1] = (char)value;
  }
}

/* One byte to a child and back. */
static void work_pipe(uint64_t units) {
  int there[2], back[2];
  char byte = 1;
  if (pipe(there) != 0 || pipe(back) != 0) exit(2);
  const pid_t child = fork();
  if (child == 0) {
    close(there[1]);
    while (read(there[0], &byte, 1) == 1)
      if (write(back[1], &byte, 1) != 1) _exit(1);
    _exit(0);
  }
  for (uint64_t i = 0; i < units * 1000u; ++i)
    if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) exit(2);
  close(there[1]);
  if (waitpid(child, NULL, 0) != child) exit(2);
}

static void work_exec(uint64_t units) {
  char name[] = "/bin/true";
  char* arguments[] = {name, NULL};
  for (uint64_t i = 0; i < units; ++i) {
    pid_t child;
    int status;
    if (posix_spawn(&child, name, NULL, NULL, arguments, environ) != 0) exit(2);
    if (waitpid(child, &status, 0) != child || status != 0) exit(2);
  }
}

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: work cpu|malloc|pipe|exec UNITS [wait]\n");
    return 64;
  }
  forget_inherited();
  const uint64_t units = strtoull(argv[2], NULL, 10);
  if (argc > 3 && (puts("ready") < 0 || fflush(stdout) != 0 || getchar() == EOF)) return 2;
  const uint64_t start = clock_ns();
  if (strcmp(argv[1], "cpu") == 0)
    work_cpu(units);
  else if (strcmp(argv[1], "malloc") == 0)
    work_malloc(units);
  else if (strcmp(argv[1], "pipe") == 0)
    work_pipe(units);
  else if (strcmp(argv[1], "exec") == 0)
    work_exec(units);
  else
    return 64;
  printf("%llu\n", (unsigned long long)(clock_ns() - start));
  return 0;
}
