#include "proc/population.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "base/io.h"
#include "proc/parse.h"

namespace blcr {
namespace {

/** A file that the kernel itself answers for, and not a file system laid over it. */
bool isOfKernel(const char* path) {
  struct statfs info{};
  return ::statfs(path, &info) == 0 && info.f_type == PROC_SUPER_MAGIC;
}

}  // namespace

std::optional<Population> parsePopulation(std::string_view stat, std::string_view loadavg) {
  static constexpr std::string_view kMade = "\nprocesses ";
  const size_t at = stat.find(kMade);
  const size_t slash = loadavg.find('/');
  if (at == std::string_view::npos || slash == std::string_view::npos) return std::nullopt;
  stat.remove_prefix(at + kMade.size());
  loadavg.remove_prefix(slash + 1);
  const auto made = takeNumber(stat, 10), present = takeNumber(loadavg, 10);
  if (!made || !present) return std::nullopt;
  return Population{*made, *present};
}

std::optional<Population> readPopulation() {
  static const bool isTold = isOfKernel("/proc/stat") && isOfKernel("/proc/loadavg");
  if (!isTold) return std::nullopt;
  const auto stat = readFile("/proc/stat"), loadavg = readFile("/proc/loadavg");
  if (!stat || !loadavg) return std::nullopt;
  return parsePopulation(stat.value(), loadavg.value());
}

}  // namespace blcr
