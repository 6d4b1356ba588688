// Calling the threads of this process together for a checkpoint, and letting them go.
#pragma once

#include <functional>

#include "client.h"

namespace blcr::libcr {

/** Takes a real-time signal and installs the handler that gather() uses. False when no signal is left. */
[[nodiscard]] bool takeSignal();

/**
 * Signals every thread but the caller and waits until each has run its signal-context callbacks up to cr_checkpoint() and is held.
 * Left running: a thread that blocks the signal and has no callbacks. `given up` is asked now and then and ends the wait (false).
 * From here on until the end of the checkpoint the caller must not allocate: a thread may be held inside malloc.
 */
[[nodiscard]] bool gather(const std::function<bool()>& givenUp);

/** After state.outcome is set and the phase is kReleased: waits until all callbacks in signal context and all hooks have returned. */
void awaitFinished();

/** For a child of fork(2): nobody is held there. */
void forgetThreads();

/** Runs the hook for how the checkpoint went: 0 continued, > 0 restarted. `kind` is a CR_HOOK_CONT_* value. */
void runHook(int outcome, cr_hook_event_t kind);

}  // namespace blcr::libcr
