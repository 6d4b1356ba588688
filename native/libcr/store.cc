// crx_request_store: a program's wish that its job be checkpointed into its store now.
#include <unistd.h>

#include "completion.h"
#include "handles.h"
#include "protocol/find_keeper.h"

namespace blcr::libcr {

namespace {

Result<unsigned long> submit() {
  pid_t nearest = 0;
  auto keeper = connectKeeper(::getpid(), nearest);
  if (!keeper) return keeper.error();
  if (!*keeper) return Error{ENOTCONN, "this program was not started under a keeper"};
  wire::StoreRequest request;
  request.handleInode = socketInode(keeper->get());
  BLCR_TRY(sendMessage(keeper->get(), bytesOf(request)));
  return rememberRequest(*std::move(keeper), request.handleInode, RequestKind::kCheckpoint, 0, 0);
}

}  // namespace

}  // namespace blcr::libcr

int crx_request_store(cr_checkpoint_handle_t* handle) {
  using namespace blcr::libcr;
  if (handle == nullptr) return fail(EINVAL);
  const auto submitted = submit();
  if (!submitted) return fail(submitted.error().code);
  *handle = submitted.value();
  return 0;
}
