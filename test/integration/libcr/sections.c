/* Critical sections put a checkpoint off; hooks, held threads, and what a callback is told. FILE is the context, with its full path. */
#include "common.h"

static const char* file;
static int ran, hooks[CR_NUM_HOOKS], busy;
static volatile int others, slow;

static int callback(void* argument) {
  (void)argument;
  const struct cr_checkpoint_info* info = cr_get_checkpoint_info();
  EXPECT(info != NULL && cr_get_restart_info() == NULL, 1);
  EXPECT(strcmp(info->dest, file), 0);
  EXPECT(info->signal, 0);
  EXPECT(info->requester, getpid());
  EXPECT(info->target, getpid());
  EXPECT(info->scope, CR_SCOPE_PROC);
  ++ran;
  const int result = cr_checkpoint(CR_CHECKPOINT_READY);
  EXPECT(cr_get_checkpoint_info() == NULL, 1);
  const struct cr_restart_info* restart = cr_get_restart_info();
  EXPECT(restart != NULL, result > 0);
  if (result > 0) EXPECT(strcmp(restart->src, file) == 0 && restart->requester > 0 && kill(restart->requester, 0) == 0, 1);
  const int before = others;
  if (slow) usleep(300000);
  busy = others - before; /* what other threads did while this callback was not over */
  return 0;
}

static void hook(cr_hook_event_t event) { __atomic_fetch_add(&hooks[event], 1, __ATOMIC_RELAXED); }

static void* count(void* argument) {
  (void)argument;
  for (;;) __atomic_fetch_add(&others, 1, __ATOMIC_RELAXED);
  return NULL;
}

static void* tryToEnter(void* argument) {
  const int id = cr_init();
  *(int*)argument = cr_tryenter_cs(id);
  return NULL;
}

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  file = argv[1];
  const int id = cr_init();
  EXPECT(cr_register_callback(callback, NULL, CR_THREAD_CONTEXT) >= 0, 1);
  EXPECT(cr_enter_cs(id + 1), -1);
  EXPECT(errno, EINVAL);
  EXPECT(cr_leave_cs(id), -1); /* never entered */
  EXPECT(errno, EINVAL);

  EXPECT(cr_enter_cs(id), 0);
  EXPECT(cr_tryenter_cs(id), 0);
  EXPECT(cr_enter_cs(id), 0);
  cr_checkpoint_handle_t handle;
  EXPECT(ask(file, CR_SCOPE_PROC, 0, 0, &handle), 0);
  while (cr_status() == CR_STATE_IDLE) usleep(1000);
  EXPECT(cr_status(), CR_STATE_PENDING);
  pthread_t thread;
  int tried = 0;
  pthread_create(&thread, NULL, tryToEnter, &tried);
  usleep(50000);
  EXPECT(ran, 0);
  EXPECT(cr_enter_cs(id), 0); /* nests although a checkpoint waits */
  for (int left = 0; left < 3; ++left) EXPECT(cr_leave_cs(id), 0);
  EXPECT(ran, 0);
  EXPECT(cr_leave_cs(id), 0); /* the checkpoint happens here */
  EXPECT(ran, 1);
  EXPECT(cr_status(), CR_STATE_IDLE);
  EXPECT(finish(&handle), 0);
  pthread_join(thread, NULL);
  EXPECT(tried == 0 || tried == 1, 1);

  for (int event = 0; event < CR_NUM_HOOKS; ++event) EXPECT(cr_register_hook(event, hook) == NULL, 1);
  pthread_create(&thread, NULL, count, NULL);
  while (others == 0) usleep(1000);
  slow = 1;
  int result = take(file, CR_SCOPE_PROC, 0);
  const int from = result == CR_ERESTARTED ? CR_HOOK_RSTRT_SIGNAL_CONTEXT : CR_HOOK_CONT_SIGNAL_CONTEXT;
  for (int event = 0; event < CR_NUM_HOOKS; ++event) EXPECT(hooks[event], event >= from && event < from + 3);
  EXPECT(busy, 0); /* held */
  if (result == CR_ERESTARTED) return 4;
  EXPECT(result, 0);
  EXPECT(cr_register_hook(CR_HOOK_CONT_NO_CALLBACKS, NULL) == hook, 1);
  EXPECT(cr_hold_ctrl(CR_HOLD_SCOPE_UNINIT, CR_HOLD_RSTRT), CR_HOLD_BOTH);
  /* The second context is of no interest. */
  char other[4096];
  snprintf(other, sizeof other, "%s.other", file);
  file = other;
  EXPECT(take(file, CR_SCOPE_PROC, 0), 0);
  EXPECT(busy > 0, 1); /* not held */
  return 0;
}
