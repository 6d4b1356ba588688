/*
 * A libcr.so.0 that plays genuine BLCR's part in tests: same symbols, same results, its defects included (docs/libcr.md). No kernel module
 * is needed, and where the genuine library would corrupt the kernel or the caller, this one aborts and says why.
 *
 * $SCRIPTED_LIBCR, read at each request, is a list key=value;key=value:
 *   delay   milliseconds until a request completes, default 20
 *   error   errno or CR_E* value it completes with, default 0
 *   bytes   length of the context written or to be read, default 0
 *   high    1: the handle is a descriptor >= 1024
 *   log     text of the log; default: one line naming what happened
 *   child   restart: exit status of the restored child; negative: the signal it dies of; default 0
 *   life    restart: milliseconds the restored child lives, default 20; 0: it has ended when the request is complete
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcr.h"

#define MAX_REQUESTS 1024
#define PIPEFS 0x50495045
#define EXPORT __attribute__((visibility("default")))

enum kind { FREE, CHECKPOINT, RESTART };

struct request {
  enum kind kind;
  int handle, own, data; /* own: our copy of the handle, for the caller may close his */
  int go;                /* restart: a byte in this pipe and the child is the restored program */
  pid_t target, child;
  int signal, flags; /* cr_signal; cr_flags of a restart */
  long delay, error, bytes, life, status;
  int done;
  char log[256];
};

static struct request table[MAX_REQUESTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void die(const char* rule) {
  fprintf(stderr, "scripted libcr: %s\n", rule);
  abort();
}

static int script(const char* key, char* value, size_t size) {
  const char* at = getenv("SCRIPTED_LIBCR");
  const size_t length = strlen(key);
  while (at != NULL && *at != '\0') {
    const char* end = strchrnul(at, ';');
    if (strncmp(at, key, length) == 0 && at[length] == '=') {
      snprintf(value, size, "%.*s", (int)(end - at - (long)length - 1), at + length + 1);
      return 1;
    }
    at = *end == ';' ? end + 1 : end;
  }
  return 0;
}

static long number(const char* key, long otherwise) {
  char value[32];
  return script(key, value, sizeof value) ? strtol(value, NULL, 10) : otherwise;
}

static void pause_ms(long ms) {
  const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&time, NULL);
}

static int fail(int error) {
  errno = error;
  return -1;
}

