// A RestartRequest as it arrives, in the engine's words.
#pragma once

#include "protocol/message.h"
#include "restore/restore.h"

namespace blcr {

struct IncomingRestart {
  RestoreRequest restore;
  UniqueFd context, lifeline;
};

/** Takes the message apart and puts the stdio that came with it in place of 0, 1 and 2. EPROTO when it is no request of this build. */
[[nodiscard]] Result<IncomingRestart> parseRestart(Message& message);

}  // namespace blcr
