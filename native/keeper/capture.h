// Files captured while the job stands still, so that they belong to the same moment as its memory.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace blcr {

/** Descriptors were opened by the requester: what they show is what the requester may see. See crx_checkpoint_options_t. */
struct CaptureRequest {
  UniqueFd root, into, baseline;
  std::vector<UniqueFd> extra;
};

struct CaptureResult {
  uint64_t files = 0, bytes = 0, microseconds = 0;
};

/** One line of an index: what a walk found. */
struct IndexEntry {
  char kind = 'f';  // f d l; in a baseline also x: left out, with everything below it
  bool copied = false;
  uint32_t mode = 0;  // permission bits
  uint64_t size = 0;
  int64_t mtimeNs = 0;
  uint64_t inode = 0;
  std::string path;  // relative, plain

  /** Same content as far as stat(2) can tell. A directory has no content of its own. */
  [[nodiscard]] bool sameAs(const IndexEntry& other) const;
};

/** The line of crx.h, with its line feed. */
[[nodiscard]] std::string formatIndexLine(const IndexEntry& entry);
/** EINVAL for anything that formatIndexLine cannot have written. */
[[nodiscard]] Result<IndexEntry> parseIndexLine(std::string_view line);

/**
 * One capture: prepare() before the job is stopped, run() inside the stop, writeIndex() when the job goes on. run() walks root without ever
 * following a link out of it and copies what is new or changed against the baseline (reflink where the file system can, else in the kernel,
 * else by hand; holes stay holes). Copies are readable by their owner only; their modes are in the index. Sockets, FIFOs and devices are
 * left out, with a log line. A name that vanishes meanwhile is left out; any other error names its path and fails the capture.
 */
class Capture {
 public:
  Capture() = default;
  explicit Capture(CaptureRequest request) : request_(std::move(request)) {}
  [[nodiscard]] Status prepare();
  [[nodiscard]] Status run(Log& log);
  [[nodiscard]] Status writeIndex() const;
  [[nodiscard]] const CaptureResult& result() const { return result_; }

 private:
  [[nodiscard]] Status readBaseline();
  [[nodiscard]] Status walk(int directory, const std::string& prefix, Log& log);
  [[nodiscard]] Status visit(int directory, const std::string& prefix, const char* name, Log& log);
  [[nodiscard]] Status copyRegular(int directory, const char* name, IndexEntry& entry);
  [[nodiscard]] Status copyLink(int directory, const char* name, IndexEntry& entry);
  [[nodiscard]] Status ensureParents(const std::string& path);
  [[nodiscard]] Status makeDirectory(const std::string& path);
  [[nodiscard]] Status copyExtra();
  [[nodiscard]] Status copyInto(int source, const std::string& target, uint64_t size);

  CaptureRequest request_;
  CaptureResult result_;
  std::unordered_map<std::string, IndexEntry> baseline_;
  std::vector<IndexEntry> found_;
  std::pair<dev_t, ino_t> into_;
  std::map<std::string, bool, std::less<>> made_;  // directories below into
  int depth_ = 0;
};

}  // namespace blcr
