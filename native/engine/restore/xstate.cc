#include "restore/xstate.h"

#include <cpuid.h>

#include <algorithm>
#include <cstring>

#include "base/codes.h"

namespace blcr {
namespace {

constexpr size_t kLegacy = 576;    // legacy area and header
constexpr size_t kSoftware = 464;  // where the kernel writes XCR0 in the legacy area: asm/user.h
constexpr size_t kHeader = 512;    // XSTATE_BV, then XCOMP_BV

uint64_t wordAt(const std::string& state, size_t offset) {
  uint64_t word = 0;
  if (state.size() >= offset + sizeof word) std::memcpy(&word, state.data() + offset, sizeof word);
  return word;
}

}  // namespace

uint32_t xstateExtent(uint64_t components) {
  uint32_t extent = kLegacy;
  for (uint32_t component = 2; component < 63; ++component) {
    if ((components >> component & 1) == 0) continue;
    uint32_t size = 0, offset = 0, flags = 0, unused = 0;
    __cpuid_count(0xd, component, size, offset, flags, unused);
    extent = std::max(extent, offset + size);
  }
  return extent;
}

Result<std::string> fittingXstate(const Tracee& tracee, const std::string& saved) {
  auto host = tracee.xstate();
  if (!host) return host.error();
  const std::string& here = *host;
  if (here.size() == saved.size()) return saved;
  const uint64_t recorded = wordAt(saved, kSoftware), used = wordAt(saved, kHeader), available = wordAt(here, kSoftware);
  const bool known = (used & ~available) == 0 && saved.size() >= kLegacy && (recorded & available & 6) == 6;
  const bool grows = saved.size() < here.size() && xstateExtent(recorded) == saved.size();
  const bool shrinks = saved.size() > here.size() && xstateExtent(available) == here.size() && xstateExtent(used) <= here.size();
  if (!known || (!grows && !shrinks))
    return Error{kErrorBadArchitecture, "extended registers of " + std::to_string(saved.size()) + " bytes do not fit this processor's " +
                                            std::to_string(here.size())};
  std::string fitting = saved;
  fitting.resize(here.size(), '\0');
  std::memcpy(fitting.data() + kSoftware, &available, sizeof available);
  return fitting;
}

}  // namespace blcr
