#include "common/request_end.h"

#include <cerrno>

namespace blcr::tools {

namespace {

template <typename Wait, typename ReadLog, typename Reap>
RequestEnd awaitEnd(unsigned long& handle, Wait wait, ReadLog readLog, Reap reap) {
  RequestEnd end;
  int ready = 0;
  do {
    ready = wait(&handle, nullptr);
  } while (ready < 0 && errno == EINTR);
  const int length = ready > 0 ? readLog(&handle, 0, nullptr) : 0;
  if (length > 0) {
    end.log.resize(static_cast<size_t>(length));
    readLog(&handle, static_cast<unsigned>(length), end.log.data());
    end.log.pop_back();  // the terminator
  }
  end.value = ready > 0 ? reap(&handle) : -1;
  end.error = end.value < 0 ? errno : 0;
  return end;
}

}  // namespace

RequestEnd awaitCheckpoint(cr_checkpoint_handle_t& handle) {
  return awaitEnd(handle, cr_wait_checkpoint, cr_log_checkpoint, cr_reap_checkpoint);
}

RequestEnd awaitRestart(cr_restart_handle_t& handle) { return awaitEnd(handle, cr_wait_restart, cr_log_restart, cr_reap_restart); }

}  // namespace blcr::tools
