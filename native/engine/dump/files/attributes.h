// Extended attributes of files that travel with the context: nobody else keeps them.
#pragma once

#include <vector>

#include "image/model.h"

namespace blcr {

/** Those that a user may have set, access control lists among them. */
[[nodiscard]] std::vector<image::Attribute> readAttributes(int fd);

}  // namespace blcr
