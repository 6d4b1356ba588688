#include "environment.h"

#include <algorithm>
#include <string_view>

namespace blcr::launcher {

namespace {

/** Sources: node(1), ENVIRONMENT; ld.so(8); mallopt(3); openssl-env(7); libuv's documentation. */
constexpr std::string_view kPrefixes[] = {"NODE_", "LD_", "MALLOC_", "OPENSSL_", "SSL_CERT_", "UV_"};
constexpr std::string_view kNames[] = {"GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH", "ICU_DATA"};

/** The options come from scripts/build-wrapper.mjs: compiled code that was made under others is of no use. */
constexpr const char* kOwn[] = {
    "NODE_OPTIONS=" BLCR_NODE_OPTIONS,
    "MALLOC_ARENA_MAX=2",
};

}  // namespace

bool isHeldBack(const std::string& variable) {
  const std::string_view name = std::string_view(variable).substr(0, variable.find('='));
  return std::ranges::any_of(kPrefixes, [=](std::string_view prefix) { return name.starts_with(prefix); }) ||
         std::ranges::find(kNames, name) != std::end(kNames);
}

std::vector<std::string> environmentForNode(char* const* environment, const std::string& bundle, const std::string& preloaded) {
  std::vector<std::string> result(std::begin(kOwn), std::end(kOwn));
  result.push_back("BLCR_BUNDLE=" + bundle);
  result.push_back("LD_PRELOAD=" + preloaded);
  for (; *environment != nullptr; ++environment) {
    const std::string variable = *environment;
    if (!variable.starts_with("BLCR_BUNDLE=")) result.push_back(isHeldBack(variable) ? kHeld + variable : variable);
  }
  return result;
}

}  // namespace blcr::launcher
