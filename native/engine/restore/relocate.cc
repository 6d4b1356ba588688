#include "restore/relocate.h"

namespace blcr {
namespace {

std::string_view withoutSlashes(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path;
}

}  // namespace

bool isBelow(std::string_view path, std::string_view prefix) {
  prefix = withoutSlashes(prefix);
  if (prefix.empty() || !path.starts_with(prefix)) return false;
  return prefix == "/" || path.size() == prefix.size() || path[prefix.size()] == '/';
}

std::string relocated(const std::vector<PathPair>& pairs, const std::string& path) {
  const PathPair* best = nullptr;
  for (const PathPair& pair : pairs)
    if (isBelow(path, pair.from) && (best == nullptr || withoutSlashes(pair.from).size() > withoutSlashes(best->from).size())) best = &pair;
  if (best == nullptr) return path;
  const std::string_view from = withoutSlashes(best->from);
  const std::string_view rest = std::string_view(path).substr(from == "/" ? 0 : from.size());
  const std::string_view to = withoutSlashes(best->to);
  if (rest.empty()) return std::string(to);
  return (to == "/" ? std::string() : std::string(to)) + std::string(rest);
}

}  // namespace blcr
