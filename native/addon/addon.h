// What one environment (main thread or worker) has loaded, and the functions that module.cc exports to it.
#pragma once

#include <napi.h>

#include <memory>

#include "library.h"

namespace node_blcr {

struct Addon {
  Addon() = default;
  Addon(const Addon&) = delete;
  Addon& operator=(const Addon&) = delete;
  ~Addon();
  std::shared_ptr<const Library> library;
};

/** The library of this environment; null and a pending exception when openLibrary has not succeeded. */
std::shared_ptr<const Library> RequireLibrary(Napi::Env env);

Napi::Value RequestCheckpoint(const Napi::CallbackInfo& info);
Napi::Value RequestRestart(const Napi::CallbackInfo& info);
Napi::Value RequestStore(const Napi::CallbackInfo& info);
Napi::Value WaitRequest(const Napi::CallbackInfo& info);
Napi::Value CancelRequest(const Napi::CallbackInfo& info);
Napi::Value PollCheckpoint(const Napi::CallbackInfo& info);
Napi::Value ReadLog(const Napi::CallbackInfo& info);
Napi::Value RequestResult(const Napi::CallbackInfo& info);
Napi::Value ReapRequest(const Napi::CallbackInfo& info);
Napi::Value CloseHandle(const Napi::CallbackInfo& info);
Napi::Value CreatePipe(const Napi::CallbackInfo& info);
Napi::Value TakeTurn(const Napi::CallbackInfo& info);
Napi::Value EndTurn(const Napi::CallbackInfo& info);
Napi::Value TrimMemory(const Napi::CallbackInfo& info);
Napi::Value CreateSocketPair(const Napi::CallbackInfo& info);
Napi::Value MakeFifo(const Napi::CallbackInfo& info);
Napi::Value WaitChild(const Napi::CallbackInfo& info);
Napi::Value Sha256(const Napi::CallbackInfo& info);

}  // namespace node_blcr
