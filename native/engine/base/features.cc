#include "base/features.h"

#include <cstdlib>

namespace blcr {

bool featureAllowed(std::string_view name) {
  const char* variable = std::getenv("BLCR_DISABLE");
  std::string_view list = variable == nullptr ? std::string_view() : std::string_view(variable);
  while (!list.empty()) {
    const size_t comma = list.find(',');
    if (list.substr(0, comma) == name) return false;
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return true;
}

}  // namespace blcr
