#include "common/report.h"

#include <cstdio>
#include <string_view>

#include "libcr.h"

namespace blcr::tools {

void complain(const std::string& name, const std::string& text) { std::fprintf(stderr, "%s: %s\n", name.c_str(), text.c_str()); }

int failWith(const std::string& name, const std::string& what, int error) {
  complain(name, what + ": " + cr_strerror(error));
  return error & 0xff;
}

void showLog(const std::string& log, std::string_view beginning) {
  std::string_view rest = log;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    if (!line.empty() && line.starts_with(beginning)) std::fprintf(stderr, "- %.*s\n", static_cast<int>(line.size()), line.data());
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
}

int printVersion(const std::string& name) {
  std::printf("%s of node-blcr, with the options of BLCR %d.%d.%d\n", name.c_str(), CR_RELEASE_MAJOR, CR_RELEASE_MINOR, CR_RELEASE_PATCH);
  return 0;
}

}  // namespace blcr::tools
