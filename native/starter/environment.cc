#include "starter/environment.h"

#include <algorithm>
#include <string_view>

#include "starter/held_signals.h"
#include "starter/node_options.h"

namespace blcr::starter {

namespace {

/** Sources: node(1), ENVIRONMENT; ld.so(8); mallopt(3); openssl-env(7); libuv's documentation. */
constexpr std::string_view kPrefixes[] = {"NODE_", "LD_", "MALLOC_", "OPENSSL_", "SSL_CERT_", "UV_"};
constexpr std::string_view kNames[] = {"GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH", "ICU_DATA"};
constexpr std::string_view kLibraryPath = "LD_LIBRARY_PATH";

/** Says that there is something to take back. */
constexpr std::string_view kMark = "BLCR_HELD=";
/** The launcher's own, of whichever wrapper this one runs under. */
constexpr std::string_view kBundle = "BLCR_BUNDLE=";

}  // namespace

bool isHeldBack(const std::string& variable, NodeIs node) {
  const std::string_view name = std::string_view(variable).substr(0, variable.find('='));
  if (node == NodeIs::installed && name == kLibraryPath) return false;
  return std::ranges::any_of(kPrefixes, [=](std::string_view prefix) { return name.starts_with(prefix); }) ||
         std::ranges::find(kNames, name) != std::end(kNames);
}

std::vector<std::string> environmentForNode(char* const* environment, NodeIs node, const std::string& preloaded) {
  std::vector<std::string> result{"NODE_OPTIONS=" BLCR_NODE_OPTIONS, "MALLOC_ARENA_MAX=2", std::string(kMark) + "1",
                                  "LD_PRELOAD=" + preloaded};
  for (; *environment != nullptr; ++environment) {
    const std::string variable = *environment;
    if (variable.starts_with(kMark) || variable.starts_with(kBundle)) continue;
    result.push_back(isHeldBack(variable, node) ? kHeld + variable : variable);
  }
  return result;
}

void holdSignals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : kHeldSignals) ::sigaddset(&set, signal);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
}

std::vector<char*> pointersTo(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& text : strings) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace blcr::starter
