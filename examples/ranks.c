/*
 * Two ranks that compute together over TCP, as MPI programs do, and survive checkpoints although a connection cannot be kept: a callback
 * closes it before the checkpoint, and opens it again afterwards, here and in the restarted processes.
 *
 *   cc -o ranks ranks.c -lcr -lpthread
 *   cr_run ranks 1000          prints the sum of 0 … 999, computed in 1000 exchanges
 *
 * Rank 1 asks, rank 0 answers. A question that was lost with its connection is asked again: it carries its number.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <libcr.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t quiet = PTHREAD_MUTEX_INITIALIZER; /* held while a rank uses its connection */
static int listener = -1, peer = -1;
static int announced[2]; /* a pipe: rank 0 tells rank 1 its port, again after every checkpoint */

static void fail(const char* what) {
  perror(what);
  _exit(1);
}

static void announce(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener, (struct sockaddr*)&address, length) != 0 || listen(listener, 1) != 0) fail("listen");
  getsockname(listener, (struct sockaddr*)&address, &length);
  if (write(announced[1], &address.sin_port, sizeof address.sin_port) < 0) fail("announce");
}

static void join(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  while (read(announced[0], &address.sin_port, sizeof address.sin_port) < 0) continue;
  peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(peer, (struct sockaddr*)&address, sizeof address) != 0) fail("connect");
}

static void leave(void) {
  if (peer >= 0) close(peer);
  if (listener >= 0) close(listener);
  peer = listener = -1;
}

static int around0(void* argument) {
  (void)argument;
  pthread_mutex_lock(&quiet);
  leave();
  cr_checkpoint(CR_CHECKPOINT_READY);
  announce();
  pthread_mutex_unlock(&quiet);
  return 0;
}

static int around1(void* argument) {
  (void)argument;
  pthread_mutex_lock(&quiet);
  leave();
  cr_checkpoint(CR_CHECKPOINT_READY);
  join();
  pthread_mutex_unlock(&quiet);
  return 0;
}

/* Waits for rank 1 without holding anything up; true when there is something to read. */
static int wait_for_peer(void) {
  pthread_mutex_lock(&quiet);
  struct pollfd item = {peer >= 0 ? peer : listener, POLLIN, 0};
  pthread_mutex_unlock(&quiet);
  return poll(&item, 1, 100) > 0;
}

static void rank0(void) {
  long sum = 0, next = 0, question = 0;
  cr_init();
  cr_register_callback(around0, NULL, CR_THREAD_CONTEXT);
  announce();
  for (int more = 1; more;) {
    if (!wait_for_peer()) continue;
    pthread_mutex_lock(&quiet);
    if (peer < 0) {
      peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    } else if (recv(peer, &question, sizeof question, MSG_WAITALL | MSG_DONTWAIT) == (ssize_t)sizeof question) {
      if (question == next) sum += next++;
      more = question >= 0;
      if (more && send(peer, &sum, sizeof sum, MSG_NOSIGNAL) < 0) sum += 0; /* it will be asked again */
    }
    pthread_mutex_unlock(&quiet);
  }
  exit(0);
}

static void rank1(long count) {
  long sum = 0;
  cr_init();
  cr_register_callback(around1, NULL, CR_THREAD_CONTEXT);
  join();
  for (long question = 0; question < count;) {
    pthread_mutex_lock(&quiet);
    if (send(peer, &question, sizeof question, MSG_NOSIGNAL) == (ssize_t)sizeof question &&
        recv(peer, &sum, sizeof sum, MSG_WAITALL) == (ssize_t)sizeof sum) {
      ++question;
    }
    pthread_mutex_unlock(&quiet);
    if (question % 100 == 0) printf("%ld\n", question), fflush(stdout);
    usleep(1000);
  }
  const long end = -1;
  if (send(peer, &end, sizeof end, MSG_NOSIGNAL) < 0) fail("end");
  printf("sum %ld\n", sum);
  exit(0);
}

int main(int argc, char** argv) {
  const long count = argc > 1 ? atol(argv[1]) : 1000;
  if (pipe(announced) != 0) fail("pipe");
  if (fork() == 0) rank0();
  if (fork() == 0) rank1(count);
  int status = 0, worst = 0;
  while (wait(&status) > 0) worst |= status;
  return worst == 0 ? 0 : 1;
}
