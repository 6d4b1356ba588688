#include "arch/x86_64/baseline.h"

#include <array>

#include "arch/x86_64/cpu.h"

namespace blcr {
namespace {

struct Level {
  std::string_view name;
  std::vector<std::string_view> features;  // beyond the level before
};

const std::array<Level, 4>& levels() {
  static const std::array<Level, 4> all{{
      {"x86-64", {"fpu", "tsc", "cx8", "cmov", "mmx", "fxsr", "sse", "sse2", "syscall", "lm"}},
      {"x86-64-v2", {"pni", "ssse3", "cx16", "sse4_1", "sse4_2", "popcnt", "lahf_lm"}},
      {"x86-64-v3", {"xsave", "osxsave", "avx", "avx2", "fma", "f16c", "bmi1", "bmi2", "movbe", "abm"}},
      {"x86-64-v4", {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}},
  }};
  return all;
}

}  // namespace

std::optional<std::vector<uint32_t>> baselineFeatures(std::string_view name) {
  std::vector<std::string_view> features;
  for (const Level& level : levels()) {
    features.insert(features.end(), level.features.begin(), level.features.end());
    if (level.name == name) return featureWords(features);
  }
  return std::nullopt;
}

std::vector<uint32_t> reducedTo(std::string_view baseline, std::vector<uint32_t> words) {
  const auto allowed = baselineFeatures(baseline);
  if (!allowed) return words;
  for (size_t index = 0; index < words.size(); ++index) words[index] &= index < allowed->size() ? (*allowed)[index] : 0;
  return words;
}

}  // namespace blcr
