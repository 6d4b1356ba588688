// Who the other ends of local sockets are.
#pragma once

#include "dump/files/record_files.h"

namespace blcr {

/** As SO_PEERCRED and SO_PEERGROUPS tell it; no pid when they tell of nobody. */
[[nodiscard]] image::PeerCredentials peerCredentials(int fd);

/**
 * Who has made the connection of a client that waits to be accepted: told to nobody before, it must be the one process that has the
 * socket. kErrorTemporary names `listener` when others have it, too, or it was made by another user than that process is now.
 */
[[nodiscard]] Result<image::PeerCredentials> connectorOf(const FileContext& context, const FoundDescriptor& listener,
                                                         const LiveSocket& client);

/**
 * After the states of all sockets are known: whether a restart by the keeper's user can give their peers these credentials, and send what
 * waits in them once more. kErrorNoSupport names a socket; kErrorTemporary one in which a message of another user waits.
 */
[[nodiscard]] Status checkPeerCredentials(const FileContext& context);

}  // namespace blcr