/* What the kernel module's path check makes of a descriptor: things without a name in a directory are refused. */
static int descriptor_problem(int fd) {
  struct stat status;
  struct statfs system;
  if (fstat(fd, &status) < 0) return EBADF;
  if (S_ISSOCK(status.st_mode)) return EINVAL;
  if (S_ISFIFO(status.st_mode) && fstatfs(fd, &system) == 0 && system.f_type == PIPEFS) return EINVAL;
  if (S_ISREG(status.st_mode) && status.st_nlink == 0) return EINVAL;
  if (S_ISREG(status.st_mode) && status.st_nlink > 1) return EMLINK;
  if (S_ISFIFO(status.st_mode) && (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0) return EAGAIN;
  return 0;
}

/* Writing happens in the target's own context: without a reader it is the target that SIGPIPE hits. */
static int write_context(struct request* request) {
  char block[4096];
  for (long done = 0; done < request->bytes;) {
    const long rest = request->bytes - done;
    const size_t part = rest < (long)sizeof block ? (size_t)rest : sizeof block;
    for (size_t i = 0; i < part; i++) block[i] = (char)((done + (long)i) % 251);
    const ssize_t count = write(request->data, block, part);
    if (count < 0) {
      if (errno == EPIPE && request->target > 0) kill(request->target, SIGPIPE);
      return errno;
    }
    done += count;
  }
  return 0;
}

static int read_context(const struct request* request) {
  char block[4096];
  long done = 0;
  ssize_t count;
  while ((count = read(request->data, block, sizeof block)) > 0) {
    for (ssize_t i = 0; i < count; i++) {
      if (block[i] != (char)((done + i) % 251)) return EINVAL;
    }
    done += count;
  }
  return count < 0 ? errno : done == request->bytes ? 0 : EIO;
}

static void be_the_child(const struct request* request) {
  if ((request->flags & CR_RSTRT_RESTORE_SID) != 0) setsid(); /* the recorded root led a session */
  pause_ms(request->life);
  if (request->status < 0) {
    signal((int)-request->status, SIG_DFL);
    kill(getpid(), (int)-request->status);
    pause_ms(1000);
  }
  _exit((int)request->status);
}

/* As BLCR does, the caller is forked when it asks, and the child has all of its descriptors for as long as the context is read. */
static void fork_child(struct request* request) {
  int go[2];
  if (pipe2(go, O_CLOEXEC) < 0) die("no pipe");
  request->go = go[1];
  request->child = fork();
  if (request->child != 0) {
    close(go[0]);
    return;
  }
  char byte;
  close(go[1]);
  if (read(go[0], &byte, 1) != 1) _exit(0);
  be_the_child(request);
}

static void end_fork(struct request* request) {
  if (request->error != 0) {
    kill(request->child, SIGKILL);
    waitpid(request->child, NULL, 0);
  } else if (write(request->go, "", 1) != 1) {
    die("the child is gone");
  } else if (request->life == 0) {
    siginfo_t ended;
    waitid(P_PID, (id_t)request->child, &ended, WEXITED | WNOWAIT);
  }
  close(request->go);
}

static void* serve(void* argument) {
  struct request* request = argument;
  sigset_t pipe_signal;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL);
  pause_ms(request->delay);
  if (request->error == 0 && request->bytes > 0) {
    request->error = request->kind == CHECKPOINT ? write_context(request) : read_context(request);
  }
  if (request->data >= 0) close(request->data);
  if (request->kind == CHECKPOINT && request->error == 0 && request->signal != 0) {
    if (kill(-request->target, request->signal) < 0) kill(request->target, request->signal);
  }
  if (request->child > 0) end_fork(request);
  pthread_mutex_lock(&lock);
  request->done = 1;
  const uint64_t one = 1;
  if (write(request->own, &one, sizeof one) < 0) die("cannot signal a handle");
  close(request->own);
  if (request->handle < 0) request->kind = FREE; /* given up by an early reap */
  pthread_mutex_unlock(&lock);
  return NULL;
}

static int open_handle(void) {
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0 || number("high", 0) == 0) return fd;
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < 2048 && limit.rlim_max >= 2048) {
    limit.rlim_cur = 2048;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  const int high = fcntl(fd, F_DUPFD_CLOEXEC, 1024);
  close(fd);
  return high;
}

/* A handle that was closed behind our back (that is allowed) frees its number for the next request. */
static void forget(int handle) {
  for (int i = 0; i < MAX_REQUESTS; i++) {
    if (table[i].kind != FREE && table[i].handle == handle) {
      table[i].handle = -1;
      if (table[i].done) table[i].kind = FREE;
    }
  }
}

static struct request* find(int handle) {
  for (int i = 0; i < MAX_REQUESTS; i++) {
    if (table[i].kind != FREE && table[i].handle == handle && handle >= 0) return &table[i];
  }
  return NULL;
}

static struct request* claim(void) {
  for (int i = 0; i < MAX_REQUESTS; i++) {
    if (table[i].kind == FREE) return &table[i];
  }
  die("too many requests");
  return NULL;
}

static int is_busy(pid_t target) {
  for (int i = 0; i < MAX_REQUESTS; i++) {
    if (table[i].kind == CHECKPOINT && !table[i].done && table[i].target == target) return 1;
  }
  return 0;
}

