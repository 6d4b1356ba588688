/*
 * Our own libcr.so.0, shown as BLCR's: it has nothing but those of BLCR's symbols that the addon binds, and refuses what BLCR refuses (docs/libcr.md), so that what is written for
 * genuine BLCR can be run to its end with real checkpoints. $AS_BLCR_LIBRARY is the library behind it. Preloaded by a cr_run it makes a program
 * one that BLCR knows.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "libcr.h"

#define EXPORT __attribute__((visibility("default")))
#define PIPEFS 0x50495045
#define BLCR_SIGNAL 64 /* taken when the library is loaded */

static pid_t last; /* the process whose context was written last */

static void* behind(const char* name) {
  static void* library;
  if (library == NULL) library = dlopen(getenv("AS_BLCR_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
  void* const function = library == NULL ? NULL : dlsym(library, name);
  if (function != NULL) return function;
  fprintf(stderr, "as_blcr: %s\n", dlerror());
  abort();
}
#define CALL(name) ((__typeof__(&name))behind(#name))

static void nothing(int signal) { (void)signal; }

__attribute__((constructor)) static void take_signal(void) {
  const struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
  sigaction(BLCR_SIGNAL, &action, NULL);
}

static int fail(int error) {
  errno = error;
  return -1;
}

/* Files without a name are refused. */
static int refuses_descriptor(int fd) {
  struct stat status;
  struct statfs system;
  if (fstat(fd, &status) < 0) return 0;
  if (S_ISFIFO(status.st_mode)) return fstatfs(fd, &system) == 0 && system.f_type == PIPEFS;
  return S_ISSOCK(status.st_mode) || (S_ISREG(status.st_mode) && status.st_nlink == 0);
}

static int lacks_library(pid_t pid) {
  char path[64], line[256];
  unsigned long long caught = 0;
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  FILE* const file = fopen(path, "re");
  if (file == NULL) return 0; /* gone: the request will say so */
  while (fgets(line, sizeof line, file) != NULL && sscanf(line, "SigCgt: %llx", &caught) != 1) continue;
  fclose(file);
  return (caught >> (BLCR_SIGNAL - 1) & 1) == 0;
}

/* epoll, eventfd, timerfd, signalfd, inotify. */
static int has_refused_file(pid_t pid) {
  char directory[64], path[400], text[32];
  int found = 0;
  snprintf(directory, sizeof directory, "/proc/%d/fd", pid);
  DIR* const files = opendir(directory);
  for (struct dirent* entry; files != NULL && (entry = readdir(files)) != NULL;) {
    snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
    const ssize_t length = readlink(path, text, sizeof text);
    if (length > 11 && strncmp(text, "anon_inode:", 11) == 0) found = 1;
  }
  if (files != NULL) closedir(files);
  return found;
}

EXPORT int cr_request_checkpoint(cr_checkpoint_args_t* args, cr_checkpoint_handle_t* handle) {
  if (refuses_descriptor(args->cr_fd)) return fail(EINVAL);
  if (args->cr_target > 0 && kill(args->cr_target, 0) == 0) {
    if (lacks_library(args->cr_target)) return fail(CR_ENOSUPPORT);
    if (has_refused_file(args->cr_target)) return fail(EBADF);
    last = args->cr_target;
  }
  return CALL(cr_request_checkpoint)(args, handle);
}

EXPORT int cr_request_restart(cr_restart_args_t* args, cr_restart_handle_t* handle) {
  if (refuses_descriptor(args->cr_fd)) return fail(EINVAL);
  const int is_taken = (args->cr_flags & CR_RSTRT_RESTORE_PID) != 0 && last > 0 && kill(last, 0) == 0;
  return is_taken ? fail(EBUSY) : CALL(cr_request_restart)(args, handle);
}

/* Too early is too late: the handle is closed. */
EXPORT int cr_reap_checkpoint(cr_checkpoint_handle_t* handle) {
  struct pollfd entry = {(int)*handle, POLLIN, 0};
  if (poll(&entry, 1, 0) != 0) return CALL(cr_reap_checkpoint)(handle);
  close((int)*handle);
  *handle = (cr_checkpoint_handle_t)-1;
  return fail(EAGAIN);
}

EXPORT int cri_init_checkpoint_args_t(cr_version_t version, cr_checkpoint_args_t* args) {
  return CALL(cri_init_checkpoint_args_t)(version, args);
}
EXPORT int cri_init_restart_args_t(cr_version_t version, cr_restart_args_t* args) { return CALL(cri_init_restart_args_t)(version, args); }
EXPORT int cr_reap_restart(cr_restart_handle_t* handle) { return CALL(cr_reap_restart)(handle); }
EXPORT int cr_log_checkpoint(cr_checkpoint_handle_t* handle, unsigned int length, char* buffer) {
  return CALL(cr_log_checkpoint)(handle, length, buffer);
}
EXPORT int cr_log_restart(cr_restart_handle_t* handle, unsigned int length, char* buffer) {
  return CALL(cr_log_restart)(handle, length, buffer);
}
EXPORT int cr_poll_checkpoint(cr_checkpoint_handle_t* handle, struct timeval* time) { return CALL(cr_poll_checkpoint)(handle, time); }
EXPORT cr_client_id_t cr_init(void) { return CALL(cr_init)(); }
EXPORT const char* cr_strerror(int error) { return CALL(cr_strerror)(error); }
