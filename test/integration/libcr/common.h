/* What the programs of this directory share: each is linked with -lcr, checkpoints itself or is checkpointed, and says what went wrong. */
#ifndef COMMON_H
#define COMMON_H

#include <fcntl.h>
#include <libcr.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXPECT(got, wanted)                                                                                            \
  do {                                                                                                                 \
    const long got_ = (long)(got), wanted_ = (long)(wanted);                                                           \
    if (got_ != wanted_) {                                                                                             \
      dprintf(2, "%s:%d: %s is %ld, not %ld (errno %d)\n", __FILE__, __LINE__, #got, got_, wanted_, errno);            \
      _exit(1);                                                                                                        \
    }                                                                                                                  \
  } while (0)

/* One line at once, also from callbacks. */
static inline void say(const char* text) {
  char line[128];
  snprintf(line, sizeof line, "%s\n", text);
  if (write(1, line, strlen(line)) < 0) _exit(1);
}

/* Asks for a checkpoint of `target` (0 = the caller) in `path`; 0, or -1 with errno for a request that is refused at once. */
static inline int ask(const char* path, cr_scope_t scope, pid_t target, unsigned flags, cr_checkpoint_handle_t* handle) {
  cr_checkpoint_args_t args;
  cr_initialize_checkpoint_args_t(&args);
  args.cr_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  args.cr_scope = scope;
  args.cr_target = target;
  args.cr_flags = flags;
  const int result = cr_request_checkpoint(&args, handle);
  const int problem = errno;
  close(args.cr_fd);
  errno = problem;
  return result;
}

/* Waits for it: 0, or the error it ended with; CR_ERESTARTED in the restarted copy. */
static inline int finish(cr_checkpoint_handle_t* handle) {
  int result = 0;
  do {
    result = cr_poll_checkpoint(handle, NULL);
  } while (result == CR_POLL_CHKPT_ERR_PRE && errno == EINTR);
  return result > 0 ? 0 : errno;
}

static inline int take(const char* path, cr_scope_t scope, pid_t target) {
  cr_checkpoint_handle_t handle;
  return ask(path, scope, target, 0, &handle) == 0 ? finish(&handle) : errno;
}

#endif
