/* Requests by programs that are linked with -lcr, of themselves and of others. requests WHAT; exit status 0, in a restarted copy 4. */
#include "common.h"

#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/time.h>

static char order[64];
static int length;
static void note(char what) { order[__atomic_fetch_add(&length, 1, __ATOMIC_SEQ_CST)] = what; }

static int noting(void* argument) {
  const char* names = argument; /* on the way there, and on the way back */
  note(names[0]);
  cr_checkpoint(CR_CHECKPOINT_READY);
  note(names[1]);
  return 0;
}

static void* secondThread(void* argument) {
  EXPECT(cr_init(), 0);
  EXPECT(cr_register_callback(noting, "mM", CR_SIGNAL_CONTEXT) >= 0, 1);
  EXPECT(cr_register_callback(noting, "nN", CR_SIGNAL_CONTEXT) >= 0, 1);
  note('+');
  for (;;) pause();
  return argument;
}

static int at(char what) {
  const char* found = strchr(order, what);
  EXPECT(found != NULL, 1);
  return (int)(found - order);
}

static int ordered(void) {
  pthread_t thread;
  EXPECT(cr_init(), 0);
  EXPECT(cr_register_callback(noting, "aA", CR_SIGNAL_CONTEXT) >= 0, 1);
  EXPECT(cr_register_callback(noting, "bB", CR_SIGNAL_CONTEXT) >= 0, 1);
  EXPECT(cr_register_callback(noting, "sS", CR_THREAD_CONTEXT) >= 0, 1);
  EXPECT(cr_register_callback(noting, "tT", CR_THREAD_CONTEXT) >= 0, 1);
  pthread_create(&thread, NULL, secondThread, NULL);
  while (__atomic_load_n(&length, __ATOMIC_SEQ_CST) == 0) usleep(1000);
  length = 0;
  const int end = take("order.context", CR_SCOPE_PROC, 0);
  EXPECT(end == 0 || end == CR_ERESTARTED, 1);
  EXPECT(length, 12);
  /* Later ones run first, in each thread; none in a thread's own context before all of the other are ready. */
  EXPECT(at('b') < at('a') && at('n') < at('m') && at('t') < at('s'), 1);
  for (const char* one = "abmn"; *one != '\0'; ++one) EXPECT(at('s') < at(*one) && at('t') < at(*one), 1);
  EXPECT(at('A') < at('B') && at('M') < at('N') && at('S') < at('T'), 1);
  /* Nothing comes back before everybody is ready. */
  for (const char* one = "ABMNST"; *one != '\0'; ++one) EXPECT(at(*one) >= 6, 1);
  return end == 0 ? 0 : 4;
}

static off_t sizeOf(const char* path) {
  struct stat status;
  return stat(path, &status) == 0 ? status.st_size : -1;
}

static int conveniences(void) {
  char name[64];
  snprintf(name, sizeof name, "context.%d", getpid());
  EXPECT(cr_request(), 0);
  EXPECT(sizeOf(name) > 1000, 1);
  EXPECT(cr_request_file("mine.context"), 0);
  EXPECT(sizeOf("mine.context") > 1000, 1);
  EXPECT(cr_request_file("nowhere/mine.context"), -ENOENT);
  const int fd = open("fd.context", O_RDWR | O_CREAT | O_TRUNC, 0600);
  EXPECT(cr_request_fd(fd), 0);
  EXPECT(lseek(fd, 0, SEEK_END) > 1000, 1);
  EXPECT(cr_request_fd(-1), -EINVAL);
  return 0;
}

/* A child in the process group `group`, or of its own (0), or with a session of its own (-1). */
static pid_t sleeper(pid_t group) {
  const pid_t pid = fork();
  if (pid == 0) {
    if (group < 0) setsid();
    for (;;) pause();
  }
  if (group >= 0) EXPECT(setpgid(pid, group), 0);
  while (group < 0 && getsid(pid) != pid) usleep(1000);
  return pid;
}

static int takeSignalled(const char* path, cr_scope_t scope, pid_t target, int signal, unsigned flags) {
  cr_checkpoint_args_t args;
  cr_checkpoint_handle_t handle;
  cr_initialize_checkpoint_args_t(&args);
  args.cr_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  args.cr_scope = scope;
  args.cr_target = target;
  args.cr_signal = signal;
  args.cr_flags = flags;
  char* log = NULL;
  int result = cr_request_checkpoint(&args, &handle);
  if (result == 0) result = cr_poll_checkpoint_msg(&handle, NULL, &log);
  const int problem = errno;
  free(log);
  close(args.cr_fd);
  return result < 0 ? problem : 0;
}

static void expectEnd(pid_t pid, int signal) {
  int status = 0;
  EXPECT(waitpid(pid, &status, 0), pid);
  EXPECT(WIFSIGNALED(status) ? WTERMSIG(status) : -1, signal);
}
static void expectLife(pid_t pid) { EXPECT(waitpid(pid, NULL, WNOHANG), 0); }

