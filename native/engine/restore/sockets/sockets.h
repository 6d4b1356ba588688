// Sockets: made and connected before the tree is built, brought into their state when the context has been verified.
#pragma once

#include <functional>
#include <vector>

#include "base/log.h"
#include "base/unique_fd.h"
#include "restore/restore.h"

namespace blcr {

/** Descriptors by index of Image::sockets. */
struct SocketSet {
  std::vector<int> own;
  std::vector<UniqueFd> other;  // kClosed, kReset: the end that nobody holds, until the queue is filled
};

using PlaceDescriptor = std::function<Result<int>(UniqueFd)>;

/** Local datagram sockets that are connected with each other since they were made, by socketpair. */
[[nodiscard]] bool isDatagramPair(const image::Image& image, uint32_t index);

/** Binds `peer` to `peerName` where nobody sees it, and connects `fd` with it. EPERM where there are no namespaces, others of bind(2). */
[[nodiscard]] Status connectPrivately(int fd, int peer, const std::string& peerName);

/**
 * Makes every socket, binds those with internet addresses and abstract names, and connects those that were connected with each other.
 * Nobody can reach them yet: nothing listens, no file is made. EADDRINUSE and EADDRNOTAVAIL name the address.
 */
[[nodiscard]] Result<SocketSet> makeSockets(const image::Image& image, const PlaceDescriptor& place, Log& log);

}  // namespace blcr
