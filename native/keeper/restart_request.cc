#include "restart_request.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "base/io.h"
#include "proc/status.h"
#include "protocol/process_info.h"

namespace blcr {

namespace {

/** Takes one NUL-terminated string off the front. */
std::string takeString(std::string_view& text, bool& good) {
  const size_t end = text.find('\0');
  if (end == std::string_view::npos) {
    good = false;
    return {};
  }
  std::string taken(text.substr(0, end));
  text.remove_prefix(end + 1);
  return taken;
}

bool takePairs(std::string_view& text, uint32_t count, std::vector<PathPair>& into) {
  bool good = true;
  for (uint32_t index = 0; index < count && good; ++index) {
    std::string from = takeString(text, good);
    std::string to = takeString(text, good);
    into.push_back({std::move(from), std::move(to)});
  }
  return good;
}

constexpr int kKilledUs = 2000, kKilledRounds = 5000;

bool isRunning(const image::Process& process) {
  const auto stat = readStat(process.pid);
  return process.startTime != 0 && stat && stat.value().startTime == process.startTime && !hasEnded(stat.value());
}

bool isKilled(pid_t pid) {
  const auto info = readProcess(pid);
  if (!info || info.value().ending) return true;
  const auto status = readStatus(pid);
  return !status || ((status.value().sharedPending | status.value().pending) >> (SIGKILL - 1) & 1) != 0;
}

}  // namespace

Result<IncomingRestart> parseRestart(Message& message) {
  const auto* request = message.as<wire::RestartRequest>();
  if (request == nullptr) return Error{EPROTO, "not a restart request of this build"};
  IncomingRestart incoming;
  size_t next = 0;
  const auto take = [&](uint32_t what) {
    const bool present = (request->attached & what) != 0 && next < message.fds.size();
    return present ? std::move(message.fds[next++]) : UniqueFd();
  };
  incoming.context = take(wire::kContext);
  incoming.lifeline = take(wire::kLifeline);
  if (!incoming.context) return Error{EPROTO, "a restart request without a context"};
  for (int number = 0; number < 3; ++number) {
    const UniqueFd given = take(wire::kStdin << number);
    incoming.stdioGiven[number] = bool(given);
    if (given && ::dup2(given.get(), number) < 0) return systemError("replace standard descriptor " + std::to_string(number));
  }
  for (uint32_t index = 0; index < std::min(request->pipeCount, wire::kMaxPipes) && next < message.fds.size(); ++index) {
    UniqueFd& pipe = incoming.pipes[request->pipes[index]] = std::move(message.fds[next++]);
    incoming.restore.pipes[request->pipes[index]] = pipe.get();
  }
  std::string_view paths = message.after(sizeof *request);
  RestoreRequest& restore = incoming.restore;
  if (!takePairs(paths, request->relocateCount, restore.relocate) || !takePairs(paths, request->bindCount, restore.binds)) {
    return Error{EPROTO, "a restart request without its paths"};
  }
  restore.inputFd = incoming.context.get();
  restore.files = static_cast<FilePolicy>(request->files);
  restore.restorePid = (request->flags & CR_RSTRT_RESTORE_PID) != 0;
  restore.signal = request->signal;
  incoming.answers = request->answers != 0;
  incoming.restoreIds = (request->flags & (CR_RSTRT_RESTORE_PID | CR_RSTRT_RESTORE_PGID | CR_RSTRT_RESTORE_SID)) != 0;
  return incoming;
}

Status checkEnded(const image::Image& image) {
  const auto boot = readFile("/proc/sys/kernel/random/boot_id");
  if (!boot || image.host.boot != boot.value()) return {};
  for (const image::Process& process : image.processes) {
    for (int round = 0; isRunning(process); ++round) {
      if (!isKilled(process.pid) || round == kKilledRounds)
        return Error{EBUSY, "process " + std::to_string(process.pid) + " of the context is still running"};
      sleepUs(kKilledUs);
    }
  }
  return {};
}

void reopenRegularStdio(image::Image& image, const IncomingRestart& incoming) {
  for (image::OpenFile& file : image.files) {
    if (file.kind != image::FileKind::kInherited || file.inherited < 0 || file.inherited > 2) continue;
    const std::string& path = image.inheritedPath[file.inherited];
    if (incoming.stdioGiven[file.inherited] || path.empty()) continue;
    file.kind = image::FileKind::kRegular;
    file.path = path;
    file.inherited = -1;
  }
}

}  // namespace blcr
