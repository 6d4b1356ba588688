#include "arch/x86_64/xstate.h"

#include <cpuid.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "arch/x86_64/cpu.h"
#include "base/codes.h"

namespace blcr {
namespace {

constexpr size_t kSoftware = 464;  // where the kernel describes the area, XCR0 first: asm/user.h
constexpr size_t kHeader = 512;    // XSTATE_BV, then XCOMP_BV
constexpr size_t kExtended = 576;
constexpr uint32_t kProtectionKeys = 9;
constexpr uint32_t kInitialKeys = 0x55555554;  // what Linux gives every process: asm/pkru.h

struct Place {
  uint32_t offset = 0, size = 0;
};

std::optional<Place> placeOf(const Xstate& state, uint32_t component) {
  for (size_t at = 0; at + 2 < state.layout.size(); at += 3) {
    const Place place{state.layout[at + 1], state.layout[at + 2]};
    const bool fits = place.offset >= kExtended && place.offset <= state.bytes.size() && place.size <= state.bytes.size() - place.offset;
    if (state.layout[at] == component && fits) return place;
  }
  return std::nullopt;
}

std::string componentName(uint32_t component) {
  constexpr const char* kNames[] = {"x87", "SSE", "AVX", "MPX", "MPX", "AVX-512", "AVX-512", "AVX-512", "PT", "protection keys"};
  if (component < std::size(kNames)) return kNames[component];
  return component == 17 || component == 18 ? "AMX" : "number " + std::to_string(component);
}

/** True when losing the component changes nothing. */
bool isInitial(uint32_t component, std::string_view bytes) {
  uint32_t keys = 0;
  if (component == kProtectionKeys && bytes.size() >= sizeof keys) {
    std::memcpy(&keys, bytes.data(), sizeof keys);
    return keys == kInitialKeys || keys == 0;
  }
  return std::all_of(bytes.begin(), bytes.end(), [](char byte) { return byte == 0; });
}

Error refuse(uint32_t component, const char* why) {
  return Error{kErrorBadArchitecture, "extended registers (" + componentName(component) + ") " + why};
}

}  // namespace

std::vector<uint32_t> xstateLayout() {
  std::vector<uint32_t> layout;
  const uint64_t enabled = cpuXcr0();
  for (uint32_t component = 2; component < 63; ++component) {
    if ((enabled >> component & 1) == 0) continue;
    uint32_t size = 0, offset = 0, flags = 0, unused = 0;
    __cpuid_count(0xd, component, size, offset, flags, unused);
    layout.insert(layout.end(), {component, offset, size});
  }
  return layout;
}

Result<std::string> convertXstate(const Xstate& saved, const Xstate& here) {
  if (saved.bytes.size() == here.bytes.size() && saved.layout == here.layout) return saved.bytes;
  if (saved.bytes.size() < kExtended || here.bytes.size() < kExtended)
    return Error{kErrorBadArchitecture, "extended registers of " + std::to_string(saved.bytes.size()) + " bytes"};
  std::string result(here.bytes.size(), '\0');
  std::memcpy(result.data(), saved.bytes.data(), kSoftware);
  std::memcpy(result.data() + kSoftware, here.bytes.data() + kSoftware, kHeader - kSoftware);
  uint64_t used = 0;
  std::memcpy(&used, saved.bytes.data() + kHeader, sizeof used);
  for (uint32_t component = 2; component < 64; ++component) {
    if ((used >> component & 1) == 0) continue;
    const auto from = placeOf(saved, component), to = placeOf(here, component);
    if (!from) return refuse(component, "are not where the context says");
    if (!to) {
      if (!isInitial(component, std::string_view(saved.bytes).substr(from->offset, from->size)))
        return refuse(component, "are in use and do not exist on this processor");
      used &= ~(1ull << component);
      continue;
    }
    if (from->size != to->size) return refuse(component, "have another size on this processor");
    std::memcpy(result.data() + to->offset, saved.bytes.data() + from->offset, to->size);
  }
  std::memcpy(result.data() + kHeader, &used, sizeof used);
  return result;
}

}  // namespace blcr
