// The moment after the trailer: what the outside world sees of a restart.
#pragma once

#include "restore/files/sources.h"
#include "restore/job.h"

namespace blcr {

/** Compares the files of this node with what the job knew, without changing anything: ESTALE names a file that the policy refuses. */
[[nodiscard]] Status checkFiles(const Job& job, const Sources& sources);

/** Rolls files back, positions the standard streams, fills FIFOs, seals segments, takes locks, tells descriptions their owners. */
[[nodiscard]] Status commitFiles(Job& job, Sources& sources);

/** inotify instances without their watches: these would report that our own descriptors are closed. */
struct Watcher {
  UniqueFd fd;
  const image::OpenFile* file;
  std::vector<UniqueFd> targets;  // by watch: what has no path, open in a way that nobody is told of when it ends
};
using Watchers = std::vector<Watcher>;
[[nodiscard]] Watchers keepWatchers(const Job& job, const Sources& sources);
[[nodiscard]] Status startWatching(const Watchers& watchers);

/** Starts the timerfds; immediately before the job goes on. */
[[nodiscard]] Status startTimerFds(const Job& job, const Sources& sources);

}  // namespace blcr
