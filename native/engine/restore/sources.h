// Everything the job had open, opened once here: the stubs inherit it, so descriptions stay shared as they were.
#pragma once

#include <vector>

#include "base/unique_fd.h"
#include "restore/restore.h"
#include "restore/sockets.h"

namespace blcr {

/** Descriptor numbers by index of the image's lists; -1 = none. They lie where no recorded process has a descriptor. */
struct Sources {
  std::vector<int> files;           // Image::files; -1: to be opened inside the process (kProc)
  std::vector<int> mapped;          // Image::mapped, for reading
  std::vector<int> mappedWritable;  // the same read-write, where a shared writable mapping needs it
  std::vector<int> segments;        // Image::shared: memfds
  std::vector<int> blobs;           // Image::blobs: files without a name, content arrives with the stream
  std::vector<int> directories;     // cwd by process
  SocketSet sockets;
  std::vector<int> fifoHolders;  // both ends of each FIFO, so that opening one does not wait
  std::vector<UniqueFd> owned;
};

/**
 * Opens what the image names, relocated. Changes nothing that others can see: no truncation, no offset of a description that came from
 * outside, no content of a FIFO. Errors name the path or the descriptor's kind: ENOENT and others of open(2), ENOTSUP for a kind that
 * cannot be rebuilt, EMFILE.
 */
[[nodiscard]] Result<Sources> openSources(const image::Image& image, const RestoreRequest& request);

}  // namespace blcr
