/*
 * Rests, as many tasks: tasks RECORD PROCESSES THREADS [DESCRIPTORS]
 *   PROCESSES children of one thread each, and THREADS beside the main one; every process holds DESCRIPTORS of its own.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include "record.h"

static void* rest(void* unused) {
  for (;;) pause();
  return unused;
}

static void open_many(long count) {
  while (count-- > 0)
    if (open("/dev/null", O_RDONLY) < 0) exit(2);
}

int main(int argc, char** argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: tasks RECORD PROCESSES THREADS [DESCRIPTORS]\n");
    return 64;
  }
  forget_inherited();
  volatile struct record* record = record_open(argv[1]);
  const long descriptors = argc > 4 ? atol(argv[4]) : 0;
  for (long left = atol(argv[3]); left > 0; --left) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 << 10);
    if (pthread_create(&thread, &attributes, rest, NULL) != 0) return 2;
  }
  for (long left = atol(argv[2]); left > 0; --left) {
    const pid_t child = fork();
    if (child < 0) return 2;
    if (child > 0) continue;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* the benchmark kills its keepers */
    open_many(descriptors);
    __atomic_add_fetch(&record->iterations, 1, __ATOMIC_SEQ_CST);
    rest(NULL);
  }
  open_many(descriptors);
  while ((long)record->iterations < atol(argv[2])) usleep(1000);
  record->ready = 1;
  rest(NULL);
}
