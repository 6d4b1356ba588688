// cr_restart's --relocate OLD=NEW.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libcr.h"

namespace blcr::tools {

class Relocations {
 public:
  /** Takes `OLD=NEW`, both absolute; "\=" and "\\" stand for themselves. What is wrong, or nothing. */
  [[nodiscard]] std::string add(const std::string& argument);
  /** The C form; valid as long as this object and unchanged. nullptr when there are none. */
  [[nodiscard]] cr_rstrt_relocate* describe();

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
  std::vector<unsigned char> described_;
};

}  // namespace blcr::tools