static int scopes(void) {
  const pid_t leader = sleeper(0), member = sleeper(leader), other = sleeper(-1);
  EXPECT(takeSignalled("one.context", CR_SCOPE_PROC, member, SIGUSR1, 0), 0);
  expectEnd(member, SIGUSR1);
  expectLife(leader);
  const pid_t second = sleeper(leader);
  EXPECT(takeSignalled("group.context", CR_SCOPE_PGRP, leader, SIGTERM, 0), 0);
  expectEnd(leader, SIGTERM);
  expectEnd(second, SIGTERM);
  expectLife(other);
  EXPECT(takeSignalled("session.context", CR_SCOPE_SESS, other, SIGKILL, 0), 0);
  expectEnd(other, SIGKILL);
  EXPECT(takeSignalled("none.context", CR_SCOPE_PGRP, leader, 0, 0), ESRCH);
  return 0;
}

static int traced(void) {
  const pid_t child = sleeper(0);
  EXPECT(ptrace(PTRACE_SEIZE, child, 0, 0), 0);
  const pid_t second = sleeper(child);
  EXPECT(takeSignalled("t", CR_SCOPE_PROC, child, 0, 0), CR_EPTRACED);
  EXPECT(takeSignalled("t", CR_SCOPE_PROC, child, 0, CR_CHKPT_PTRACED_SKIP), ESRCH);
  EXPECT(takeSignalled("t", CR_SCOPE_PGRP, child, 0, 0), CR_EPTRACED);
  EXPECT(takeSignalled("skipped.context", CR_SCOPE_PGRP, child, SIGUSR2, CR_CHKPT_PTRACED_SKIP), 0);
  expectEnd(second, SIGUSR2);
  EXPECT(takeSignalled("t", CR_SCOPE_PROC, child, 0, CR_CHKPT_PTRACED_ALLOW), CR_EPTRACED);
  /* And the tracer itself, asked by somebody else. */
  const pid_t self = getpid();
  const pid_t asker = fork();
  if (asker == 0) {
    EXPECT(takeSignalled("t", CR_SCOPE_PROC, self, 0, 0), CR_EPTRACER);
    EXPECT(takeSignalled("t", CR_SCOPE_PROC, self, 0, CR_CHKPT_PTRACER_SKIP), ESRCH);
    _exit(9);
  }
  int status = 0;
  EXPECT(waitpid(asker, &status, 0), asker);
  EXPECT(WEXITSTATUS(status), 9);
  kill(child, SIGKILL);
  return 0;
}

static void onAlarm(int number) { (void)number; }

static int waits(void) {
  int ends[2];
  const pid_t child = sleeper(0);
  EXPECT(pipe(ends), 0);
  cr_checkpoint_args_t args;
  cr_checkpoint_handle_t handle;
  cr_initialize_checkpoint_args_t(&args);
  args.cr_scope = CR_SCOPE_PROC;
  args.cr_target = child;
  args.cr_fd = ends[1];
  EXPECT(cr_request_checkpoint(&args, &handle), 0);
  close(ends[1]);
  struct timeval limit = {0, 200000};
  EXPECT(cr_wait_checkpoint(&handle, &limit), 0);
  EXPECT(limit.tv_sec, 0);
  EXPECT(limit.tv_usec, 0); /* as select() leaves it */
  limit.tv_usec = -1;
  EXPECT(cr_wait_checkpoint(&handle, &limit), -1);
  EXPECT(errno, EINVAL);
  EXPECT(cr_wait_checkpoint(&handle, (struct timeval*)8), -1);
  EXPECT(errno, EFAULT);
  const struct itimerval none = {{0, 0}, {0, 0}}, alarm = {{0, 50000}, {0, 50000}};
  const struct sigaction action = {.sa_handler = onAlarm};
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &alarm, NULL);
  EXPECT(cr_wait_checkpoint(&handle, NULL), -1);
  EXPECT(errno, EINTR);
  limit = (struct timeval){100, 0};
  EXPECT(cr_poll_checkpoint(&handle, &limit), CR_POLL_CHKPT_ERR_PRE);
  EXPECT(errno, EINTR);
  setitimer(ITIMER_REAL, &none, NULL);
  static char buffer[65536];
  while (read(ends[0], buffer, sizeof buffer) > 0) continue;
  limit = (struct timeval){100, 0};
  EXPECT(cr_wait_checkpoint(&handle, &limit), 1);
  EXPECT(limit.tv_sec >= 90, 1);
  EXPECT(limit.tv_sec < 100 || limit.tv_usec == 0, 1);
  EXPECT(cr_poll_checkpoint(&handle, NULL) > 0, 1);
  /* Messages: any part of them, any number of times. */
  args.cr_target = 1 << 22;
  args.cr_flags = CR_CHKPT_ASYNC_ERR;
  args.cr_fd = 2;
  EXPECT(cr_request_checkpoint(&args, &handle), 0);
  char part[8], whole[4096];
  const int needed = cr_log_checkpoint(&handle, 0, NULL);
  EXPECT(needed > 8 && needed < 4096, 1);
  EXPECT(cr_log_checkpoint(&handle, sizeof part, part), needed);
  EXPECT(cr_log_checkpoint(&handle, sizeof whole, whole), needed);
  EXPECT((int)strlen(whole) + 1, needed);
  EXPECT(strlen(part), 7);
  EXPECT(strncmp(whole, part, 7), 0);
  EXPECT(cr_reap_checkpoint(&handle), -1);
  EXPECT(errno, ESRCH);
  EXPECT(cr_log_checkpoint(&handle, 0, NULL), -1);
  kill(child, SIGKILL);
  return 0;
}

