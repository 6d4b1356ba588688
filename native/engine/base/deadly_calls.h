// What seccomp filters around this process punish: some kill whoever makes a call that they do not know.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace blcr {

/** A system call as far as filters look at it: they see numbers, and nothing that pointers lead to. */
struct HostCall {
  const char* name;
  long number;
  std::array<uint64_t, 3> arguments{};
};

/**
 * The first of `calls` for which this process, or whoever has the same filters, would be killed or sent SIGSYS; nullptr when there is none,
 * or when it cannot be found out. Nothing is done: a child makes the calls behind one more filter, which refuses them all, and of several
 * filters' answers the strictest one counts. Source: seccomp(2).
 */
[[nodiscard]] const HostCall* findDeadly(std::span<const HostCall> calls);

}  // namespace blcr
