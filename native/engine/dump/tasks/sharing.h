// What tasks of frozen processes have together that fork would copy.
#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <map>

#include "base/result.h"
#include "dump/frozen.h"

namespace blcr {

/**
 * Asks kcmp. Where that is forbidden it is found out once, by changing something of one task and looking at the others, which stand still:
 * a socket more in a table of descriptors, other bits in the umask, which goes with the working directory, some bytes of memory that the
 * processes' footholds have made. All of it is put back.
 */
class Sharing {
 public:
  enum Kind : size_t { kFiles, kDirectory, kMemory };

  /** After the footholds are taken. */
  [[nodiscard]] static Result<Sharing> find(std::deque<FrozenProcess>& processes);

  /** As kcmp: 0 when they share it, else 1 or 2, an order. Of memory: processes only. */
  [[nodiscard]] long compare(Kind kind, pid_t one, pid_t other) const;
  [[nodiscard]] bool isShared(Kind kind, pid_t one, pid_t other) const { return compare(kind, one, other) == 0; }

 private:
  using Holders = std::map<pid_t, pid_t>;  // by task: the first that has the same
  bool asks_ = true;
  std::array<Holders, 3> holders_;
};

}  // namespace blcr