static int start(enum kind kind, pid_t target, int fd, int is_async, int signal, int flags, unsigned long* handle) {
  pthread_mutex_lock(&lock);
  int problem = fd >= 0 ? descriptor_problem(fd) : fd == CR_DEST_CWD ? 0 : EINVAL;
  const char* words = problem != 0 ? "Failed to initialize destination file descriptor" : "done";
  if (problem == 0 && kind == CHECKPOINT && target > 0 && kill(target, 0) < 0) problem = errno, words = "no such target";
  if (problem == 0 && kind == CHECKPOINT && is_busy(target)) problem = EBUSY, words = "target already has a request";
  if (problem != 0 && !is_async) {
    pthread_mutex_unlock(&lock);
    return fail(problem);
  }
  struct request* request = claim();
  memset(request, 0, sizeof *request);
  request->handle = open_handle();
  forget(request->handle);
  request->own = fcntl(request->handle, F_DUPFD_CLOEXEC, 3);
  request->kind = kind;
  request->target = target;
  request->signal = signal;
  request->flags = flags;
  request->data = problem == 0 && fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
  request->delay = problem != 0 ? 0 : number("delay", 20);
  request->error = problem != 0 ? problem : number("error", 0);
  request->bytes = number("bytes", 0);
  request->life = number("life", 20);
  request->status = number("child", 0);
  if (!script("log", request->log, sizeof request->log)) snprintf(request->log, sizeof request->log, "scripted: %s\n", words);
  if (kind == RESTART && problem == 0) fork_child(request);
  *handle = (unsigned long)request->handle;
  pthread_t thread;
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 64 * 1024);
  pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
  if (pthread_create(&thread, &small, serve, request) != 0) die("no thread");
  pthread_attr_destroy(&small);
  pthread_mutex_unlock(&lock);
  return 0;
}

/* Genuine BLCR frees what epoll still points to when a watched handle is reaped. */
static void check_epoll(int handle) {
  DIR* directory = opendir("/proc/self/fd");
  for (struct dirent* entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
    char path[300], text[512];
    snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
    const ssize_t length = readlink(path, text, sizeof text - 1);
    if (length <= 0) continue;
    text[length] = '\0';
    if (strcmp(text, "anon_inode:[eventpoll]") != 0) continue;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%s", entry->d_name);
    FILE* file = fopen(path, "re");
    int watched = -1;
    while (file != NULL && fgets(text, sizeof text, file) != NULL) {
      if (sscanf(text, "tfd: %d", &watched) == 1 && watched == handle) die("reaped while the handle is in an epoll set");
    }
    if (file != NULL) fclose(file);
  }
  if (directory != NULL) closedir(directory);
}

static int reap(enum kind kind, unsigned long* handle) {
  const int fd = (int)*handle;
  pthread_mutex_lock(&lock);
  struct request* request = find(fd);
  int result;
  if (request == NULL || request->kind != kind) {
    result = fail(fcntl(fd, F_GETFD) < 0 ? EBADF : ENOTTY);
    pthread_mutex_unlock(&lock);
    return result;
  }
  check_epoll(fd);
  close(fd); /* also when it is too early */
  *handle = (unsigned long)-1;
  request->handle = -1;
  if (!request->done) {
    result = fail(EAGAIN);
  } else {
    request->kind = FREE;
    result = request->error != 0 ? fail((int)request->error) : kind == RESTART ? request->child : 0;
  }
  pthread_mutex_unlock(&lock);
  return result;
}

static int log_of(unsigned long* handle, unsigned int length, char* buffer) {
  pthread_mutex_lock(&lock);
  const struct request* request = find((int)*handle);
  const int needed = request == NULL ? fail(EBADF) : (int)strlen(request->log) + 1;
  if (needed > 0 && length > 0) snprintf(buffer, length, "%s", request->log);
  pthread_mutex_unlock(&lock);
  return needed;
}

/* select(2) writes beyond its set here; the genuine library's caller dies of SIGSEGV. */
static int wait_for(const unsigned long* handle, const struct timeval* timeout) {
  if ((int)*handle >= 1024) die("select() on a descriptor >= 1024");
  struct pollfd entry = {(int)*handle, POLLIN, 0};
  return poll(&entry, 1, timeout == NULL ? -1 : (int)(timeout->tv_sec * 1000 + timeout->tv_usec / 1000));
}

static int poll_for(enum kind kind, unsigned long* handle, const struct timeval* timeout, char** messages) {
  const int ready = wait_for(handle, timeout);
  if (ready <= 0) return ready < 0 ? CR_POLL_CHKPT_ERR_PRE : 0;
  if (messages != NULL) {
    *messages = calloc(1, 256);
    log_of(handle, 256, *messages);
  }
  return reap(kind, handle) < 0 ? CR_POLL_CHKPT_ERR_POST : 1;
}

