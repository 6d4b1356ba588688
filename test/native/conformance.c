/*
 * What a libcr.so.0 does, as a list of facts: one line "name value" each. Opens the library that is named first with dlopen, so that one
 * program asks every provider; the target of its requests is a child that has loaded the library too.
 *
 *   conformance LIBRARY DIRECTORY        DIRECTORY: where it may write
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <libcr.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FUNCTIONS(X)                                                                                                          \
  X(cri_init_checkpoint_args_t) X(cri_init_restart_args_t) X(cr_request_checkpoint) X(cr_wait_checkpoint) X(cr_reap_checkpoint) \
  X(cr_log_checkpoint) X(cr_poll_checkpoint) X(cr_poll_checkpoint_msg) X(cr_request_restart) X(cr_reap_restart) X(cr_wait_restart) \
  X(cr_log_restart) X(cr_init) X(cr_strerror)
#define POINTER(name) static __typeof__(&name) p_##name;
FUNCTIONS(POINTER)

static pid_t target;
static char fifo[4096], file[4096];

static void fact(const char* name, long value) { printf("%s %ld\n", name, value); }
/* A result with its errno, as -errno. */
static void outcome(const char* name, int result) { fact(name, result < 0 ? -errno : result); }

static cr_checkpoint_args_t request(pid_t pid, int fd, unsigned flags) {
  cr_checkpoint_args_t args;
  p_cri_init_checkpoint_args_t(CR_CHECKPOINT_ARGS_VERSION, &args);
  args.cr_scope = CR_SCOPE_PROC;
  args.cr_target = pid;
  args.cr_fd = fd;
  args.cr_flags = flags;
  return args;
}

static int openFile(int flags) { return open(file, flags | O_CREAT, 0600); }

/* Ten minutes: a machine may be emulated, and a reap that comes too early is another fact. */
static void await(cr_checkpoint_handle_t handle) {
  struct pollfd item = {(int)handle, POLLIN, 0};
  poll(&item, 1, 600000);
}

static void defaults(void) {
  cr_checkpoint_args_t args;
  cr_restart_args_t restart;
  memset(&args, 0x55, sizeof args);
  memset(&restart, 0x55, sizeof restart);
  outcome("defaults.checkpoint", p_cri_init_checkpoint_args_t(1, &args));
  fact("defaults.checkpoint.scope", (int)args.cr_scope);
  fact("defaults.checkpoint.fd", args.cr_fd);
  fact("defaults.checkpoint.rest", args.cr_target | args.cr_signal | (int)args.cr_timeout | (int)args.cr_flags);
  outcome("defaults.restart", p_cri_init_restart_args_t(1, &restart));
  fact("defaults.restart.flags", restart.cr_flags);
  fact("defaults.restart.fd", restart.cr_fd);
  fact("defaults.restart.relocate", restart.cr_relocate != NULL);
  outcome("defaults.version2", p_cri_init_checkpoint_args_t(2, &args));
  fact("init.first", p_cr_init());
  fact("init.second", p_cr_init());
  fact("strerror.own", strcmp(p_cr_strerror(CR_ETEMPFAIL), p_cr_strerror(CR_EPERMFAIL)) != 0);
  fact("strerror.errno", strcmp(p_cr_strerror(ENOENT), strerror(ENOENT)));
}

/* Wrong requests: refused at once, the handle left alone. */
static void refusals(void) {
  cr_checkpoint_handle_t handle = 77;
  const int fd = openFile(O_WRONLY);
  cr_checkpoint_args_t args = request(target, fd, 0);
  args.cr_version = 2;
  outcome("refused.version", p_cr_request_checkpoint(&args, &handle));
  args = request(target, fd, 0);
  args.cr_scope = 9;
  outcome("refused.scope", p_cr_request_checkpoint(&args, &handle));
  args = request(target, fd, 0);
  args.cr_signal = -1;
  outcome("refused.signal", p_cr_request_checkpoint(&args, &handle));
  fact("refused.handle", (long)handle);
  handle = 77;
  args = request(target, -1, 0);
  outcome("refused.descriptor", p_cr_request_checkpoint(&args, &handle));
  args = request(1 << 22, fd, 0);
  outcome("refused.target", p_cr_request_checkpoint(&args, &handle));
  args = request(getpid(), fd, CR_CHKPT_PROHIBIT_SELF);
  outcome("refused.self", p_cr_request_checkpoint(&args, &handle));
  const int reading = openFile(O_RDONLY);
  args = request(target, reading, 0);
  outcome("refused.readonly", p_cr_request_checkpoint(&args, &handle));
  fact("refused.handle.late", (long)handle);
  close(reading);
  args = request(1 << 22, fd, CR_CHKPT_ASYNC_ERR);
  outcome("late.request", p_cr_request_checkpoint(&args, &handle));
  await(handle);
  fact("late.log", p_cr_log_checkpoint(&handle, 0, NULL) > 1);
  outcome("late.reap", p_cr_reap_checkpoint(&handle));
  fact("late.handle", (long)handle);
  close(fd);
}

