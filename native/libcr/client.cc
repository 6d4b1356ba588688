// cr_init, cr_status and the three conveniences that checkpoint the caller. Callbacks and critical sections are not part of this library.
#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "base/unique_fd.h"
#include "libcr.h"

namespace {

/** Client ids given out to this thread; 0 = cr_init() has not been called. */
thread_local cr_client_id_t clients = 0;

}  // namespace

cr_client_id_t cr_init(void) { return clients++; }

int cr_status(void) {
  if (clients > 0) return CR_STATE_IDLE;
  errno = CR_ENOINIT;
  return -1;
}

int cr_request_fd(int fd) {
  cr_checkpoint_args_t args;
  cr_initialize_checkpoint_args_t(&args);
  args.cr_scope = CR_SCOPE_PROC;
  args.cr_fd = fd;
  cr_checkpoint_handle_t handle = 0;
  if (cr_request_checkpoint(&args, &handle) != 0) return -errno;
  int result = 0;
  do {
    result = cr_poll_checkpoint(&handle, nullptr);
  } while (result == CR_POLL_CHKPT_ERR_PRE && errno == EINTR);
  return result > 0 || errno == CR_ERESTARTED ? 0 : -errno;
}

int cr_request_file(const char* filename) {
  if (filename == nullptr) return -EINVAL;
  const blcr::UniqueFd file(::open(filename, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0400));
  return file ? cr_request_fd(file.get()) : -errno;
}

int cr_request(void) { return cr_request_file(("context." + std::to_string(::getpid())).c_str()); }
