/*
 * Four threads that pass a number round until it has grown enough; prints the sum of what each has seen: threads LIMIT GATE. Half-way
 * they wait for the file GATE.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 4 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static long number, limit, sums[THREADS];
static const char* gate;

static void* pass_on(void* argument) {
  const long own = (long)argument;
  for (;;) {
    pthread_mutex_lock(&lock);
    while (number < limit && number % THREADS != own) pthread_cond_wait(&turn, &lock);
    if (number >= limit) break;
    sums[own] += number * (own + 1);
    ++number;
    while (number == limit / 2 && access(gate, F_OK) != 0) usleep(100000);
    pthread_cond_broadcast(&turn);
    pthread_mutex_unlock(&lock);
  }
  pthread_cond_broadcast(&turn);
  pthread_mutex_unlock(&lock);
  return NULL;
}

int main(int argc, char** argv) {
  pthread_t threads[THREADS];
  if (argc != 3) return 64;
  limit = atol(argv[1]);
  gate = argv[2];
  for (long i = 0; i < THREADS; ++i) pthread_create(&threads[i], NULL, pass_on, (void*)i);
  for (int i = 0; i < THREADS; ++i) pthread_join(threads[i], NULL);
  for (int i = 0; i < THREADS; ++i) printf("%ld\n", sums[i]);
  return 0;
}
