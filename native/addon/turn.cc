// One checkpoint of this process by itself at a time, whichever thread asks for it.
#include <atomic>

#include "addon.h"

namespace node_blcr {
namespace {

/** The environment whose turn it is. Static: all threads of the process share it, as they share its checkpoints. */
std::atomic<const Addon*> turn{nullptr};

void Release(const Addon* addon) { turn.compare_exchange_strong(addon, nullptr); }

}  // namespace

Addon::~Addon() { Release(this); }  // a worker may be terminated in the middle

Napi::Value TakeTurn(const Napi::CallbackInfo& info) {
  const Addon* nobody = nullptr;
  return Napi::Boolean::New(info.Env(), turn.compare_exchange_strong(nobody, info.Env().GetInstanceData<Addon>()));
}

Napi::Value EndTurn(const Napi::CallbackInfo& info) {
  Release(info.Env().GetInstanceData<Addon>());
  return info.Env().Undefined();
}

}  // namespace node_blcr
