// A program that asks for its own checkpoint.
#pragma once

#include "client.h"

namespace blcr::libcr {

/** The caller's part in the checkpoint that it is about to ask for. */
class OwnPart {
 public:
  explicit OwnPart(const cr_checkpoint_args_t& args);

  /**
   * As with BLCR, where a request stops the program that makes it at once: returns when the checkpoint `handle` has been taken or has
   * failed. Earlier, with cr_status() pending, when a critical section keeps it waiting or callbacks in thread context run, which may need
   * the caller; at once when the caller has no part in it.
   */
  void await(unsigned long handle) const;

 private:
  bool taking_;
  bool threadCallbacks_ = false;
  uint32_t round_;
};

}  // namespace blcr::libcr