EXPORT int cri_init_checkpoint_args_t(cr_version_t version, cr_checkpoint_args_t* args) {
  if (version != CR_CHECKPOINT_ARGS_VERSION) return fail(EINVAL);
  *args = (cr_checkpoint_args_t){version, (cr_scope_t)-1, 0, -1, 0, 0, 0};
  return 0;
}
EXPORT int cri_init_restart_args_t(cr_version_t version, cr_restart_args_t* args) {
  if (version != CR_RESTART_ARGS_VERSION) return fail(EINVAL);
  *args = (cr_restart_args_t){version, -1, 0, CR_RSTRT_RESTORE_PID, NULL};
  return 0;
}
EXPORT int cr_request_checkpoint(cr_checkpoint_args_t* args, cr_checkpoint_handle_t* handle) {
  if (args->cr_version != CR_CHECKPOINT_ARGS_VERSION || args->cr_scope > CR_SCOPE_TREE || args->cr_signal < 0) return fail(EINVAL);
  const int self = args->cr_target == 0 || args->cr_target == getpid();
  if (self && (args->cr_flags & CR_CHKPT_PROHIBIT_SELF) != 0) return fail(EDEADLK);
  if (args->cr_fd >= 0 && (fcntl(args->cr_fd, F_GETFL) & (O_ACCMODE)) == O_RDONLY) return fail(EBADF);
  return start(CHECKPOINT, args->cr_target, args->cr_fd, (args->cr_flags & CR_CHKPT_ASYNC_ERR) != 0, args->cr_signal, 0, handle);
}
EXPORT int cr_request_restart(cr_restart_args_t* args, cr_restart_handle_t* handle) {
  if (args->cr_version != CR_RESTART_ARGS_VERSION) return fail(EINVAL);
  return start(RESTART, 0, args->cr_fd, (args->cr_flags & CR_RSTRT_ASYNC_ERR) != 0, 0, (int)args->cr_flags, handle);
}
EXPORT int cr_reap_checkpoint(cr_checkpoint_handle_t* handle) { return reap(CHECKPOINT, handle); }
EXPORT int cr_reap_restart(cr_restart_handle_t* handle) { return reap(RESTART, handle); }
EXPORT int cr_log_checkpoint(cr_checkpoint_handle_t* handle, unsigned int length, char* buffer) { return log_of(handle, length, buffer); }
EXPORT int cr_log_restart(cr_restart_handle_t* handle, unsigned int length, char* buffer) { return log_of(handle, length, buffer); }
EXPORT int cr_wait_checkpoint(cr_checkpoint_handle_t* handle, struct timeval* timeout) { return wait_for(handle, timeout); }
EXPORT int cr_wait_restart(cr_restart_handle_t* handle, struct timeval* timeout) { return wait_for(handle, timeout); }
EXPORT int cr_poll_checkpoint_msg(cr_checkpoint_handle_t* handle, struct timeval* timeout, char** messages) {
  return poll_for(CHECKPOINT, handle, timeout, messages);
}
EXPORT int cr_poll_checkpoint(cr_checkpoint_handle_t* handle, struct timeval* timeout) {
  return poll_for(CHECKPOINT, handle, timeout, NULL);
}
EXPORT int cr_poll_restart_msg(cr_restart_handle_t* handle, struct timeval* timeout, char** messages) {
  return poll_for(RESTART, handle, timeout, messages);
}
EXPORT int cr_poll_restart(cr_restart_handle_t* handle, struct timeval* timeout) { return poll_for(RESTART, handle, timeout, NULL); }

static __thread unsigned int clients;
EXPORT cr_client_id_t cr_init(void) { return clients++; }

EXPORT const char* cr_strerror(int error) {
  static const char* const words[] = {"Temporary checkpoint failure", "Permanent checkpoint failure", "Checkpoint not supported by target"};
  return error >= CR_ETEMPFAIL && error <= CR_ENOSUPPORT ? words[error - CR_ETEMPFAIL] : strerror(error);
}
