// The values beyond errno's range that Error::code may take. They equal BLCR's CR_E* of libcr.h, which the engine does not include: it is
// built and tested without the C ABI. native/libcr checks that both sides agree.
#pragma once

namespace blcr {

constexpr int kErrorTemporary = 2354;        // try again later
constexpr int kErrorNoSupport = 2356;        // the target holds something that cannot be checkpointed
constexpr int kErrorVersion = 2357;          // the context was written by an incompatible version
constexpr int kErrorBadArchitecture = 2359;  // the context was written on another architecture or CPU
constexpr int kErrorTraced = 2360;           // the target is traced by another process
constexpr int kErrorTracer = 2361;           // the target traces another process
constexpr int kErrorRestartAborted = 2362;   // the restart was given up

}  // namespace blcr
