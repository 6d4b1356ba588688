/*
 * libcr_omit.so.0: whoever is started with it (cr_run --omit) or linked with it (-Wl,-u,cr_omit_link_me -lcr_omit) is left out of
 * checkpoints. It catches BLCR's signal and does nothing: the keeper looks at that, and then for this library among the mapped files.
 * No thread, no descriptor; execve(2) undoes it.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stddef.h>

#define EXPORT __attribute__((visibility("default")))

enum { kOmitSignal = 64 }; /* as in native/keeper/request_facts.cc */

EXPORT int cr_omit_link_me = 0;

static void ignore(int number) { (void)number; }

__attribute__((constructor)) static void announce(void) {
  struct sigaction before, action = {0};
  if (sigaction(kOmitSignal, NULL, &before) != 0 || before.sa_handler != SIG_DFL) return;
  action.sa_handler = ignore;
  action.sa_flags = SA_RESTART;
  sigaction(kOmitSignal, &action, NULL);
}
