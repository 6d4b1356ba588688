#include "restart_request.h"

#include <unistd.h>

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
  return incoming;
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
