/*
 * Signals that arrive before the program inside Node is ready: the job's, or at least not for this process to die of. The launcher blocks
 * them and they stay pending until hold.c, which the loader puts into Node, takes them over. C, because hold.c is.
 */
#pragma once

#include <signal.h>

/* Those that would end a process that does nothing about them, and of which lib/cli/signals.ts does something. */
static const int kHeldSignals[] = {SIGTERM, SIGUSR1, SIGUSR2, SIGINT, SIGHUP, SIGQUIT, SIGALRM, SIGVTALRM, SIGIO, SIGPWR, SIGXCPU};
