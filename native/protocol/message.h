// SOCK_SEQPACKET messages with descriptors.
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "protocol/wire.h"

namespace blcr {

struct Message {
  std::string bytes;  // empty: the other side has closed
  std::vector<UniqueFd> fds;

  /** The structure in front, or nullptr when the message is not a T of this build. */
  template <typename T>
  [[nodiscard]] const T* as() const {
    static_assert(std::is_trivially_copyable_v<T>);
    if (bytes.size() < sizeof(T)) return nullptr;
    const auto* message = reinterpret_cast<const T*>(bytes.data());
    const bool known = message->header.magic == wire::kMagic && message->header.version == wire::kVersion;
    return known && message->header.kind == T{}.header.kind ? message : nullptr;
  }
  [[nodiscard]] std::string_view after(size_t size) const { return std::string_view(bytes).substr(size); }
};

/** Sends one message. EPIPE is an error, never a signal; EAGAIN when a non-blocking peer's queue is full. */
[[nodiscard]] Status sendMessage(int socket, std::string_view bytes, std::span<const int> fds = {});

/** Receives one message with flags of recvmsg(2) (MSG_PEEK, MSG_DONTWAIT); received descriptors are close-on-exec. EAGAIN when there is
 * none, EPROTO when it was cut. A closed peer gives an empty message. */
[[nodiscard]] Result<Message> receiveMessage(int socket, int flags);

/** The bytes of a message structure, for sendMessage. */
template <typename T>
[[nodiscard]] std::string_view bytesOf(const T& message) {
  static_assert(std::is_trivially_copyable_v<T>);
  return {reinterpret_cast<const char*>(&message), sizeof message};
}

/** Both ends of a SOCK_SEQPACKET pair, close-on-exec, numbered 3 or more so that no standard descriptor is in the way. */
[[nodiscard]] Result<std::pair<UniqueFd, UniqueFd>> messagePair();

}  // namespace blcr
