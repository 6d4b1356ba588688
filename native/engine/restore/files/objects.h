// Kernel objects that have no name to be opened by: made anew with the recorded state.
#pragma once

#include <array>
#include <string>

#include "base/log.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "image/model.h"

namespace blcr {

/** A file of `size` bytes without a name: in `directory` when its file system can (O_TMPFILE), else in memory. */
[[nodiscard]] Result<UniqueFd> makeUnnamedFile(uint64_t size, const std::string& directory);

/** Memory that stands for the mapped file of that path; may be executed. */
[[nodiscard]] Result<UniqueFd> makeCarriedFile(uint64_t size, const std::string& path);

/**
 * A memfd, or for POSIX shared memory a file beside the recorded name, `path` (which commit gives it); content arrives with the stream,
 * seals are put on afterwards.
 */
struct Segment {
  UniqueFd fd;
  std::string path;  // temporary name, empty for a memfd
};
[[nodiscard]] Result<Segment> makeSegment(const image::SharedSegment& segment, Log& log);

/** Read and write end of a pipe that holds the recorded content. ENOBUFS when this user may not have a pipe of that size. */
[[nodiscard]] Result<std::array<UniqueFd, 2>> makePipe(const image::Pipe& pipe);

/** Writes the recorded content; false when it does not fit. `fd` must not block. */
[[nodiscard]] bool fillPipe(int fd, const image::Pipe& pipe);

[[nodiscard]] Result<UniqueFd> makeEventFd(const image::OpenFile& file);
[[nodiscard]] Result<UniqueFd> makeSignalFd(const image::OpenFile& file);
[[nodiscard]] Result<UniqueFd> makeEpoll();

/** Without its watches, which addWatches gives it when nobody but the job touches files any more. ENOENT when a watched path is gone. */
[[nodiscard]] Result<UniqueFd> makeInotify(const image::OpenFile& file);
/** `targets`: by watch, open files that have no path. */
[[nodiscard]] Status addWatches(int fd, const image::OpenFile& file, const std::vector<UniqueFd>& targets);

/** Time that went by while the job did not run: on CLOCK_REALTIME since the checkpoint, on its monotonic clocks since its restart began. */
struct Elapsed {
  int64_t realNs = 0, monotonicNs = 0;
};

/** Disarmed; armTimerFd starts it, immediately before the job goes on. */
[[nodiscard]] Result<UniqueFd> makeTimerFd(const image::OpenFile& file);
[[nodiscard]] Status armTimerFd(int fd, const image::OpenFile& file, Elapsed elapsed);

}  // namespace blcr