static void handles(void) {
  cr_checkpoint_handle_t foreign = (cr_checkpoint_handle_t)open("/dev/null", O_RDONLY), closed = 1000, kept = foreign;
  outcome("handle.foreign", p_cr_reap_checkpoint(&foreign));
  fact("handle.foreign.kept", foreign == kept);
  outcome("handle.closed", p_cr_reap_checkpoint(&closed));
  int ends[2];
  if (pipe(ends) != 0) return;
  cr_checkpoint_args_t args = request(target, ends[1], 0);
  cr_checkpoint_handle_t handle = 0;
  const int result = p_cr_request_checkpoint(&args, &handle);
  outcome("pipe.request", result);
  close(ends[1]);
  char buffer[65536];
  while (result == 0 && read(ends[0], buffer, sizeof buffer) > 0) continue;
  if (result == 0) await(handle), p_cr_reap_checkpoint(&handle);
  close(ends[0]);
}

/* One request whose context nobody reads yet: pending as long as we want. */
static void pending(void) {
  const int reader = open(fifo, O_RDONLY | O_NONBLOCK), writer = open(fifo, O_WRONLY);
  const struct timeval none = {0, 0};
  struct timeval zero = none;
  cr_checkpoint_args_t args = request(target, writer, 0);
  cr_checkpoint_handle_t handle = 0, second = 0;
  outcome("pending.request", p_cr_request_checkpoint(&args, &handle));
  outcome("pending.wait", p_cr_wait_checkpoint(&handle, &zero));
  zero = none;
  outcome("pending.poll", p_cr_poll_checkpoint(&handle, &zero));
  fact("pending.closeonexec", fcntl((int)handle, F_GETFD) & FD_CLOEXEC);
  const int other = openFile(O_WRONLY);
  args = request(target, other, CR_CHKPT_ASYNC_ERR);
  if (p_cr_request_checkpoint(&args, &second) == 0) {
    await(second);
    outcome("pending.second", p_cr_reap_checkpoint(&second));
  }
  close(other);
  cr_checkpoint_handle_t early = handle;
  outcome("pending.reap", p_cr_reap_checkpoint(&early));
  fact("pending.reap.kept", early == handle);
  close(writer);
  fcntl(reader, F_SETFL, 0);
  char buffer[65536];
  while (read(reader, buffer, sizeof buffer) > 0) continue;
  close(reader);
  if (early != handle) return;
  await(handle);
  outcome("done.wait", p_cr_wait_checkpoint(&handle, NULL));
  outcome("done.log", p_cr_log_checkpoint(&handle, 0, NULL) < 0 ? -1 : 0);
  outcome("done.reap", p_cr_reap_checkpoint(&handle));
  fact("done.handle", (long)handle);
  fact("done.again", p_cr_reap_checkpoint(&handle) < 0 ? errno : 0);
}

static void complete(void) {
  const int fd = openFile(O_WRONLY | O_TRUNC);
  cr_checkpoint_args_t args = request(target, fd, 0);
  cr_checkpoint_handle_t handle = 0;
  char* messages = NULL;
  outcome("file.request", p_cr_request_checkpoint(&args, &handle));
  await(handle);
  outcome("file.poll", p_cr_poll_checkpoint_msg(&handle, NULL, &messages));
  fact("file.handle", (long)handle);
  fact("target.lives", kill(target, 0));
  close(fd);
}

int main(int argc, char** argv) {
  if (argc != 3) return 64;
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) != 0) return 1;
  target = fork();
  void* const library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  if (target == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    char* memory = malloc(4 << 20); /* more than a FIFO takes */
    for (int at = 0; at < 4 << 20; ++at) memory[at] = (char)(at * 31 + at / 4096);
    if (write(ready[1], "r", 1) != 1) return 1;
    close(ready[0]), close(ready[1]);
    for (;;) pause();
  }
  char got;
  if (read(ready[0], &got, 1) != 1) return 1;
  close(ready[0]), close(ready[1]);
#define FIND(name)                                   \
  p_##name = (__typeof__(&name))dlsym(library, #name); \
  fact("symbol." #name, p_##name != NULL);
  FUNCTIONS(FIND)
  snprintf(fifo, sizeof fifo, "%s/fifo", argv[2]);
  snprintf(file, sizeof file, "%s/context", argv[2]);
  if (mkfifo(fifo, 0600) != 0) return 1;
  setvbuf(stdout, NULL, _IOLBF, 0);
  defaults();
  refusals();
  complete();
  handles();
  pending();
  kill(target, SIGKILL);
  waitpid(target, NULL, 0);
  return 0;
}
