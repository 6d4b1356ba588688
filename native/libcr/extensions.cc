// crx_*: what BLCR's ABI has no word for.
#include <dlfcn.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <string>

#include "completion.h"
#include "crx.h"

unsigned int crx_abi_version(void) { return CRX_ABI_VERSION; }

namespace {

bool isExecutable(const std::string& path) { return ::access(path.c_str(), X_OK) == 0; }

/** Beside the library as it was loaded, else beside the file that its name leads to. */
std::string besideLibrary() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&crx_abi_version), &info) == 0 || info.dli_fname == nullptr) return {};
  char resolved[PATH_MAX];
  const char* const candidates[] = {info.dli_fname, ::realpath(info.dli_fname, resolved)};
  for (const char* candidate : candidates) {
    if (candidate == nullptr) continue;
    std::string path(candidate);
    const size_t slash = path.rfind('/');
    path = (slash == std::string::npos ? "." : path.substr(0, slash)) + "/blcr-keeper";
    if (isExecutable(path)) return path;
  }
  return {};
}

}  // namespace

int crx_keeper_path(char* buffer, unsigned int length) {
  using blcr::libcr::fail;
  const char* const chosen = ::secure_getenv("BLCR_KEEPER");
  const std::string path = chosen != nullptr && *chosen != '\0' ? chosen : besideLibrary();
  if (path.empty() || !isExecutable(path)) return fail(ENOENT);
  if (buffer == nullptr || path.size() >= length) return fail(ENAMETOOLONG);
  std::memcpy(buffer, path.c_str(), path.size() + 1);
  return static_cast<int>(path.size());
}

int crx_result(const unsigned long* handle, crx_result_t* result) {
  using namespace blcr::libcr;
  if (result == nullptr || result->size < sizeof result->size) return fail(EINVAL);
  const auto record = findRequest(handle);
  if (!record) return fail(record.error().code);
  const auto reply = peekReply(record.value());
  if (reply && !reply.value()) return fail(EAGAIN);
  crx_result_t outcome{};
  if (reply) {
    outcome = reply.value()->as<blcr::wire::Reply>()->result;
  } else {
    outcome.error = reply.error().code;
  }
  const uint32_t size = std::min<uint32_t>(result->size, sizeof outcome);
  std::memset(result, 0, result->size);
  std::memcpy(result, &outcome, size);
  result->size = size;
  return 0;
}

int crx_cancel(const unsigned long* handle) {
  using namespace blcr::libcr;
  const auto record = findRequest(handle);
  if (!record) return fail(record.error().code);
  if (record.value().kind != RequestKind::kCheckpoint) return fail(EINVAL);
  const auto sent = blcr::sendMessage(record.value().fd, blcr::bytesOf(blcr::wire::Cancel()));
  // A keeper that has answered or gone needs no cancelling.
  if (!sent && sent.error().code != EPIPE && sent.error().code != ECONNRESET) return fail(sent.error().code);
  return 0;
}
