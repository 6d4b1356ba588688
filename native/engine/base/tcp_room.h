// Room in the receiving end of a TCP connection.
#pragma once

namespace blcr {

/** Lets a full receiver take more, up to the system's limit (tcp_rmem), as the kernel itself would when its program read fast. */
void makeRoom(int receiver);

}  // namespace blcr
