// Restarted programs that wait in checkpoint callbacks: protocol/client_wire.h, the keeper's side of a restart.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "listener.h"
#include "protocol/message.h"

namespace blcr {

struct Homecoming {
  std::vector<UniqueFd> clients;    // to be kept until the requester knows and a signal has been sent: their threads are held that long
  std::vector<UniqueFd> strangers;  // requesters that came meanwhile and have said nothing yet
  std::set<pid_t> signalled;        // have their signal
};

/**
 * Waits until each of `pids`, which were in a callback, has reported, has been told where it comes from (`source`: path of the
 * context, or empty), and has returned from its callbacks, or has ended. Whoever asks for a checkpoint meanwhile is told EBUSY: a callback
 * may wait for the answer. Those who are stopped run meanwhile, and get `signal` (0: none) before they are stopped again: whoever sees that
 * they are may continue them, and no later signal undoes that. CR_ERSTRTABRT when a callback failed; ECANCELED when `outer` is gone.
 */
[[nodiscard]] Result<Homecoming> awaitHomecoming(const std::vector<pid_t>& pids, Listener& listener, int outer, const std::string& source,
                                                 int signal);

}  // namespace blcr
