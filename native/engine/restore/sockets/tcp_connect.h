// TCP connections inside one host, made anew with the addresses and ports that they had.
#pragma once

#include <array>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace blcr {

/** Binds so that a connection of the job's earlier life that lingers (TIME_WAIT) is no obstacle. EADDRINUSE and EADDRNOTAVAIL name the
 * address. The socket's SO_REUSEADDR is on afterwards. */
[[nodiscard]] Status bindInternet(int fd, const std::string& name);

/** One attempt to connect from exactly `name` to `peerName`: 0 or an errno value. Options of the socket are changed on the way. */
[[nodiscard]] int connectOnce(int fd, const std::string& name, const std::string& peerName, int patienceMs);

/** As connectOnce, waiting for the end of a connection that lingers. EADDRINUSE and EADDRNOTAVAIL name the address. */
[[nodiscard]] Status connectFrom(int fd, const std::string& name, const std::string& peerName);

/** Connects `client` (a fresh socket) and returns the other end, which is what a socket listening at `acceptedName` would have accepted. */
[[nodiscard]] Result<UniqueFd> connectPair(int client, const std::string& clientName, const std::string& clientPeerName,
                                           const std::string& acceptedName, int protocol);

/** A connected pair at addresses of no matter: what the first end is to see of a peer that has gone. */
[[nodiscard]] Result<std::array<UniqueFd, 2>> makeAnonymousConnection(int domain, int protocol);

}  // namespace blcr
