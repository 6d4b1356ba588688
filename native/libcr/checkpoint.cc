// cr_request_checkpoint: finds the keeper, hands it the request and returns; everything slow happens over there.
#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "arguments.h"
#include "completion.h"
#include "own_part.h"
#include "protocol/talk.h"
#include "spawn.h"
#include "target.h"

namespace blcr::libcr {

namespace {

/** The request and the descriptors that go with it: `owned` are opened here and closed once sent. */
struct Outgoing {
  wire::CheckpointRequest request;
  std::vector<int> fds;
  std::vector<UniqueFd> owned;

  void attach(wire::Attached what, int fd) {
    request.attached |= what;
    fds.push_back(fd);
  }
  Status open(wire::Attached what, const char* path, int flags) {
    UniqueFd file(::open(path, flags | O_CLOEXEC));
    if (!file) return systemError(path);
    attach(what, file.get());
    owned.push_back(std::move(file));
    return {};
  }
};

Status attachCapture(const crx_checkpoint_options_t& options, Outgoing& out) {
  if (options.capture_root == nullptr) {
    if (options.capture_into != nullptr || options.capture_extra_count > 0) return Error{EINVAL, "capture without capture_root"};
    return {};
  }
  if (options.capture_into == nullptr) return Error{EINVAL, "capture_root without capture_into"};
  if (options.capture_extra_count > wire::kMaxExtra) return Error{E2BIG, "too many files in capture_extra"};
  BLCR_TRY(out.open(wire::kCaptureRoot, options.capture_root, O_RDONLY | O_DIRECTORY));
  BLCR_TRY(out.open(wire::kCaptureInto, options.capture_into, O_RDONLY | O_DIRECTORY));
  if (options.capture_baseline != nullptr) BLCR_TRY(out.open(wire::kCaptureBaseline, options.capture_baseline, O_RDONLY));
  for (uint32_t index = 0; index < options.capture_extra_count; ++index) {
    BLCR_TRY(out.open(wire::Attached{}, options.capture_extra[index], O_RDONLY | O_NONBLOCK));
  }
  out.request.extraCount = options.capture_extra_count;
  return {};
}

Status attachContext(const cr_checkpoint_args_t& args, pid_t target, Outgoing& out) {
  if (args.cr_fd != CR_DEST_CWD) {
    out.attach(wire::kContext, args.cr_fd);
    return {};
  }
  const std::string name = "context." + std::to_string(target);
  UniqueFd file(::open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0400));
  if (!file) return systemError(name);
  out.attach(wire::kContext, file.get());
  out.owned.push_back(std::move(file));
  return {};
}

Status checkSelf(const cr_checkpoint_args_t& args) {
  const bool self = args.cr_target == 0 || (args.cr_scope == CR_SCOPE_PROC && args.cr_target == ::getpid());
  if (self && (args.cr_flags & CR_CHKPT_PROHIBIT_SELF) != 0) return Error{EDEADLK, "the caller itself would be checkpointed"};
  return {};
}

/** Sends the request to the target's keeper, or to a one-shot keeper that is started for it; the handle is the result. */
Result<UniqueFd> deliver(Target& target, Outgoing& out) {
  if (target.keeper) {
    out.request.handleInode = socketInode(target.keeper.get());
    const Status sent = sendMessage(target.keeper.get(), bytesOf(out.request), out.fds);
    const bool hasEnded = !sent && (sent.error().code == EPIPE || sent.error().code == ECONNRESET);  // the keeper ends with its job
    if (hasEnded) return Error{ESRCH, "process " + std::to_string(target.member) + " has ended"};
    if (!sent) return sent.error();
    return std::move(target.keeper);
  }
  auto pair = messagePair();
  if (!pair) return pair.error();
  out.request.handleInode = socketInode(pair->first.get());
  out.request.keeperInode = socketInode(pair->second.get());
  BLCR_TRY(sendMessage(pair->first.get(), bytesOf(out.request), out.fds));
  const auto started = spawnKeeper("attach", pair->second, Parentage::kDetached);
  if (!started) return started.error();
  return std::move(pair->first);
}

Result<unsigned long> submit(const cr_checkpoint_args_t& args, const crx_checkpoint_options_t& options) {
  BLCR_TRY(checkSelf(args));
  BLCR_TRY(refuseDeadly(kTalk, "a request"));
  auto target = findTarget(args.cr_scope, args.cr_target);
  if (!target) return target.error();
  Outgoing out;
  const pid_t named = args.cr_target != 0 ? args.cr_target : target->member;
  BLCR_TRY(attachContext(args, named, out));
  BLCR_TRY(attachCapture(options, out));
  out.request.target = target->number;
  out.request.scope = args.cr_scope;
  out.request.signal = args.cr_signal;
  out.request.timeoutSeconds = args.cr_timeout;
  out.request.flags = args.cr_flags;
  out.request.snapshot = options.snapshot;
  out.request.memoryBudget = options.memory_budget;
  out.request.checksum = options.checksum;
  out.request.tcp = options.tcp;
  out.request.unixSockets = options.unix_sockets;
  out.request.pipes = options.pipes;
  const pid_t member = target->member;
  auto handle = deliver(*target, out);
  if (!handle) return handle.error();
  return rememberRequest(*std::move(handle), out.request.handleInode, RequestKind::kCheckpoint, member, 0);
}

}  // namespace

}  // namespace blcr::libcr

int crx_request_checkpoint(cr_checkpoint_args_t* args, const crx_checkpoint_options_t* options, cr_checkpoint_handle_t* handle) {
  using namespace blcr::libcr;
  if (args == nullptr || handle == nullptr) return fail(EINVAL);
  if (const auto checked = checkArguments(*args); !checked) return fail(checked.error().code);
  const auto completed = completeOptions(options);
  if (!completed) return fail(completed.error().code);
  const crx_checkpoint_options_t& asked = completed.value();
  if (asked.snapshot > CRX_SNAPSHOT_PLAIN) return fail(EINVAL);
  if (asked.pipes > CRX_PIPES_REPLACE || asked.tcp > CRX_CONNECTIONS_CLOSE || asked.unix_sockets > CRX_CONNECTIONS_CLOSE)
    return fail(EINVAL);
  const OwnPart own(*args);
  auto submitted = submit(*args, completed.value());
  if (submitted) own.await(submitted.value());
  if (!submitted && (args->cr_flags & CR_CHKPT_ASYNC_ERR) != 0) submitted = failedRequest(submitted.error(), RequestKind::kCheckpoint);
  if (!submitted) return fail(submitted.error().code);
  *handle = submitted.value();
  return 0;
}

int cr_request_checkpoint(cr_checkpoint_args_t* args, cr_checkpoint_handle_t* handle) {
  return crx_request_checkpoint(args, nullptr, handle);
}
