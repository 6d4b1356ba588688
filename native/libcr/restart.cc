// cr_request_restart: starts a keeper as the caller's child, which becomes the parent of the restarted job.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>

#include "arguments.h"
#include "completion.h"
#include "protocol/talk.h"
#include "spawn.h"

namespace blcr::libcr {

namespace {

Status appendPairs(const cr_rstrt_relocate* pairs, uint32_t& count, std::string& paths) {
  if (pairs == nullptr) return {};
  for (unsigned index = 0; index < pairs->count; ++index) {
    const cr_rstrt_relocate_pair& pair = pairs->path[index];
    if (pair.oldpath == nullptr || pair.newpath == nullptr) return Error{EINVAL, "a pair of paths is incomplete"};
    paths.append(pair.oldpath).push_back('\0');
    paths.append(pair.newpath).push_back('\0');
    ++count;
  }
  return paths.size() > wire::kMaxPaths ? Status(Error{E2BIG, "too many paths"}) : Status();
}

constexpr int kHighestPipe = 1024;

/** A pipe, socket or terminal of the caller that an executed program would have, too. */
bool mayReplacePipe(int fd) {
  struct stat status{};
  const int flags = ::fcntl(fd, F_GETFD);
  if (flags < 0 || (flags & FD_CLOEXEC) != 0 || ::fstat(fd, &status) != 0) return false;
  return S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) || S_ISCHR(status.st_mode);
}

Result<unsigned long> submit(const cr_restart_args_t& args, const crx_restart_options_t& options) {
  BLCR_TRY(refuseDeadly(kTalk, "a request"));
  wire::RestartRequest request;
  request.signal = args.cr_signal;
  request.flags = args.cr_flags;
  request.files = options.files;
  request.answers = options.answers;
  std::string paths;
  BLCR_TRY(appendPairs(args.cr_relocate, request.relocateCount, paths));
  BLCR_TRY(appendPairs(options.binds, request.bindCount, paths));
  std::vector<int> fds{args.cr_fd};
  request.attached = wire::kContext;
  const auto attach = [&](wire::Attached what, int fd) {
    if (fd < 0) return;
    request.attached |= what;
    fds.push_back(fd);
  };
  attach(wire::kLifeline, options.lifeline_fd);
  attach(wire::kStdin, options.stdio_fd[0]);
  attach(wire::kStdout, options.stdio_fd[1]);
  attach(wire::kStderr, options.stdio_fd[2]);
  for (int fd = 3; fd < kHighestPipe && request.pipeCount < wire::kMaxPipes; ++fd) {
    if (!mayReplacePipe(fd) || std::find(fds.begin(), fds.end(), fd) != fds.end()) continue;
    request.pipes[request.pipeCount++] = fd;
    fds.push_back(fd);
  }
  auto pair = messagePair();
  if (!pair) return pair.error();
  BLCR_TRY(sendMessage(pair->first.get(), std::string(bytesOf(request)) + paths, fds));
  const auto keeper = spawnKeeper("restart", pair->second, Parentage::kChild);
  if (!keeper) return keeper.error();
  const ino_t inode = socketInode(pair->first.get());
  return rememberRequest(std::move(pair->first), inode, RequestKind::kRestart, 0, keeper.value());
}

}  // namespace

}  // namespace blcr::libcr

int crx_request_restart(cr_restart_args_t* args, const crx_restart_options_t* options, cr_restart_handle_t* handle) {
  using namespace blcr::libcr;
  if (args == nullptr || handle == nullptr) return fail(EINVAL);
  if (const auto checked = checkArguments(*args); !checked) return fail(checked.error().code);
  const auto completed = completeOptions(options);
  if (!completed) return fail(completed.error().code);
  if (completed.value().files > CRX_FILES_REFUSE) return fail(EINVAL);
  auto submitted = submit(*args, completed.value());
  if (!submitted && (args->cr_flags & CR_RSTRT_ASYNC_ERR) != 0) submitted = failedRequest(submitted.error(), RequestKind::kRestart);
  if (!submitted) return fail(submitted.error().code);
  *handle = submitted.value();
  return 0;
}

int cr_request_restart(cr_restart_args_t* args, cr_restart_handle_t* handle) { return crx_request_restart(args, nullptr, handle); }
