/*
 * Loaded in front of Node (LD_PRELOAD): keeps signals that arrive while Node starts until the program inside it handles them. Without it
 * they would kill the process during the tenth of a second that Node needs for its own start (or, SIGUSR1, open its debugger): at its start
 * Node unblocks all signals and gives SIGTERM and SIGINT handlers that end it.
 *
 * The order of events: the launcher has blocked the signals; `hold` gives them the handler `remember`; Node unblocks them, which delivers
 * what is pending, and asks for handlers of its own, which it does not get; the program asks for a signal (process.on), which libuv does
 * with SA_RESTART and without SA_RESETHAND, unlike Node itself: from then on the signal is no longer held, and one that came is sent anew.
 * Source: Node.js, src/node.cc (PlatformInit, RegisterSignalHandler); libuv, src/unix/signal.c (uv__signal_register_handler).
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "held_signals.h"

/* The C library's own name for sigaction, which this library takes from it. */
int __sigaction(int number, const struct sigaction* action, struct sigaction* before);

static atomic_bool isHeld[NSIG];
static atomic_bool hasCome[NSIG];

static void remember(int number) { hasCome[number] = true; }

__attribute__((constructor)) static void hold(void) {
  for (size_t index = 0; index < sizeof kHeldSignals / sizeof *kHeldSignals; ++index) {
    const struct sigaction action = {.sa_handler = remember, .sa_flags = SA_RESTART};
    isHeld[kHeldSignals[index]] = __sigaction(kHeldSignals[index], &action, NULL) == 0;
  }
}

__attribute__((visibility("default"))) int sigaction(int number, const struct sigaction* action, struct sigaction* before) {
  if (action == NULL || number <= 0 || number >= NSIG || !isHeld[number]) return __sigaction(number, action, before);
  const unsigned flags = (unsigned)action->sa_flags;
  if ((flags & SA_RESTART) == 0 || (flags & SA_RESETHAND) != 0) return __sigaction(number, NULL, before);
  const int result = __sigaction(number, action, before);
  isHeld[number] = false;
  if (hasCome[number]) raise(number); /* to this thread: it is there when libuv has let signals through again */
  return result;
}
