// What seccomp filters around this process punish: some kill whoever makes a call that they do not know.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/result.h"

namespace blcr {

/** A system call as far as filters look at it: they see numbers, and nothing that pointers lead to. */
struct HostCall {
  const char* name;
  long number;
  std::array<uint64_t, 3> arguments{};
};

/** The argument of calls that must not find a descriptor, should a filter let them through that refuses everything else. */
constexpr uint64_t kBadFd = ~0ull;

/**
 * The first of `calls` for which this process, or whoever has the same filters, would be killed or sent SIGSYS; nullptr when there is none,
 * or when it cannot be found out. Nothing is done: a child makes the calls behind one more filter, which refuses them all, and of several
 * filters' answers the strictest one counts. Source: seccomp(2). Neither SIGCHLD nor waiters without __WALL hear of the child.
 */
[[nodiscard]] const HostCall* findDeadly(std::span<const HostCall> calls);

/**
 * kErrorNoSupport naming the first of `calls` that is deadly, which `what` does ("a checkpoint"). Nothing is asked where no filter is;
 * BLCR_DISABLE=filter_probe leaves it out.
 */
[[nodiscard]] Status refuseDeadly(std::span<const HostCall> calls, const char* what);

/** A call with what it answers a process that has neither children nor an interrupted call, unless a filter answers. */
struct NeededCall {
  const char* name;
  long number;
  int error;
};

/** kErrorNoSupport naming the first of `calls` that a filter answers in the kernel's place. None of them may be deadly; wait4 comes first.
 */
[[nodiscard]] Status refuseForbidden(std::span<const NeededCall> calls, const char* why);

}  // namespace blcr
