// Extended registers between processors that keep them at other places, or lack some.
#include "arch/x86_64/xstate.h"

#include <cstring>

#include "base/codes.h"
#include "check.h"

using namespace blcr;

namespace {

constexpr size_t kLegacy = 512, kHeader = 512;
using Words = std::vector<uint32_t>;

// Components 2 = AVX, 5..7 = AVX-512, 9 = protection keys, as an Intel server and as an AMD processor with the same ones have them.
const Words kIntel = {2, 576, 256, 5, 1088, 64, 6, 1152, 512, 7, 1664, 1024, 9, 2688, 8};
const Words kAmd = {2, 576, 256, 5, 832, 64, 6, 896, 512, 7, 1408, 1024, 9, 2432, 8};
const Words kPlain = {2, 576, 256};  // without AVX-512 and keys

std::string area(size_t size, uint64_t used, uint64_t enabled) {
  std::string bytes(size, '\0');
  std::memset(bytes.data(), 'L', kLegacy);
  std::memcpy(bytes.data() + 464, &enabled, sizeof enabled);
  std::memcpy(bytes.data() + kHeader, &used, sizeof used);
  return bytes;
}

void fill(std::string& bytes, const Words& layout, uint32_t component, char letter) {
  for (size_t at = 0; at < layout.size(); at += 3)
    if (layout[at] == component) std::memset(bytes.data() + layout[at + 1], letter, layout[at + 2]);
}

bool holds(const std::string& bytes, const Words& layout, uint32_t component, char letter) {
  for (size_t at = 0; at < layout.size(); at += 3)
    if (layout[at] == component) return bytes.substr(layout[at + 1], layout[at + 2]) == std::string(layout[at + 2], letter);
  return false;
}

uint64_t wordAt(const std::string& bytes, size_t offset) {
  uint64_t word = 0;
  std::memcpy(&word, bytes.data() + offset, sizeof word);
  return word;
}

}  // namespace

TEST(componentsAreFoundWhereTheOtherMakerKeepsThem) {
  std::string saved = area(2440, 0b11100111, 0x2e7);
  for (const auto& [component, letter] : {std::pair{2u, 'a'}, {5u, 'k'}, {6u, 'h'}, {7u, 'z'}}) fill(saved, kAmd, component, letter);
  const std::string here = area(2696, 0, 0x2ef);
  const auto converted = convertXstate({saved, kAmd}, {here, kIntel});
  CHECK(converted.ok() && converted.value().size() == here.size());
  for (const auto& [component, letter] : {std::pair{2u, 'a'}, {5u, 'k'}, {6u, 'h'}, {7u, 'z'}})
    CHECK(holds(converted.value(), kIntel, component, letter));
  CHECK(wordAt(converted.value(), 464) == 0x2ef && wordAt(converted.value(), kHeader) == 0b11100111);
  const auto back = convertXstate({converted.value(), kIntel}, {area(2440, 0, 0x2e7), kAmd});
  CHECK(back.ok() && back.value() == saved);
}

TEST(whatIsMissingHereMustBeUnused) {
  const std::string here = area(832, 0, 7);
  std::string saved = area(2440, 0b1011100111, 0x2e7);
  fill(saved, kAmd, 2, 'a');
  const uint32_t keys = 0x55555554;  // every process of Linux has these
  std::memcpy(saved.data() + 2432, &keys, sizeof keys);
  const auto dropped = convertXstate({saved, kAmd}, {here, kPlain});
  CHECK(dropped.ok() && holds(dropped.value(), kPlain, 2, 'a') && wordAt(dropped.value(), kHeader) == 7);
  fill(saved, kAmd, 7, 'z');
  const auto refused = convertXstate({saved, kAmd}, {here, kPlain});
  CHECK(!refused.ok() && refused.error().code == kErrorBadArchitecture && refused.error().detail.find("AVX-512") != std::string::npos);
}

TEST(changedKeysAreNotLost) {
  std::string saved = area(2440, 0b1000000011, 0x2e7);
  fill(saved, kAmd, 9, 1);
  CHECK(!convertXstate({saved, kAmd}, {area(832, 0, 7), kPlain}).ok());
}

TEST(impossibleAreasAreRefused) {
  const std::string here = area(832, 0, 7);
  CHECK(!convertXstate({"short", kAmd}, {here, kPlain}).ok());
  CHECK(!convertXstate({area(832, ~0ull, 7), kPlain}, {area(2440, 0, 0x2e7), kAmd}).ok());
  const Words wild = {2, 0xfffffff0u, 256};
  CHECK(!convertXstate({area(832, 7, 7), wild}, {here, kPlain}).ok());
}

TEST(thisProcessorTellsItsLayout) {
  const Words layout = xstateLayout();
  CHECK(layout.size() % 3 == 0);
  if (layout.size() >= 3) CHECK(layout[0] == 2 && layout[1] == 576 && layout[2] == 256);
}

CHECK_MAIN
