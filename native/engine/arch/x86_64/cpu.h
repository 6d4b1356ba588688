// What the processor offers to programs: the features that a program may have chosen its code by.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace blcr {

/**
 * CPUID words in the order leaf 1 ecx, 1 edx, 7.0 ebx, 7.0 ecx, 7.0 edx, 7.1 eax, 0x80000001 ecx, 0x80000001 edx, 0xd.1 eax; 0 where the
 * processor has no such leaf. Source: Intel SDM volume 2, CPUID.
 */
[[nodiscard]] std::vector<uint32_t> cpuFeatures();

/** Words in that order with exactly the features of these names (as missingFeatures() spells them); unknown names are left out. */
[[nodiscard]] std::vector<uint32_t> featureWords(std::span<const std::string_view> names);

/** XCR0: state components that the kernel enabled; 0 without OSXSAVE. */
[[nodiscard]] uint64_t cpuXcr0();

/**
 * Names (as /proc/cpuinfo spells them) of the features in `saved` that `host` lacks. Bits that describe the machine
 * and not its instruction set (hypervisor, APIC, debug, power, speculation controls, …) are not compared.
 */
[[nodiscard]] std::vector<std::string> missingFeatures(const std::vector<uint32_t>& saved, const std::vector<uint32_t>& host);

}  // namespace blcr
