#include "handles.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <mutex>

#include "libcr.h"
#include "protocol/process_info.h"

namespace blcr::libcr {

namespace {

struct Table {
  std::mutex mutex;
  std::vector<Record> records;
};

Table& table() {
  static Table* const all = new Table;  // never destroyed: other threads may still poll while the process exits
  return *all;
}

/** A zombie, too: its keeper, which is asked for it, goes before whoever waits for the keeper has looked. */
bool hasEnded(pid_t pid) {
  const auto info = readProcess(pid);
  return info ? info.value().ended : info.error().code == ESRCH;
}

}  // namespace

ino_t socketInode(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0 || !S_ISSOCK(status.st_mode)) return 0;
  return status.st_ino;
}

unsigned long rememberRequest(UniqueFd socket, ino_t inode, RequestKind kind, pid_t target, pid_t keeper) {
  const int fd = socket.release();
  const Record record{fd, inode, kind, target, keeper};
  const std::lock_guard lock(table().mutex);
  std::erase_if(table().records, [fd](const Record& old) { return old.fd == fd; });  // closed without being reaped
  table().records.push_back(record);
  return static_cast<unsigned long>(fd);
}

Result<Record> findRequest(const unsigned long* handle) {
  if (handle == nullptr) return Error{EINVAL, "no handle"};
  const int fd = static_cast<int>(*handle);
  if (fd < 0 || ::fcntl(fd, F_GETFD) < 0) return Error{EBADF, "the handle is closed"};
  const std::lock_guard lock(table().mutex);
  const auto& records = table().records;
  const auto found = std::find_if(records.begin(), records.end(), [fd](const Record& record) { return record.fd == fd; });
  if (found == records.end() || socketInode(fd) == 0) return Error{ENOTTY, "not a handle of this library"};
  return *found;
}

void releaseRequest(unsigned long* handle) {
  const int fd = static_cast<int>(*handle);
  const std::lock_guard lock(table().mutex);
  std::erase_if(table().records, [fd](const Record& record) { return record.fd == fd; });
  ::close(fd);
  *handle = static_cast<unsigned long>(-1);
}

Result<std::optional<Message>> peekReply(const Record& record) {
  auto message = receiveMessage(record.fd, MSG_PEEK | MSG_DONTWAIT);
  if (!message && message.error().code == EAGAIN) return std::optional<Message>();
  const bool sameSocket = socketInode(record.fd) == record.inode;
  if (message && message->as<wire::Reply>() != nullptr && sameSocket) return std::optional(*std::move(message));
  if (!sameSocket) return Error{CR_ERESTARTED, "this is the restarted requester"};
  return record.target > 0 && hasEnded(record.target) ? Error{ESRCH, "the target is gone"}
                                                      : Error{EIO, "the keeper went away without an answer"};
}

bool isPending(unsigned long handle) {
  const auto record = findRequest(&handle);
  pollfd item{record ? record.value().fd : -1, POLLIN, 0};
  return record && ::poll(&item, 1, 0) == 0;
}

}  // namespace blcr::libcr
