// What this process remembers of its pending requests.
#pragma once

#include <sys/types.h>

#include <optional>

#include "base/result.h"
#include "base/unique_fd.h"
#include "protocol/message.h"

namespace blcr::libcr {

enum class RequestKind { kCheckpoint, kRestart };

/**
 * One pending request. The result itself waits in the socket; this record says what the socket is: a descriptor that is not recorded is
 * not ours (ENOTTY), and one whose socket is no longer the recorded one belongs to a process that was restarted (CR_ERESTARTED), since a
 * restart brings back memory but not connections to the outside.
 */
struct Record {
  int fd = -1;
  ino_t inode = 0;
  RequestKind kind = RequestKind::kCheckpoint;
  pid_t target = 0;  // checkpoint: as the caller sees it
  pid_t keeper = 0;  // restart: the child to be waited for
};

/** Inode of a socket, 0 when it is none. */
[[nodiscard]] ino_t socketInode(int fd);

/** Takes the socket into the table and gives the handle's value. `inode` is socketInode() from before the request was sent: the caller may
 * be frozen, and restarted with another socket, as soon as it has been sent. */
[[nodiscard]] unsigned long rememberRequest(UniqueFd socket, ino_t inode, RequestKind kind, pid_t target, pid_t keeper);

/** The record of a handle: EINVAL for a null pointer, EBADF for a closed descriptor, ENOTTY for one that no request returned. */
[[nodiscard]] Result<Record> findRequest(const unsigned long* handle);

/** Closes the handle and sets it to -1. */
void releaseRequest(unsigned long* handle);

/** What a handle has to say: nothing while pending, the reply, or an error when its keeper went away without one. */
[[nodiscard]] Result<std::optional<Message>> peekReply(const Record& record);

/** A handle of ours that has nothing to say yet. */
[[nodiscard]] bool isPending(unsigned long handle);

}  // namespace blcr::libcr