/* From inside the program: what cr_restart does, and with other flags. */
static int restarts(void) {
  EXPECT(mkdir("old", 0700), 0);
  const pid_t child = fork();
  if (child == 0) {
    const pid_t own = getpid();
    setpgid(0, 0);
    EXPECT(chdir("old"), 0);
    const int out = open("out", O_WRONLY | O_CREAT, 0600);
    while (access("/proc/self/cwd/go", F_OK) != 0) usleep(5000);
    dprintf(out, "%d %d %d", getpid() == own, getpgrp() == own, access("../new", F_OK) == 0);
    _exit(33);
  }
  while (sizeOf("old/out") != 0) usleep(1000);
  EXPECT(takeSignalled("restart.context", CR_SCOPE_PROC, child, SIGKILL, 0), 0);
  expectEnd(child, SIGKILL);
  EXPECT(rename("old", "new"), 0);
  char here[2048], from[4096], into[4096];
  EXPECT(getcwd(here, sizeof here) != NULL, 1);
  snprintf(from, sizeof from, "%s/old", here);
  snprintf(into, sizeof into, "%s/new", here);
  for (int round = 0; round < 3; ++round) {
    unlink("new/go");
    cr_restart_args_t args;
    cr_restart_handle_t handle;
    char pairs[CR_RSTRT_RELOCATE_SIZE(1)];
    struct cr_rstrt_relocate* relocate = (void*)pairs;
    relocate->count = 1;
    relocate->path[0].oldpath = from;
    relocate->path[0].newpath = into;
    EXPECT(cr_initialize_restart_args_t(&args), 0);
    args.cr_fd = open("restart.context", O_RDONLY | O_CLOEXEC);
    char* log = (char*)1;
    if (round == 0) {
      EXPECT(cr_request_restart(&args, &handle), 0);
      EXPECT(cr_poll_restart_msg(&handle, NULL, &log), CR_POLL_RSTRT_ERR_POST);
      EXPECT(errno, ENOENT);
      EXPECT(log != NULL && strstr(log, "old") != NULL, 1);
      free(log);
      continue;
    }
    args.cr_relocate = relocate;
    if (round == 2) args.cr_flags &= ~(unsigned)CR_RSTRT_RESTORE_PID;
    if (round == 1) args.cr_flags |= CR_RSTRT_RESTORE_PGID | CR_RSTRT_RESTORE_SID | CR_RSTRT_ASYNC_ERR;
    EXPECT(cr_request_restart(&args, &handle), 0);
    struct timeval limit = {60, 0};
    EXPECT(cr_wait_restart(&handle, &limit), 1);
    EXPECT(cr_log_restart(&handle, 0, NULL) >= 0, 1);
    const pid_t restarted = cr_reap_restart(&handle);
    EXPECT(restarted > 0, 1);
    close(args.cr_fd);
    close(open("new/go", O_WRONLY | O_CREAT, 0600));
    int status = 0;
    EXPECT(waitpid(restarted, &status, 0), restarted);
    EXPECT(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 33);
    char said[16] = "";
    const int out = open("new/out", O_RDONLY);
    EXPECT(read(out, said, sizeof said) > 0, 1);
    close(out);
    EXPECT(strcmp(said, round == 1 ? "1 1 1" : "0 0 1"), 0);
  }
  return 0;
}

int main(int argc, char** argv) {
  if (argc < 2) return 64;
  if (strcmp(argv[1], "ordered") == 0) return ordered();
  if (strcmp(argv[1], "conveniences") == 0) return conveniences();
  if (strcmp(argv[1], "scopes") == 0) return scopes();
  if (strcmp(argv[1], "traced") == 0) return traced();
  if (strcmp(argv[1], "waits") == 0) return waits();
  if (strcmp(argv[1], "restarts") == 0) return restarts();
  return 64;
}
