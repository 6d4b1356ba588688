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

/**
 * Makes every socket, binds those with internet addresses and abstract names, and connects those that were connected with each other.
 * Nobody can reach them yet: nothing listens, no file is made. EADDRINUSE and EADDRNOTAVAIL name the address.
 */
[[nodiscard]] Result<SocketSet> makeSockets(const image::Image& image, const PlaceDescriptor& place);

}  // namespace blcr
