/* Callbacks and processes: what the first argument names, with what it needs behind it. Says "up" when it can be checkpointed. */
#include "common.h"

static int pipes[2][2];
static int forwarded;

static char token(int from) {
  char got = 0;
  ssize_t length;
  while ((length = read(pipes[from][0], &got, 1)) < 0 && errno == EINTR) continue;
  return length == 1 ? got : 0;
}
static void pass(int to, char what) { EXPECT(write(pipes[to][1], &what, 1), 1); }

static int forwardToParent(void* argument) {
  (void)argument;
  EXPECT(cr_forward_checkpoint(9, getppid()), -1);
  EXPECT(errno, EINVAL);
  EXPECT(cr_forward_checkpoint(CR_SCOPE_PROC, 1 << 22), -1);
  EXPECT(errno, ESRCH);
  EXPECT(cr_forward_checkpoint(CR_SCOPE_TREE, 1), -1);
  EXPECT(errno == EPERM || errno == CR_ENOSUPPORT, 1);
  forwarded = cr_forward_checkpoint(CR_SCOPE_PROC, getppid()) == 0 ? 1 : errno;
  return 0;
}

/* The child's callback adds the parent, which asked for the child only. The parent is in the context: it comes back, and the child too. */
static int forward(const char* file) {
  const pid_t child = fork();
  if (child == 0) {
    EXPECT(cr_init(), 0);
    EXPECT(cr_register_callback(forwardToParent, NULL, CR_SIGNAL_CONTEXT) >= 0, 1);
    for (;;) {
      pass(0, (char)forwarded);
      if (token(1) == 'q') _exit(0);
    }
  }
  token(0);
  cr_checkpoint_handle_t handle;
  EXPECT(ask(file, CR_SCOPE_PROC, child, CR_CHKPT_PROHIBIT_SELF, &handle), 0);
  EXPECT(finish(&handle), 0);
  pass(1, 'n');
  EXPECT(token(0), EDEADLK);
  EXPECT(ask(file, CR_SCOPE_TREE, getpid(), CR_CHKPT_PROHIBIT_SELF, &handle) == 0 ? finish(&handle) : errno, EDEADLK);
  const int result = take(file, CR_SCOPE_PROC, child);
  pass(1, 'n');
  EXPECT(token(0), 1);
  pass(1, 'q');
  int status = -1;
  EXPECT(waitpid(child, &status, 0), child);
  EXPECT(status, 0);
  EXPECT(result == 0 || result == CR_ERESTARTED, 1);
  return result == 0 ? 0 : 4;
}

static int forwardToTree(void* argument) {
  (void)argument;
  forwarded = cr_forward_checkpoint(CR_SCOPE_TREE, getpid()) == 0 ? 1 : errno;
  return 0;
}

static int hear(void* argument) {
  if (argument != NULL) { /* until the parent says so */
    pass(0, 'h');
    EXPECT(token(1), 'g');
  }
  const int result = cr_checkpoint(CR_CHECKPOINT_READY);
  pass(0, result == 0 ? 'c' : 'r');
  return 0;
}

/* A callback adds what is below its process, which is in the checkpoint already: the child comes back, too. */
static int tree(const char* file) {
  const pid_t child = fork();
  if (child == 0) {
    EXPECT(cr_init(), 0);
    EXPECT(cr_register_callback(hear, NULL, CR_THREAD_CONTEXT) >= 0, 1);
    pass(0, 'u');
    for (;;) pause();
  }
  EXPECT(token(0), 'u');
  EXPECT(cr_init(), 0);
  EXPECT(cr_register_callback(forwardToTree, NULL, CR_THREAD_CONTEXT) >= 0, 1);
  const int result = take(file, CR_SCOPE_PROC, 0);
  EXPECT(result == 0 || result == CR_ERESTARTED, 1);
  EXPECT(forwarded, 1);
  EXPECT(token(0), result == 0 ? 'c' : 'r');
  kill(child, SIGKILL);
  EXPECT(waitpid(child, NULL, 0), child);
  return result == 0 ? 0 : 4;
}

/* One that is being checkpointed by somebody else cannot be added; the rest is checkpointed without it. */
static int busy(const char* file) {
  const pid_t child = fork();
  if (child == 0) {
    EXPECT(cr_init(), 0);
    EXPECT(cr_register_callback(hear, &forwarded, CR_THREAD_CONTEXT) >= 0, 1);
    EXPECT(take("/dev/null", CR_SCOPE_PROC, 0), 0);
    _exit(7);
  }
  EXPECT(token(0), 'h');
  EXPECT(cr_init(), 0);
  EXPECT(cr_register_callback(forwardToTree, NULL, CR_THREAD_CONTEXT) >= 0, 1);
  const int result = take(file, CR_SCOPE_PROC, 0);
  EXPECT(result == 0 || result == CR_ERESTARTED, 1);
  EXPECT(forwarded, EBUSY);
  int status = 0;
  if (result == CR_ERESTARTED) {
    EXPECT(waitpid(-1, &status, 0), -1);
    return 4;
  }
  pass(1, 'g');
  EXPECT(token(0), 'c');
  EXPECT(waitpid(child, &status, 0), child);
  EXPECT(WEXITSTATUS(status), 7);
  return 0;
}

