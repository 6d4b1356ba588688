#include <cerrno>
#include <vector>

#include "addon.h"
#include "convert.h"
#include "errors.h"
#include "request.h"

namespace node_blcr {
namespace {

/** crx_restart_options_t with the bind map it points to. */
class RestartOptions {
 public:
  explicit RestartOptions(Reader& reader) : binds_(reader.Pairs("binds")) {
    options_.size = sizeof(options_);
    options_.files = reader.Number<uint32_t>("files");
    options_.lifeline_fd = reader.Number<int32_t>("lifelineFd");
    options_.answers = reader.Number<uint32_t>("answers");
    options_.binds = binds_.get();
    const std::vector<int> stdio = reader.Integers("stdioFds", 3);
    for (size_t i = 0; i < stdio.size(); i++) options_.stdio_fd[i] = stdio[i];
  }
  RestartOptions(const RestartOptions&) = delete;
  RestartOptions& operator=(const RestartOptions&) = delete;

  const crx_restart_options_t* get() const { return &options_; }

 private:
  crx_restart_options_t options_ = {};
  RelocationMap binds_;
};

}  // namespace

Napi::Value RequestRestart(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto library = RequireLibrary(env);
  if (library == nullptr) return {};
  Reader reader(info[0]);
  cr_restart_args_t args = {};
  if (library->cri_init_restart_args_t(CR_RESTART_ARGS_VERSION, &args) < 0) {
    return ThrowSystemError(env, errno, "cr_initialize_restart_args_t");
  }
  args.cr_fd = reader.Number<int>("fd");
  args.cr_signal = reader.Number<int>("signal");
  args.cr_flags = reader.Number<unsigned int>("flags");
  const RelocationMap relocations(reader.Pairs("relocate"));
  args.cr_relocate = relocations.get();
  const Napi::Value extension = reader.Optional("extension");
  cr_restart_handle_t handle = static_cast<cr_restart_handle_t>(-1);
  const char* call = "cr_request_restart";
  int result = -1;
  if (extension.IsUndefined()) {
    if (reader.Failed()) return reader.Throw();
    result = library->cr_request_restart(&args, &handle);
  } else {
    call = "crx_request_restart";
    Reader members(extension);
    const RestartOptions options(members);
    if (reader.Failed() || members.Failed()) return reader.Failed() ? reader.Throw() : members.Throw();
    if (!library->HasExtensions()) return ThrowSystemError(env, ENOSYS, call, library->path + " has no extensions");
    result = library->crx_request_restart(&args, options.get(), &handle);
  }
  const int error = errno;
  if (result < 0) return ThrowSystemError(env, error, call, library->Describe(error));
  return WrapRequest(env, Request::Kind::kRestart, library, handle);
}

}  // namespace node_blcr
