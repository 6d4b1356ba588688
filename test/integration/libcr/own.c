/* Programs that ask for their own checkpoints, and what they find afterwards. own WHAT FILE; exit status 0, in the restarted copy 4. */
#include "common.h"

#include <sys/stat.h>

static const char* file;

static int ready(void* argument) {
  (void)argument;
  cr_checkpoint(CR_CHECKPOINT_READY);
  return 0;
}

static int refuse(void* argument) {
  (void)argument;
  EXPECT(cr_checkpoint(CR_CHECKPOINT_TEMP_FAILURE), -CR_ETEMPFAIL);
  return 0;
}

static void prepare(cr_callback_t callback, int context) {
  EXPECT(cr_init(), 0);
  EXPECT(cr_register_callback(callback, NULL, context), context);
}

static int outcome(int ended) {
  EXPECT(ended == 0 || ended == CR_ERESTARTED, 1);
  return ended == 0 ? 0 : 4;
}

/* A request stops the program that makes it: it is over when it returns, or pending while there is a critical section. */
static int atOnce(void) {
  cr_checkpoint_handle_t handle;
  struct stat status;
  prepare(ready, CR_SIGNAL_CONTEXT);
  EXPECT(cr_enter_cs(0), 0);
  EXPECT(ask("other", CR_SCOPE_PROC, 0, 0, &handle), 0);
  EXPECT(cr_status(), CR_STATE_PENDING);
  EXPECT(stat("other", &status), 0);
  EXPECT(status.st_size, 0);
  EXPECT(cr_leave_cs(0), 0);
  EXPECT(cr_status(), CR_STATE_IDLE);
  EXPECT(finish(&handle), 0);
  EXPECT(ask(file, CR_SCOPE_PROC, getpid(), 0, &handle), 0);
  EXPECT(stat(file, &status), 0);
  EXPECT(status.st_size > 0, 1);
  const int ended = finish(&handle);
  if (ended == CR_ERESTARTED) return 4;
  EXPECT(ended, 0);
  EXPECT(cr_replace_callback(CR_SIGNAL_CONTEXT, refuse, NULL, CR_SIGNAL_CONTEXT), 0);
  EXPECT(ask("other", CR_SCOPE_PROC, 0, 0, &handle), 0);
  EXPECT(finish(&handle), CR_ETEMPFAIL);
  return 0;
}

static int overlaps[3];
static int overlapping(void* argument) {
  (void)argument;
  overlaps[0] = take("other", CR_SCOPE_PROC, getpid());
  overlaps[cr_checkpoint(CR_CHECKPOINT_READY) > 0 ? 2 : 1] = take("other", CR_SCOPE_PROC, getpid());
  return 0;
}

/* One checkpoint at a time, also for those who ask in callbacks: before, afterwards, and while it is restarted. */
static int overlap(void) {
  prepare(overlapping, CR_THREAD_CONTEXT);
  const int result = outcome(take(file, CR_SCOPE_PROC, 0));
  EXPECT(overlaps[0], EBUSY);
  EXPECT(overlaps[result == 0 ? 1 : 2], EBUSY);
  EXPECT(take("other", CR_SCOPE_PROC, 0), 0);
  return result;
}

static volatile sig_atomic_t caught;
static void handler(int number) {
  (void)number;
  ++caught;
}

/* The program may use every signal as it likes, libcr's own as well: SIGRTMAX as the kernel counts. */
static int signals(void) {
  struct sigaction mine = {.sa_handler = handler}, now;
  prepare(ready, CR_SIGNAL_CONTEXT);
  void (*const handlers[])(int) = {SIG_IGN, SIG_DFL, handler};
  int result = 0;
  for (int i = 0; i < 3; ++i) {
    mine.sa_handler = handlers[i];
    EXPECT(sigaction(64, &mine, NULL), 0);
    result = outcome(take(i == 2 ? file : "other", CR_SCOPE_PROC, 0));
    EXPECT(sigaction(64, NULL, &now), 0);
    EXPECT(now.sa_handler == handlers[i], 1);
  }
  EXPECT(caught, 0);
  raise(64);
  EXPECT(caught, 1);
  return result;
}

static int execute(void* argument) {
  (void)argument;
  if (cr_checkpoint(CR_CHECKPOINT_READY) > 0) execl("/bin/sh", "sh", "-c", "exit 4", NULL);
  return 0;
}

/* Another program takes the restarted one's place while its other callbacks return, as some mpirun do. */
static int replaced(void) {
  prepare(execute, CR_SIGNAL_CONTEXT);
  EXPECT(cr_register_callback(ready, NULL, CR_THREAD_CONTEXT), CR_THREAD_CONTEXT);
  return outcome(take(file, CR_SCOPE_PROC, 0));
}

static unsigned lowDescriptors(void) {
  unsigned open = 0;
  for (int fd = 0; fd < 32; ++fd) open |= fcntl(fd, F_GETFD) >= 0 ? 1u << fd : 0;
  return open;
}

/* No descriptors appear among the numbers that the program works with. */
static int descriptors(void) {
  prepare(ready, CR_SIGNAL_CONTEXT);
  const unsigned before = lowDescriptors();
  const int result = outcome(take(file, CR_SCOPE_PROC, 0));
  EXPECT(lowDescriptors(), before);
  return result;
}

int main(int argc, char** argv) {
  if (argc < 3) return 64;
  file = argv[2];
  if (strcmp(argv[1], "at once") == 0) return atOnce();
  if (strcmp(argv[1], "overlap") == 0) return overlap();
  if (strcmp(argv[1], "signals") == 0) return signals();
  if (strcmp(argv[1], "replaced") == 0) return replaced();
  if (strcmp(argv[1], "descriptors") == 0) return descriptors();
  return 64;
}
