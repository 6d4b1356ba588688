#include "library.h"

#include <dlfcn.h>

#include <climits>
#include <vector>

namespace node_blcr {
namespace {

template <typename Function>
bool Resolve(void* object, const char* name, Function* into) {
  *into = reinterpret_cast<Function>(dlsym(object, name));
  return *into != nullptr;
}

/** Empty when the table is complete, else what is missing. */
std::string Fill(void* object, Library* library) {
#define REQUIRED(name) \
  if (!Resolve(object, #name, &library->name)) return "is not a libcr: it does not export " #name;
  NODE_BLCR_BOUND(REQUIRED)
#undef REQUIRED
  if (!Resolve(object, "crx_abi_version", &library->crx_abi_version)) return {};
#define EXTENSION(name) \
  if (!Resolve(object, #name, &library->name)) return "has crx_abi_version but does not export " #name;
  NODE_BLCR_EXTENSIONS(EXTENSION)
#undef EXTENSION
  const unsigned int version = library->crx_abi_version();
  if (version < CRX_ABI_VERSION) return "has the older extension ABI " + std::to_string(version);
  return {};
}

}  // namespace

std::string Library::Describe(int error) const {
  const char* words = cr_strerror(error);
  return words == nullptr ? "" : words;
}

std::string Library::KeeperPath() const {
  if (!HasExtensions()) return {};
  std::vector<char> buffer(PATH_MAX);
  const int length = crx_keeper_path(buffer.data(), static_cast<unsigned int>(buffer.size()));
  return length < 0 ? std::string() : std::string(buffer.data());
}

std::shared_ptr<const Library> OpenLibrary(const std::string& path, std::string* reason) {
  void* object = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (object == nullptr) {
    const char* words = dlerror();
    *reason = words == nullptr ? "dlopen failed" : words;
    return nullptr;
  }
  auto library = std::make_shared<Library>();
  library->path = path;
  *reason = Fill(object, library.get());
  if (reason->empty()) return library;
  dlclose(object);
  return nullptr;
}

}  // namespace node_blcr
