/* Four threads that pass a number round until it has grown enough; prints the sum of what each has seen. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 4 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static long number, limit, sums[THREADS];

static void* pass_on(void* argument) {
  const long own = (long)argument;
  for (;;) {
    pthread_mutex_lock(&lock);
    while (number < limit && number % THREADS != own) pthread_cond_wait(&turn, &lock);
    if (number >= limit) break;
    sums[own] += number * (own + 1);
    ++number;
    usleep(20000);
    pthread_cond_broadcast(&turn);
    pthread_mutex_unlock(&lock);
  }
  pthread_cond_broadcast(&turn);
  pthread_mutex_unlock(&lock);
  return NULL;
}

int main(int argc, char** argv) {
  pthread_t threads[THREADS];
  limit = argc > 1 ? atol(argv[1]) : 100;
  for (long i = 0; i < THREADS; ++i) pthread_create(&threads[i], NULL, pass_on, (void*)i);
  for (int i = 0; i < THREADS; ++i) pthread_join(threads[i], NULL);
  for (int i = 0; i < THREADS; ++i) printf("%ld\n", sums[i]);
  return 0;
}
