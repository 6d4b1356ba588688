// The environment of Node: what the submitter meant for the program must not change how the wrapper runs, and must reach the program.
#pragma once

#include <string>
#include <vector>

namespace blcr::launcher {

/** In front of the name of a variable that is held back. lib/cli/executable.ts takes it away again, before it starts anything. */
inline constexpr char kHeld[] = "BLCR_HELD_";

/** True for variables that Node, its libraries or the loader read when they start. */
bool isHeldBack(const std::string& variable);

/**
 * `environment` with such variables renamed, and with ours.
 * @param bundle Explained in lib/native/bundle.ts, which reads it.
 * @param preloaded Path of what the loader loads in front of Node.
 */
std::vector<std::string> environmentForNode(char* const* environment, const std::string& bundle, const std::string& preloaded);

}  // namespace blcr::launcher
