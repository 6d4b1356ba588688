/* Callbacks: what they may say, in both contexts. Checkpoints itself to FILE; exit status 0, in the restarted copy 4. */
#include "common.h"

static int context;
static int verdict, answer, calls, results[3], replaced;
static const char* file;

static int first(void* argument) {
  (void)argument;
  calls |= 1;
  results[0] = cr_checkpoint(CR_CHECKPOINT_READY);
  return 0;
}

static int middle(void* argument) {
  EXPECT(argument == &verdict, 1);
  calls |= 2;
  EXPECT(cr_status(), CR_STATE_ACTIVE);
  EXPECT(cr_register_callback(first, NULL, context), -1);
  EXPECT(errno, EBUSY);
  EXPECT(cr_replace_callback(context, first, NULL, context), -1);
  EXPECT(errno, EBUSY);
  EXPECT(cr_enter_cs(CR_ID_CALLBACK), 0);
  EXPECT(cr_tryenter_cs(CR_ID_CALLBACK), 0);
  EXPECT(cr_leave_cs(CR_ID_CALLBACK), 0);
  EXPECT(cr_leave_cs(0), -1);
  EXPECT(errno, EINVAL);
  EXPECT(cr_checkpoint(8), -EINVAL);
  EXPECT(cr_checkpoint(CR_CHECKPOINT_OMIT | 5 << 16), -EINVAL);
  results[1] = cr_checkpoint(verdict);
  EXPECT(cr_checkpoint(CR_CHECKPOINT_READY), -CR_ENOTCB);
  return answer;
}

static int once(void* argument) {
  (void)argument;
  ++replaced;
  EXPECT(cr_replace_self(NULL, NULL, CR_THREAD_CONTEXT + CR_SIGNAL_CONTEXT - context), -1);
  EXPECT(errno, EINVAL);
  EXPECT(cr_replace_self(NULL, NULL, context), 0);
  return 0; /* without cr_checkpoint(): ready */
}

static int last(void* argument) {
  (void)argument;
  calls |= 4;
  results[2] = cr_checkpoint(CR_CHECKPOINT_READY);
  return 0;
}

static void expectRound(int error, int result, int expectedCalls) {
  calls = results[0] = results[1] = results[2] = 0;
  const int ended = take(file, CR_SCOPE_PROC, 0);
  if (ended == CR_ERESTARTED) {
    EXPECT(results[0] > 0 && results[1] > 0 && results[2] > 0, 1);
    _exit(4);
  }
  EXPECT(ended, error);
  EXPECT(calls, expectedCalls);
  EXPECT(results[1], result);
  EXPECT(results[2], result);
  EXPECT(results[0], (expectedCalls & 1) != 0 ? result : 0);
  while (cr_status() == CR_STATE_PENDING) usleep(1000); /* a failure is known before the last callback has returned */
  EXPECT(cr_status(), CR_STATE_IDLE);
}

