#include "common/hooks.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "libcr.h"

namespace blcr::tools {

namespace {
constexpr std::string_view kOnSuccess = "run-on-success", kOnFailure = "run-on-failure", kOnFail = "run-on-fail-";
}

bool Hooks::take(std::string_view option, const std::string& command) {
  if (option == kOnSuccess) {
    commands_["success"] = command;
  } else if (option == kOnFailure) {
    for (const char* event : {"args", "temp", "env", "perm"}) commands_[event] = command;
  } else if (option.starts_with(kOnFail)) {
    commands_[std::string(option.substr(kOnFail.size()))] = command;
  } else {
    return false;
  }
  return true;
}

int Hooks::run(const std::string& event, const sigset_t& mask) const {
  const auto command = commands_.find(event);
  if (command == commands_.end() || command->second.empty()) return 0;
  const pid_t child = ::fork();
  if (child == 0) {
    ::sigprocmask(SIG_SETMASK, &mask, nullptr);
    ::execl("/bin/sh", "sh", "-c", command->second.c_str(), nullptr);
    ::_exit(127);
  }
  int status = -1;
  while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

const char* eventOf(int error) {
  switch (error) {
    case EAGAIN:
    case EBUSY:
    case ENOMEM:
    case CR_ETEMPFAIL:
      return "temp";
    case EACCES:
    case EEXIST:
    case EISDIR:
    case ENOENT:
    case ENOTDIR:
    case EPERM:
    case ESTALE:
      return "env";
    default:
      return "perm";
  }
}

}  // namespace blcr::tools
