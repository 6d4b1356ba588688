#include "restore/tasks/call_all.h"

#include <algorithm>

namespace blcr {
namespace {

/** Below, making and removing the mapping costs more than it saves. */
constexpr size_t kFew = 12;

}  // namespace

Status callAll(Stub& stub, std::vector<RemoteCall>& calls) {
  if (calls.size() < kFew) {
    for (RemoteCall& call : calls) {
      const auto result = stub.attempt(call.number, call.arguments);
      if (!result.ok()) return result.error();
      call.result = result.value();
    }
    return {};
  }
  auto scope = InjectionScope::enter(stub.tracee(), stub.instruction());
  if (!scope.ok()) return scope.error();
  auto scratch = Scratch::create(scope.value(), stub.tid());
  if (!scratch.ok()) return scratch.error();
  for (size_t first = 0; first < calls.size(); first += Scratch::kMaxCalls) {
    const auto part = std::span(calls).subspan(first, std::min(Scratch::kMaxCalls, calls.size() - first));
    BLCR_TRY(scratch.value().run(scope.value(), part));
  }
  BLCR_TRY(scratch.value().remove());
  return scope.value().restore();
}

}  // namespace blcr
