// The engine logs most of its errors itself.
#pragma once

#include "base/log.h"
#include "base/result.h"

namespace blcr {

/** Adds the error's detail to the log unless it is there already. */
inline void logOnce(Log& log, const Error& error) {
  if (!error.detail.empty() && log.text().find(error.detail) == std::string::npos) log.line(error.detail);
}

}  // namespace blcr
