// The second half of a checkpoint: the recorded job goes out as a context stream.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <functional>

#include "base/result.h"
#include "dump/memory/copy_sender.h"
#include "dump/recording.h"
#include "image/stream.h"

namespace blcr {

/** Where the pages of Image::processes[index] are read: the frozen process itself or its snapshot; 0 = a zombie. */
struct PageSource {
  pid_t pid = 0;
  CopySender* sender = nullptr;  // of a copy that sends its pages itself
};

/** What one streaming run is told. All members outlive it. */
struct StreamPlan {
  Recording& recording;
  std::vector<PageSource> sources;  // parallel to image.processes
  int outputFd;
  int cancelFd;  // readable = give up
  bool checksum;
  std::function<Status()> onProgress;  // between windows; an error ends the run
};

struct StreamOutcome {
  uint64_t pages = 0, bytes = 0;
};

/**
 * Works out identities of mapped files, checks the image, and writes head, metadata, blobs, pages and trailer. Runs in any thread; makes no
 * ptrace call. ECANCELED when cancelFd became readable, EPIPE and the like from the output, ESRCH when a source died.
 */
[[nodiscard]] Result<StreamOutcome> streamContext(StreamPlan& plan);

}  // namespace blcr
