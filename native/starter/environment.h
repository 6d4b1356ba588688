// The environment of Node: what the submitter meant for the program must not change how the wrapper runs, and must reach the program.
#pragma once

#include <string>
#include <vector>

namespace blcr::starter {

/** In front of the name of a variable that is held back. lib/native/held-environment.ts takes it away again, before anything is started. */
inline constexpr char kHeld[] = "BLCR_HELD_";

enum class NodeIs {
  inside,    // the single executable: nothing of this machine's settings is meant for it
  installed  // it may need LD_LIBRARY_PATH to find its libraries
};

/** True for variables that Node, its libraries or the loader read when they start. */
bool isHeldBack(const std::string& variable, NodeIs node);

/**
 * `environment` with such variables renamed, and with ours.
 * @param preloaded Path of what the loader loads in front of Node.
 */
std::vector<std::string> environmentForNode(char* const* environment, NodeIs node, const std::string& preloaded);

/** Blocks the signals of held_signals.h until hold.c, which is loaded in front of Node, takes them over. */
void holdSignals();

/** What execve wants; valid as long as `strings` is not changed. */
std::vector<char*> pointersTo(std::vector<std::string>& strings);

}  // namespace blcr::starter
