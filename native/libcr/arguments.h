// Checks of what callers pass.
#pragma once

#include "base/result.h"
#include "crx.h"

namespace blcr::libcr {

/** EINVAL for a wrong version, scope, signal or descriptor; EBADF for one that cannot be written (checkpoint) or read (restart). */
[[nodiscard]] Status checkArguments(const cr_checkpoint_args_t& args);
[[nodiscard]] Status checkArguments(const cr_restart_args_t& args);

/** The caller's options laid over the defaults; a caller of another build may know fewer or more members. E2BIG when it sets one that
 * this build does not know. */
[[nodiscard]] Result<crx_checkpoint_options_t> completeOptions(const crx_checkpoint_options_t* options);
[[nodiscard]] Result<crx_restart_options_t> completeOptions(const crx_restart_options_t* options);

}  // namespace blcr::libcr