static void misuse(void) {
  EXPECT(cr_register_callback(first, NULL, CR_THREAD_CONTEXT), -1);
  EXPECT(errno, CR_ENOINIT);
  EXPECT(cr_status(), -1);
  EXPECT(errno, CR_ENOINIT);
  EXPECT(cr_enter_cs(0), -1);
  EXPECT(errno, CR_ENOINIT);
  EXPECT(cr_hold_ctrl(CR_HOLD_SCOPE_INIT, CR_HOLD_READ), -1);
  EXPECT(errno, CR_ENOINIT);
  EXPECT(cr_inc_persist(), -1);
  EXPECT(errno, CR_ENOINIT);
  EXPECT(cr_register_hook(0, NULL) == CR_HOOK_FN_ERROR, 1);
  EXPECT(errno, CR_ENOINIT);
  EXPECT(cr_init(), 0);
  EXPECT(cr_init(), 1);
  EXPECT(cr_checkpoint(0), -CR_ENOTCB);
  EXPECT(cr_replace_self(first, NULL, CR_SIGNAL_CONTEXT), -1);
  EXPECT(errno, CR_ENOTCB);
  EXPECT(cr_forward_checkpoint(CR_SCOPE_PROC, getpid()), -1);
  EXPECT(errno, CR_ENOTCB);
  EXPECT(cr_get_checkpoint_info() == NULL && cr_get_restart_info() == NULL, 1);
  EXPECT(cr_register_callback(first, NULL, 0), -1);
  EXPECT(errno, EINVAL);
  EXPECT(cr_register_callback(first, NULL, CR_SIGNAL_CONTEXT | CR_THREAD_CONTEXT), -1);
  EXPECT(errno, EINVAL);
  EXPECT(cr_register_hook(CR_NUM_HOOKS, NULL) == CR_HOOK_FN_ERROR, 1);
  EXPECT(errno, EINVAL);
  EXPECT(cr_inc_persist(), 0);
  EXPECT(cr_dec_persist(), 1);
  EXPECT(cr_dec_persist(), -1);
  EXPECT(errno, ERANGE);
  EXPECT(cr_hold_ctrl(CR_HOLD_SCOPE_THREAD, CR_HOLD_READ), CR_HOLD_DFLT);
  EXPECT(cr_hold_ctrl(CR_HOLD_SCOPE_THREAD, CR_HOLD_CONT), CR_HOLD_DFLT);
  EXPECT(cr_hold_ctrl(CR_HOLD_SCOPE_THREAD, CR_HOLD_DFLT), CR_HOLD_CONT);
  EXPECT(cr_hold_ctrl(CR_HOLD_SCOPE_INIT, CR_HOLD_DFLT), -1);
  EXPECT(errno, EINVAL);
  EXPECT(cr_hold_ctrl(CR_HOLD_SCOPE_UNINIT, CR_HOLD_READ), CR_HOLD_BOTH);
}

static void locks(void) {
  static cr_spinlock_t lock = CR_SPINLOCK_INITIALIZER;
  cr_spinlock_init(&lock);
  EXPECT(cr_spinlock_trylock(&lock) != 0, 1);
  EXPECT(cr_spinlock_trylock(&lock), 0);
  cr_spinlock_unlock(&lock);
  cr_spinlock_lock(&lock);
  EXPECT(cr_spinlock_trylock(&lock), 0);
  cr_spinlock_unlock(&lock);
}

int main(int argc, char** argv) {
  if (argc != 4) return 64;
  context = strcmp(argv[1], "thread") == 0 ? CR_THREAD_CONTEXT : CR_SIGNAL_CONTEXT;
  file = argv[2];
  misuse();
  locks();
  EXPECT(cr_register_callback(first, NULL, context), context | 0);
  EXPECT(cr_register_callback(first, NULL, context), context | 1);
  EXPECT(cr_replace_callback(context | 7, middle, NULL, context), -1);
  EXPECT(errno, EINVAL);
  EXPECT(cr_replace_callback(context | 1, middle, NULL, CR_THREAD_CONTEXT + CR_SIGNAL_CONTEXT - context), -1);
  EXPECT(errno, EINVAL);
  EXPECT(cr_replace_callback(context | 1, middle, &verdict, context), 0);
  EXPECT(cr_register_callback(once, NULL, context), context | 2);
  EXPECT(cr_register_callback(last, NULL, context), context | 3);
  if (strcmp(argv[3], "continue") == 0) {
    verdict = CR_CHECKPOINT_TEMP_FAILURE;
    expectRound(CR_ETEMPFAIL, -CR_ETEMPFAIL, 6);
    verdict = CR_CHECKPOINT_TEMP_FAILURE_CODE(911);
    expectRound(911, -911, 6);
    verdict = CR_CHECKPOINT_OMIT;
    expectRound(ESRCH, -CR_EOMITTED, 6);
    verdict = CR_CHECKPOINT_READY;
    expectRound(0, 0, 7);
    EXPECT(replaced, 1);
    return 0;
  }
  if (strcmp(argv[3], "permanent") == 0) verdict = CR_CHECKPOINT_PERM_FAILURE; /* kills us */
  if (strcmp(argv[3], "fail") == 0) answer = 1;                               /* so does this */
  take(file, CR_SCOPE_PROC, 0);
  pause();
  return 2;
}
