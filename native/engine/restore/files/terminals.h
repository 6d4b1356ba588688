// Pseudo-terminals in the job's own devpts.
#pragma once

#include <vector>

#include "base/log.h"
#include "base/unique_fd.h"
#include "image/model.h"
#include "restore/job.h"

namespace blcr {

/** Mounts a devpts of the job's own over /dev/pts, so that numbers are free; terminals of the host stay open where they are. */
[[nodiscard]] Status mountTerminals();

/** By Image::terminals. */
struct TerminalSet {
  std::vector<UniqueFd> masters, slaves;
};

/** Made with their numbers, filled; sizes, modes and permissions set. ENOTSUP when a number cannot be had. */
[[nodiscard]] Result<TerminalSet> makeTerminals(const image::Image& image, Log& log);

/** What would be in the way of opening the program's ends. */
[[nodiscard]] Status lockTerminals(const image::Image& image, TerminalSet& set);

/** For the leader of a session, before it has children: takes its controlling terminal. `slaves` are known to all stubs. */
[[nodiscard]] Status takeTerminal(const Job& job, Building& leader, const std::vector<int>& slaves);

/** When all groups exist: foreground groups; processes that have given up their session's terminal. */
[[nodiscard]] Status settleTerminals(Job& job, const std::vector<int>& slaves);

}  // namespace blcr
