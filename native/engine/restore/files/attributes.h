// Extended attributes of files that came with the context.
#pragma once

#include <string>
#include <vector>

#include "base/log.h"
#include "image/model.h"

namespace blcr {

/** Sets them while the file's mode lets its owner write; access control lists come later, with what they belong to: `lists`. What this
 * file system cannot keep is logged. */
void setAttributes(int fd, const std::vector<image::Attribute>& attributes, bool lists, const std::string& file, Log& log);

}  // namespace blcr
