// What one fuzz target provides. The entry point has libFuzzer's name and form, so a target can be linked with that as well.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/** Hands one input to the parser under test. Any input may be refused; none may crash, hang or be read beyond its end. Returns 0. */
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

/** Well-formed inputs to start from. */
std::vector<std::string> fuzzSeeds();

/** Makes what guards the input right again after a change (checksums), so that what lies behind the guard is reached too. A target may do
 * without. */
__attribute__((weak)) void fuzzRepair(std::string& input);
