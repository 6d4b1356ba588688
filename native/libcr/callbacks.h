// Running callbacks: each is called within the cr_checkpoint() of the one registered after it, so that they return in reverse order.
#pragma once

#include <span>

#include "client.h"

namespace blcr::libcr {

/** The callbacks of one context, and what happens when the last of them is ready. */
class Group {
 public:
  Group(std::span<Callback> callbacks, int context) : callbacks_(callbacks), context_(context) {}
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  virtual ~Group() = default;

  /** Runs everything; what cr_checkpoint() returned to the callbacks. */
  int run() { return proceed(callbacks_.size()); }

 protected:
  /** Waits for the end of the checkpoint; what cr_checkpoint() returns. */
  virtual int reachEnd() = 0;

 private:
  friend int ::cr_checkpoint(int flags);
  friend int ::cr_replace_self(cr_callback_t function, void* argument, int context);
  int proceed(size_t left);

  std::span<Callback> callbacks_;
  int context_;
};

/** One running callback. */
struct Frame {
  Group* group;
  size_t index;
  bool called = false;  // cr_checkpoint() was
  int result = 0;
};

}  // namespace blcr::libcr
