// Where requesters knock.
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "base/unique_fd.h"

namespace blcr {

/** A listening socket at keeperAddress(), for requesters of the same user or root. */
class Listener {
 public:
  /** Listens as the calling process. EADDRINUSE when somebody has taken the name. */
  [[nodiscard]] static Result<Listener> open();

  [[nodiscard]] int fd() const { return socket_.get(); }
  /** The next requester, with its credentials checked; none (no error) when nobody waits, or the one that waited was turned away. When
   * descriptors have run out, requesters are turned away rather than left hanging. */
  [[nodiscard]] UniqueFd accept();

 private:
  UniqueFd socket_;
  UniqueFd reserve_;  // given up for a moment to turn a requester away when there are no descriptors left
};

}  // namespace blcr
