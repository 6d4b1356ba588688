#include "arguments.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

namespace blcr::libcr {

namespace {

Status checkDescriptor(int fd, int refusedMode) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return Error{EINVAL, "cr_fd is not an open descriptor"};
  if ((flags & O_PATH) != 0 || (flags & O_ACCMODE) == refusedMode) {
    return Error{EBADF, refusedMode == O_RDONLY ? "cr_fd is not open for writing" : "cr_fd is not open for reading"};
  }
  struct stat status{};
  if (::fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) return Error{EISDIR, "cr_fd is a directory"};
  return {};
}

bool validSignal(int number) { return number >= 0 && number < NSIG; }

template <typename Options>
Result<Options> complete(const Options* given, Options options) {
  if (given == nullptr) return options;
  if (given->size < sizeof given->size) return Error{EINVAL, "options without their size"};
  const auto* bytes = reinterpret_cast<const char*>(given);
  std::memcpy(&options, given, std::min<size_t>(given->size, sizeof options));
  for (size_t at = sizeof options; at < given->size; ++at) {
    if (bytes[at] != 0) return Error{E2BIG, "options of a newer build"};
  }
  options.size = sizeof options;
  return options;
}

}  // namespace

Status checkArguments(const cr_checkpoint_args_t& args) {
  if (args.cr_version != CR_CHECKPOINT_ARGS_VERSION) return Error{EINVAL, "unknown version of cr_checkpoint_args_t"};
  if (args.cr_scope > CR_SCOPE_TREE) return Error{EINVAL, "unknown scope"};
  if (!validSignal(args.cr_signal)) return Error{EINVAL, "no such signal"};
  return args.cr_fd == CR_DEST_CWD ? Status() : checkDescriptor(args.cr_fd, O_RDONLY);
}

Status checkArguments(const cr_restart_args_t& args) {
  if (args.cr_version != CR_RESTART_ARGS_VERSION) return Error{EINVAL, "unknown version of cr_restart_args_t"};
  if (!validSignal(args.cr_signal)) return Error{EINVAL, "no such signal"};
  if (args.cr_relocate != nullptr && args.cr_relocate->count > CR_MAX_RSTRT_RELOC) return Error{EINVAL, "too many relocations"};
  return checkDescriptor(args.cr_fd, O_WRONLY);
}

Result<crx_checkpoint_options_t> completeOptions(const crx_checkpoint_options_t* options) {
  crx_checkpoint_options_t defaults{};
  defaults.size = sizeof defaults;
  defaults.checksum = 1;
  defaults.pipes = options == nullptr ? CRX_PIPES_REPLACE : CRX_PIPES_REFUSE;
  return complete(options, defaults);
}

Result<crx_restart_options_t> completeOptions(const crx_restart_options_t* options) {
  crx_restart_options_t defaults{};
  defaults.size = sizeof defaults;
  defaults.lifeline_fd = -1;
  std::fill(std::begin(defaults.stdio_fd), std::end(defaults.stdio_fd), -1);
  return complete(options, defaults);
}

}  // namespace blcr::libcr

int cri_init_checkpoint_args_t(cr_version_t version, cr_checkpoint_args_t* args) {
  if (version != CR_CHECKPOINT_ARGS_VERSION || args == nullptr) {
    errno = EINVAL;
    return -1;
  }
  *args = cr_checkpoint_args_t{};
  args->cr_version = CR_CHECKPOINT_ARGS_VERSION;
  args->cr_scope = static_cast<cr_scope_t>(-1);  // must be chosen
  args->cr_fd = -1;
  return 0;
}

int cri_init_restart_args_t(cr_version_t version, cr_restart_args_t* args) {
  if (version != CR_RESTART_ARGS_VERSION || args == nullptr) {
    errno = EINVAL;
    return -1;
  }
  *args = cr_restart_args_t{};
  args->cr_version = CR_RESTART_ARGS_VERSION;
  args->cr_fd = -1;
  args->cr_flags = CR_RSTRT_RESTORE_PID;
  return 0;
}
