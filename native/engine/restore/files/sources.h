// Everything the job had open, opened once here: the stubs inherit it, so descriptions stay shared as they were.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/attached_segment.h"
#include "base/unique_fd.h"
#include "restore/files/fifos.h"
#include "restore/restore.h"
#include "restore/sockets/sockets.h"

namespace blcr {

/** Names that exist only until commit; what is left of them is removed again. */
class TemporaryNames {
 public:
  TemporaryNames() = default;
  TemporaryNames(TemporaryNames&&) = default;
  TemporaryNames& operator=(TemporaryNames&&) = default;
  TemporaryNames(const TemporaryNames&) = delete;
  TemporaryNames& operator=(const TemporaryNames&) = delete;
  ~TemporaryNames();
  void add(std::string path) { paths_.push_back(std::move(path)); }
  /** Gives entry `index` its final name, replacing what has it now. */
  [[nodiscard]] Status commit(size_t index, const std::string& path);

 private:
  std::vector<std::string> paths_;  // empty = none
};

/** Descriptor numbers by index of the image's lists; -1 = none. They lie where no recorded process has a descriptor. */
struct Sources {
  std::vector<int> files;                        // Image::files; of what is opened inside the processes: the number, taken by a placeholder
  std::vector<int> mapped;                       // Image::mapped, for reading
  std::vector<int> mappedWritable;               // the same read-write, where a shared writable mapping needs it
  std::vector<int> segments;                     // Image::shared: memfds and files of POSIX shared memory
  std::vector<int> segmentsReadable;             // the same for reading only: a mapping through them can never become writable
  std::map<uint32_t, AttachedSegment> attached;  // Image::shared that are System V segments; they have no descriptor
  TemporaryNames temporary;                      // by segment: names that commit replaces
  std::vector<int> rings;                        // Image::rings
  std::vector<int> blobs;                        // Image::blobs: files without a name, content arrives with the stream; -1: not needed here
  std::vector<int> directories;                  // cwd by process
  std::map<int32_t, int> ownDirectories;         // of threads that have one, by recorded number
  SocketSet sockets;
  std::vector<int> terminals;           // Image::terminals: the program's end, open while the job is built; of one that was hung up -1
  std::map<uint32_t, int> fifoHolders;  // both ends of each FIFO, by Image::pipes
  Fifos fifos;
  std::vector<UniqueFd> owned;
};

/** Opened by each process itself, because it belongs to the process or its namespace: openInside. */
[[nodiscard]] bool isOpenedInside(const image::OpenFile& file);

/**
 * Opens what the image names, relocated. Changes nothing that others can see: no truncation, no offset of a description that came from
 * outside, no content of a FIFO. Errors name the path or the descriptor's kind: ENOENT and others of open(2), ENOTSUP for a kind that
 * cannot be rebuilt, EMFILE.
 */
[[nodiscard]] Result<Sources> openSources(const image::Image& image, const RestoreRequest& request, Log& log);

}  // namespace blcr
