// cr_restart's --run-on-…: commands for what happened.
#pragma once

#include <signal.h>

#include <map>
#include <string>
#include <string_view>

namespace blcr::tools {

class Hooks {
 public:
  /** Notes a command when `option` is one of run-on-success, run-on-fail-args, -temp, -env, -perm, run-on-failure (all four). */
  [[nodiscard]] bool take(std::string_view option, const std::string& command);

  /** Runs the command for `event` (success, args, temp, env, perm) in a shell with the signal mask `mask`, if there is one; its exit
   * status, 255 when a signal ended it, 0 without a command. Other than 0 it takes the place of the utility's own exit status. */
  [[nodiscard]] int run(const std::string& event, const sigset_t& mask) const;

 private:
  std::map<std::string, std::string> commands_;
};

/** The event for an error of a restart: temp when it may go away by itself, env when something is missing on this machine, else perm. */
[[nodiscard]] const char* eventOf(int error);

}  // namespace blcr::tools
