// Whose a file is that was made again.
#pragma once

#include <string>

#include "base/log.h"
#include "base/result.h"
#include "image/model.h"

namespace blcr {

/**
 * Gives a new file to whom it belonged. Root fails where it cannot, in a namespace that does not have the user. An ordinary user may give
 * nothing away, and no group but their own: the log says whose file of another user's, which the job had open, is theirs now.
 */
[[nodiscard]] Status giveToOwner(int fd, const image::FileOwner& owner, const std::string& what, Log& log);

}  // namespace blcr
