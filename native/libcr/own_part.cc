#include "own_part.h"

#include <unistd.h>

#include <algorithm>

#include "handles.h"

namespace blcr::libcr {

namespace {

constexpr int kPatienceMs = 10;  // how long the end of a request that never came to the agent may go unnoticed

bool includesCaller(const cr_checkpoint_args_t& args) {
  if (args.cr_target == 0) return true;
  if (args.cr_scope == CR_SCOPE_PGRP) return args.cr_target == ::getpgrp();
  if (args.cr_scope == CR_SCOPE_SESS) return args.cr_target == ::getsid(0);
  return args.cr_target == ::getpid();
}

bool insideSection() { return (state.sections.load() & ~State::kWanted) != 0; }

}  // namespace

OwnPart::OwnPart(const cr_checkpoint_args_t& args)
    : taking_(self != nullptr && frame == nullptr && includesCaller(args)), round_(state.round.load()) {
  if (!taking_) return;
  const Section section;
  threadCallbacks_ =
      std::any_of(state.threadCallbacks.begin(), state.threadCallbacks.end(), [](const Callback& one) { return one.function != nullptr; });
}

void OwnPart::await(unsigned long handle) const {
  if (!taking_) return;
  while (state.phase.load() == kIdle && state.round.load() == round_ && isPending(handle)) waitWhile(state.phase, kIdle, kPatienceMs);
  if (threadCallbacks_) return;
  while (state.round.load() == round_ && !insideSection() && isPending(handle)) waitWhile(state.round, round_, kPatienceMs);
}

}  // namespace blcr::libcr
