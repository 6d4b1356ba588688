#include "completion.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "libcr.h"
#include "protocol/talk.h"

namespace blcr::libcr {

int fail(int code) {
  errno = code;
  return -1;
}

int waitCompletion(const unsigned long* handle, timeval* timeout) {
  const auto record = findRequest(handle);
  if (!record) return fail(record.error().code);
  // The kernel's own select: what becomes of *timeout is its word, as with BLCR. glibc's has no room for large descriptors.
  constexpr size_t kBits = 8 * sizeof(unsigned long);
  const auto fd = static_cast<size_t>(record.value().fd);
  std::vector<unsigned long> readable(fd / kBits + 1, 0);
  readable.back() = 1UL << fd % kBits;
  return static_cast<int>(::syscall(SYS_select, fd + 1, readable.data(), nullptr, nullptr, timeout));
}

/**
 * Into memory that a caller names: bad memory fails, as it does with BLCR, where the kernel copies. Through a socket, and not
 * by process_vm_readv(2), for which the filters of some hosts kill.
 */
static bool copyOut(const std::string& text, char* to) {
  int ends[2];
  const bool hasSocket = ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0;
  if (!hasSocket) std::memcpy(to, text.c_str(), text.size() + 1);  // no more descriptors
  if (!hasSocket) return true;
  const UniqueFd reading(ends[0]), writing(ends[1]);
  constexpr size_t kAtOnce = 4096;  // one that is empty has room for that
  size_t done = 0;
  for (ssize_t count = 1; done <= text.size() && count > 0; done += size_t(std::max<ssize_t>(count, 0))) {
    const size_t length = std::min(kAtOnce, text.size() + 1 - done);
    if (::write(writing.get(), text.c_str() + done, length) != ssize_t(length)) return false;
    count = ::read(reading.get(), to + done, length);
  }
  return done > text.size();
}

int readLog(const unsigned long* handle, unsigned int length, char* buffer) {
  const auto record = findRequest(handle);
  if (!record) return fail(record.error().code);
  if (length > 0 && !copyOut("", buffer)) return fail(EFAULT);
  const auto reply = peekReply(record.value());
  // A request that ended without a reply has no log; that is no error of reading it.
  if (!reply || !reply.value()) return 0;
  const std::string_view text = reply.value()->after(sizeof(wire::Reply));
  if (text.empty()) return 0;
  if (length > 0) {
    const size_t copied = std::min<size_t>(text.size(), length - 1);
    if (!copyOut(std::string(text.substr(0, copied)), buffer)) return fail(EFAULT);
  }
  return static_cast<int>(text.size() + 1);
}

int reap(unsigned long* handle) {
  const auto record = findRequest(handle);
  if (!record) return fail(record.error().code);
  const auto reply = peekReply(record.value());
  if (reply && !reply.value()) return fail(EAGAIN);
  const int error = reply ? reply.value()->as<wire::Reply>()->result.error : reply.error().code;
  releaseRequest(handle);
  const pid_t keeper = record.value().keeper;
  if (error == 0) return keeper;
  // A keeper that failed has sent its answer as its last act: this does not wait.
  if (keeper > 0 && error != CR_ERESTARTED) {
    while (::waitpid(keeper, nullptr, 0) < 0 && errno == EINTR) continue;
  }
  return fail(error);
}

int poll(unsigned long* handle, timeval* timeout, char** messages) {
  if (messages != nullptr) *messages = nullptr;
  const int ready = waitCompletion(handle, timeout);
  if (ready <= 0) return ready < 0 ? CR_POLL_CHKPT_ERR_PRE : 0;
  if (messages != nullptr) {
    const int length = readLog(handle, 0, nullptr);
    if (length < 0) return CR_POLL_CHKPT_ERR_LOG;
    if (length > 0) {
      *messages = static_cast<char*>(std::malloc(static_cast<size_t>(length)));
      if (*messages == nullptr) return CR_POLL_CHKPT_ERR_LOG;
      if (readLog(handle, static_cast<unsigned>(length), *messages) < 0) return CR_POLL_CHKPT_ERR_LOG;
    }
  }
  const int result = reap(handle);
  if (result < 0) return CR_POLL_CHKPT_ERR_POST;
  return result > 0 ? result : 1;
}

Result<unsigned long> failedRequest(const Error& error, RequestKind kind) {
  BLCR_TRY(refuseDeadly(std::span(kTalk).first(kTelling), "an answer"));
  auto pair = messagePair();
  if (!pair) return pair.error();
  wire::Reply reply;
  reply.result.size = sizeof reply.result;
  reply.result.error = error.code;
  std::string bytes(bytesOf(reply));
  bytes.append(error.detail).push_back('\n');
  BLCR_TRY(sendMessage(pair->first.get(), bytes));
  const ino_t inode = socketInode(pair->second.get());
  return rememberRequest(std::move(pair->second), inode, kind, 0, 0);
}

}  // namespace blcr::libcr

using namespace blcr::libcr;

int cr_wait_checkpoint(cr_checkpoint_handle_t* handle, struct timeval* timeout) { return waitCompletion(handle, timeout); }
int cr_wait_restart(cr_restart_handle_t* handle, struct timeval* timeout) { return waitCompletion(handle, timeout); }
int cr_reap_checkpoint(cr_checkpoint_handle_t* handle) { return reap(handle); }
int cr_reap_restart(cr_restart_handle_t* handle) { return reap(handle); }
int cr_log_checkpoint(cr_checkpoint_handle_t* handle, unsigned int length, char* buffer) { return readLog(handle, length, buffer); }
int cr_log_restart(cr_restart_handle_t* handle, unsigned int length, char* buffer) { return readLog(handle, length, buffer); }
int cr_poll_checkpoint_msg(cr_checkpoint_handle_t* handle, struct timeval* timeout, char** messages) {
  return blcr::libcr::poll(handle, timeout, messages);
}
int cr_poll_restart_msg(cr_restart_handle_t* handle, struct timeval* timeout, char** messages) {
  return blcr::libcr::poll(handle, timeout, messages);
}
int cr_poll_checkpoint(cr_checkpoint_handle_t* handle, struct timeval* timeout) { return blcr::libcr::poll(handle, timeout, nullptr); }
int cr_poll_restart(cr_restart_handle_t* handle, struct timeval* timeout) { return blcr::libcr::poll(handle, timeout, nullptr); }
