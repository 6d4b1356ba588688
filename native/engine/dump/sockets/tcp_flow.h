// Data between the two ends of a TCP connection inside the job.
#pragma once

#include "base/result.h"

namespace blcr {

/**
 * Makes sure that everything `sender` has written has arrived at `receiver`, where it can be looked at: a sender's queue can be read by
 * nobody without privilege. A receiver that is full is given room as the kernel itself would give it (tcp_rmem); its options stay what they
 * were. EAGAIN when data remains with the sender.
 */
[[nodiscard]] Status settleFlow(int sender, int receiver);

}  // namespace blcr
