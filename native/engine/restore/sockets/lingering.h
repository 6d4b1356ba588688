// Connections of the job's earlier life that the kernel remembers for a minute (TIME_WAIT) and that keep a port from being bound again.
#pragma once

#include <cstdint>

namespace blcr {

/**
 * True when nothing but such connections uses the TCP port; they are asked to end. That is done by connecting once more from their other
 * address: the answer that comes from a connection in TIME_WAIT makes the kernel of the new one reset it. Where that address is not this
 * host's, they end by themselves within 60 seconds.
 */
[[nodiscard]] bool endLingering(uint16_t port);

}  // namespace blcr
