#include <cerrno>
#include <string>
#include <vector>

#include "addon.h"
#include "convert.h"
#include "errors.h"
#include "request.h"

namespace node_blcr {
namespace {

/** crx_checkpoint_options_t with the strings it points to. */
class CheckpointOptions {
 public:
  explicit CheckpointOptions(Reader& reader) {
    options_.size = sizeof(options_);
    options_.snapshot = reader.Number<uint32_t>("snapshot");
    options_.memory_budget = reader.Number<uint64_t>("memoryBudget");
    options_.checksum = reader.Number<uint32_t>("checksum");
    options_.tcp = reader.Number<uint32_t>("tcp");
    options_.unix_sockets = reader.Number<uint32_t>("unixSockets");
    options_.capture_root = Text(reader, "captureRoot", &root_);
    options_.capture_into = Text(reader, "captureInto", &into_);
    options_.capture_baseline = Text(reader, "captureBaseline", &baseline_);
    extra_ = reader.Strings("captureExtra");
    for (const std::string& path : extra_) pointers_.push_back(path.c_str());
    options_.capture_extra = pointers_.empty() ? nullptr : pointers_.data();
    options_.capture_extra_count = static_cast<uint32_t>(pointers_.size());
  }
  CheckpointOptions(const CheckpointOptions&) = delete;
  CheckpointOptions& operator=(const CheckpointOptions&) = delete;

  const crx_checkpoint_options_t* get() const { return &options_; }

 private:
  static const char* Text(Reader& reader, const char* name, std::string* store) {
    bool present = false;
    *store = reader.OptionalString(name, &present);
    return present ? store->c_str() : nullptr;
  }

  crx_checkpoint_options_t options_ = {};
  std::string root_, into_, baseline_;
  std::vector<std::string> extra_;
  std::vector<const char*> pointers_;
};

}  // namespace

Napi::Value RequestCheckpoint(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto library = RequireLibrary(env);
  if (library == nullptr) return {};
  Reader reader(info[0]);
  cr_checkpoint_args_t args = {};
  if (library->cri_init_checkpoint_args_t(CR_CHECKPOINT_ARGS_VERSION, &args) < 0) {
    return ThrowSystemError(env, errno, "cr_initialize_checkpoint_args_t");
  }
  args.cr_scope = reader.Number<cr_scope_t>("scope");
  args.cr_target = reader.Number<pid_t>("target");
  args.cr_fd = reader.Number<int>("fd");
  args.cr_signal = reader.Number<int>("signal");
  args.cr_timeout = reader.Number<unsigned int>("timeoutSeconds");
  args.cr_flags = reader.Number<unsigned int>("flags");
  const Napi::Value extension = reader.Optional("extension");
  cr_checkpoint_handle_t handle = static_cast<cr_checkpoint_handle_t>(-1);
  const char* call = "cr_request_checkpoint";
  int result = -1;
  if (extension.IsUndefined()) {
    if (reader.Failed()) return reader.Throw();
    result = library->cr_request_checkpoint(&args, &handle);
  } else {
    call = "crx_request_checkpoint";
    Reader members(extension);
    const CheckpointOptions options(members);
    if (reader.Failed() || members.Failed()) return reader.Failed() ? reader.Throw() : members.Throw();
    if (!library->HasExtensions()) return ThrowSystemError(env, ENOSYS, call, library->path + " has no extensions");
    result = library->crx_request_checkpoint(&args, options.get(), &handle);
  }
  const int error = errno;
  if (result < 0) return ThrowSystemError(env, error, call, library->Describe(error));
  return WrapRequest(env, Request::Kind::kCheckpoint, library, handle);
}

Napi::Value RequestStore(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto library = RequireLibrary(env);
  if (library == nullptr) return {};
  if (!library->HasExtensions()) return ThrowSystemError(env, ENOSYS, "crx_request_store", library->path + " has no extensions");
  cr_checkpoint_handle_t handle = static_cast<cr_checkpoint_handle_t>(-1);
  const int result = library->crx_request_store(&handle);
  const int error = errno;
  if (result < 0) return ThrowSystemError(env, error, "crx_request_store", library->Describe(error));
  return WrapRequest(env, Request::Kind::kCheckpoint, library, handle);
}

}  // namespace node_blcr