static int tell(void* argument) {
  char line[64];
  const int result = cr_checkpoint(CR_CHECKPOINT_READY);
  snprintf(line, sizeof line, "%s %s", (const char*)argument, result == 0 ? "continued" : result > 0 ? "restarted" : "failed");
  say(line);
  return 0;
}

static void announce(const char* name) {
  EXPECT(cr_init(), 0);
  EXPECT(cr_register_callback(tell, (void*)name, CR_THREAD_CONTEXT), CR_THREAD_CONTEXT);
  EXPECT(cr_register_callback(tell, (void*)name, CR_SIGNAL_CONTEXT), CR_SIGNAL_CONTEXT);
}

/* A child has no callbacks before it calls cr_init() itself: one does, one does not, one executes another program. */
static int family(void) {
  announce("parent");
  if (fork() == 0) {
    EXPECT(cr_status(), -1);
    EXPECT(errno, CR_ENOINIT);
    announce("child");
    for (;;) pause();
  }
  if (fork() == 0) {
    for (;;) pause();
  }
  if (fork() == 0) execlp("sleep", "sleep", "1000", NULL);
  usleep(200000);
  say("up");
  for (;;) pause();
}

static const char* when;
static const char* how;

static void end(int status) {
  if (strcmp(how, "exit") == 0) exit(status);
  if (strcmp(how, "abort") == 0) raise(SIGSEGV);
  char script[32];
  snprintf(script, sizeof script, "exit %d", status);
  execl("/bin/sh", "sh", "-c", script, NULL);
}

static int ending(void* argument) {
  (void)argument;
  if (strcmp(when, "before") == 0) end(21);
  const int result = cr_checkpoint(CR_CHECKPOINT_READY);
  if (strcmp(how, "return") == 0) return result > 0;
  end(result == 0 ? 22 : 23);
  return 0;
}

static int waiting(void* argument) {
  char line[64];
  (void)argument;
  say("asked");
  while (access("go", F_OK) != 0) usleep(5000);
  snprintf(line, sizeof line, "result %d", cr_checkpoint(CR_CHECKPOINT_READY));
  say(line);
  return 0;
}

static void onContinue(int number) {
  (void)number;
  say("goes on");
}

/* Tells that it has been continued. With `section` it is in a critical section until it has run for a while. */
static void stoppable(int section) {
  announce("program");
  struct sigaction action = {.sa_handler = onContinue, .sa_flags = SA_RESTART};
  EXPECT(sigaction(SIGCONT, &action, NULL), 0);
  if (section) EXPECT(cr_enter_cs(0), 0);
  say("up");
  for (int round = 0; round < 100; ++round) usleep(1000);
  if (section) EXPECT(cr_leave_cs(0), 0);
  for (;;) pause();
}

static void wait_here(cr_callback_t callback, int context) {
  EXPECT(cr_init() >= 0, 1);
  EXPECT(cr_register_callback(callback, "program", context) >= 0, 1);
  say("up");
  for (;;) pause();
}

int main(int argc, char** argv) {
  if (argc < 2 || pipe(pipes[0]) != 0 || pipe(pipes[1]) != 0) return 64;
  if (strcmp(argv[1], "forward") == 0) return forward(argv[2]);
  if (strcmp(argv[1], "tree") == 0) return tree(argv[2]);
  if (strcmp(argv[1], "busy") == 0) return busy(argv[2]);
  if (strcmp(argv[1], "family") == 0) return family();
  if (strcmp(argv[1], "wait") == 0) wait_here(waiting, CR_THREAD_CONTEXT);
  if (strcmp(argv[1], "tell") == 0) wait_here(tell, CR_THREAD_CONTEXT);
  if (strcmp(argv[1], "stoppable") == 0) stoppable(argc > 2);
  if (strcmp(argv[1], "closed") == 0) {
    EXPECT(cr_init(), 0);
    for (int fd = 3; fd < 1024; ++fd) close(fd); /* as a daemon does */
    wait_here(tell, CR_THREAD_CONTEXT);
  }
  when = argv[2];
  how = argv[3];
  wait_here(ending, strcmp(argv[1], "signal") == 0 ? CR_SIGNAL_CONTEXT : CR_THREAD_CONTEXT);
}
