// A RestartRequest as it arrives, in the engine's words.
#pragma once

#include <map>

#include "protocol/message.h"
#include "restore/restore.h"

namespace blcr {

struct IncomingRestart {
  RestoreRequest restore;
  UniqueFd context, lifeline;
  std::map<int, UniqueFd> pipes;  // of the requester, by number: what may replace pipes to the outside
  bool answers = false;           // the holder of the lifeline answers requests for the store
  bool restoreIds = false;        // the job is to have a number that it had
  bool stdioGiven[3] = {};        // the requester has chosen this standard descriptor
};

/** Takes the message apart and puts the stdio that came with it in place of 0, 1 and 2. EPROTO when it is no request of this build. */
[[nodiscard]] Result<IncomingRestart> parseRestart(Message& message);

/**
 * EBUSY when a process of the context still runs on this machine: the same job twice, under the same numbers, is a mistake. (Other
 * processes may well have its numbers: a restarted job lives in a namespace.) One that has been killed is waited for.
 */
[[nodiscard]] Status checkEnded(const image::Image& image);

/**
 * A standard stream that was the launcher's and a regular file becomes that file again, as any other open file of the job, where the
 * requester has chosen nothing else. Pipes and terminals are replaced by the requester's own, as BLCR does.
 */
void reopenRegularStdio(image::Image& image, const IncomingRestart& incoming);

}  // namespace blcr
