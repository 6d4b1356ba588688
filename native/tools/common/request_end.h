// Waiting for a request with its log.
#pragma once

#include <string>

#include "libcr.h"

namespace blcr::tools {

struct RequestEnd {
  int value = 0;  // of cr_reap_*
  int error = 0;
  std::string log;
};

/** Waits for the request's end, takes its log, then reaps it. */
[[nodiscard]] RequestEnd awaitCheckpoint(cr_checkpoint_handle_t& handle);
[[nodiscard]] RequestEnd awaitRestart(cr_restart_handle_t& handle);

}  // namespace blcr::tools
