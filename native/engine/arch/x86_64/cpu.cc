#include "arch/x86_64/cpu.h"

#include <cpuid.h>

namespace blcr {
namespace {

constexpr size_t kWords = 9;

/** The bits that programs choose their code by. A bit that is not listed does not matter to user space. */
struct FeatureName {
  uint8_t word, bit;
  const char* name;
};
constexpr FeatureName kNames[] = {
    {0, 0, "pni"},
    {0, 1, "pclmulqdq"},
    {0, 9, "ssse3"},
    {0, 12, "fma"},
    {0, 13, "cx16"},
    {0, 19, "sse4_1"},
    {0, 20, "sse4_2"},
    {0, 22, "movbe"},
    {0, 23, "popcnt"},
    {0, 25, "aes"},
    {0, 26, "xsave"},
    {0, 27, "osxsave"},
    {0, 28, "avx"},
    {0, 29, "f16c"},
    {0, 30, "rdrand"},
    {1, 0, "fpu"},
    {1, 4, "tsc"},
    {1, 8, "cx8"},
    {1, 15, "cmov"},
    {1, 19, "clflush"},
    {1, 23, "mmx"},
    {1, 24, "fxsr"},
    {1, 25, "sse"},
    {1, 26, "sse2"},
    {2, 0, "fsgsbase"},
    {2, 3, "bmi1"},
    {2, 4, "hle"},
    {2, 5, "avx2"},
    {2, 8, "bmi2"},
    {2, 9, "erms"},
    {2, 11, "rtm"},
    {2, 16, "avx512f"},
    {2, 17, "avx512dq"},
    {2, 18, "rdseed"},
    {2, 19, "adx"},
    {2, 21, "avx512ifma"},
    {2, 23, "clflushopt"},
    {2, 24, "clwb"},
    {2, 26, "avx512pf"},
    {2, 27, "avx512er"},
    {2, 28, "avx512cd"},
    {2, 29, "sha_ni"},
    {2, 30, "avx512bw"},
    {2, 31, "avx512vl"},
    {3, 0, "prefetchwt1"},
    {3, 1, "avx512vbmi"},
    {3, 3, "pku"},
    {3, 4, "ospke"},
    {3, 5, "waitpkg"},
    {3, 6, "avx512_vbmi2"},
    {3, 8, "gfni"},
    {3, 9, "vaes"},
    {3, 10, "vpclmulqdq"},
    {3, 11, "avx512_vnni"},
    {3, 12, "avx512_bitalg"},
    {3, 14, "avx512_vpopcntdq"},
    {3, 22, "rdpid"},
    {3, 25, "cldemote"},
    {3, 27, "movdiri"},
    {3, 28, "movdir64b"},
    {4, 2, "avx512_4vnniw"},
    {4, 3, "avx512_4fmaps"},
    {4, 4, "fsrm"},
    {4, 8, "avx512_vp2intersect"},
    {4, 14, "serialize"},
    {4, 16, "tsxldtrk"},
    {4, 22, "amx_bf16"},
    {4, 23, "avx512_fp16"},
    {4, 24, "amx_tile"},
    {4, 25, "amx_int8"},
    {5, 4, "avx_vnni"},
    {5, 5, "avx512_bf16"},
    {5, 7, "cmpccxadd"},
    {5, 10, "fzrm"},
    {5, 11, "fsrs"},
    {5, 12, "fsrc"},
    {5, 21, "amx_fp16"},
    {5, 23, "avx_ifma"},
    {6, 0, "lahf_lm"},
    {6, 5, "abm"},
    {6, 6, "sse4a"},
    {6, 7, "misalignsse"},
    {6, 8, "3dnowprefetch"},
    {6, 11, "xop"},
    {6, 16, "fma4"},
    {6, 21, "tbm"},
    {6, 29, "mwaitx"},
    {7, 11, "syscall"},
    {7, 27, "rdtscp"},
    {7, 29, "lm"},
    {7, 30, "3dnowext"},
    {7, 31, "3dnow"},
    {8, 0, "xsaveopt"},
    {8, 1, "xsavec"},
    {8, 2, "xgetbv1"},
};

}  // namespace

std::vector<uint32_t> cpuFeatures() {
  std::vector<uint32_t> words(kWords);
  uint32_t a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) != 0) words[0] = c, words[1] = d;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0) {
    words[2] = b, words[3] = c, words[4] = d;
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0) words[5] = a;
  }
  if (__get_cpuid(0x80000001, &a, &b, &c, &d) != 0) words[6] = c, words[7] = d;
  if (__get_cpuid_count(0xd, 1, &a, &b, &c, &d) != 0) words[8] = a;
  return words;
}

std::vector<uint32_t> featureWords(std::span<const std::string_view> names) {
  std::vector<uint32_t> words(kWords);
  for (const FeatureName& feature : kNames)
    for (const std::string_view name : names)
      if (name == feature.name) words[feature.word] |= 1u << feature.bit;
  return words;
}

uint64_t cpuXcr0() {
  uint32_t a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & (1u << 27)) == 0) return 0;
  uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t(high) << 32 | low;
}

std::vector<std::string> missingFeatures(const std::vector<uint32_t>& saved, const std::vector<uint32_t>& host) {
  std::vector<std::string> missing;
  for (const FeatureName& feature : kNames) {
    const auto has = [&](const std::vector<uint32_t>& words) {
      return feature.word < words.size() && (words[feature.word] >> feature.bit & 1) != 0;
    };
    if (has(saved) && !has(host)) missing.emplace_back(feature.name);
  }
  return missing;
}

}  // namespace blcr
