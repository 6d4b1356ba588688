#include "common/relocation.h"

#include <cstring>

namespace blcr::tools {

namespace {

void dropTrailingSlashes(std::string& path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
}

}  // namespace

std::string Relocations::add(const std::string& argument) {
  std::string parts[2];
  size_t part = 0;
  for (size_t at = 0; at < argument.size(); ++at) {
    const bool escaped = argument[at] == '\\' && at + 1 < argument.size() && (argument[at + 1] == '\\' || argument[at + 1] == '=');
    if (escaped) {
      parts[part] += argument[++at];
    } else if (argument[at] != '=') {
      parts[part] += argument[at];
    } else if (++part > 1) {
      return "more than one '=' in --relocate " + argument + " (\\= for one in a path)";
    }
  }
  if (part == 0) return "--relocate needs OLD=NEW, not " + argument;
  if (!parts[0].starts_with('/') || !parts[1].starts_with('/')) return "--relocate needs absolute paths, not " + argument;
  for (std::string& path : parts) dropTrailingSlashes(path);
  if (parts[0] == parts[1]) return {};
  if (pairs_.size() == CR_MAX_RSTRT_RELOC) return "more than " + std::to_string(CR_MAX_RSTRT_RELOC) + " --relocate";
  pairs_.emplace_back(std::move(parts[0]), std::move(parts[1]));
  return {};
}

cr_rstrt_relocate* Relocations::describe() {
  if (pairs_.empty()) return nullptr;
  described_.assign(CR_RSTRT_RELOCATE_SIZE(pairs_.size()), 0);
  auto* const all = reinterpret_cast<cr_rstrt_relocate*>(described_.data());
  all->count = static_cast<unsigned>(pairs_.size());
  for (size_t index = 0; index < pairs_.size(); ++index) all->path[index] = {pairs_[index].first.data(), pairs_[index].second.data()};
  return all;
}

}  // namespace blcr::tools
