// Changes to inputs, small and large.
#pragma once

#include <random>
#include <string>

namespace fuzz {

inline constexpr size_t kMaxInput = 256 * 1024;

/** Changes `input` in one to eight ways; `other` is another input to take pieces from. */
void mutate(std::string& input, const std::string& other, std::mt19937_64& random);

}  // namespace fuzz
