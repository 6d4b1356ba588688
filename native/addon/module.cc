// The addon's exports: exactly the interface NativeBinding of lib/native/binding.ts.
#include <cerrno>
#include <string>

#include "addon.h"
#include "errors.h"

namespace node_blcr {
namespace {

Napi::Object Describe(Napi::Env env, const Library& library) {
  Napi::Object object = Napi::Object::New(env);
  const std::string keeper = library.KeeperPath();
  object.Set("path", library.path);
  object.Set("kind", library.HasExtensions() ? "userspace" : "blcr");
  object.Set("extensions", Napi::Number::New(env, library.HasExtensions() ? library.crx_abi_version() : 0));
  object.Set("keeper", keeper.empty() ? env.Undefined() : Napi::String::New(env, keeper));
  return object;
}

Napi::Value NotFound(Napi::Env env, const Napi::Array& tried) {
  Napi::Error error = Napi::Error::New(env, "no libcr could be loaded");
  error.Set("code", "ERR_LIBCR_NOT_FOUND");
  error.Set("tried", tried);
  error.ThrowAsJavaScriptException();
  return {};
}

Napi::Value OpenLibraryOf(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Addon* addon = env.GetInstanceData<Addon>();
  if (addon->library != nullptr) return Describe(env, *addon->library);
  if (!info[0].IsArray()) {
    Napi::TypeError::New(env, "the first argument must be an array of paths").ThrowAsJavaScriptException();
    return {};
  }
  const Napi::Array candidates = info[0].As<Napi::Array>();
  Napi::Array tried = Napi::Array::New(env);
  for (uint32_t i = 0; i < candidates.Length(); i++) {
    const std::string path = candidates.Get(i).ToString().Utf8Value();
    std::string reason;
    addon->library = OpenLibrary(path, &reason);
    if (addon->library != nullptr) return Describe(env, *addon->library);
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("path", path);
    entry.Set("reason", reason);
    tried.Set(i, entry);
  }
  return NotFound(env, tried);
}

Napi::Value InitThread(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto library = RequireLibrary(env);
  if (library == nullptr) return {};
  const int id = static_cast<int>(library->cr_init());
  const int error = errno;
  if (id < 0) return ThrowSystemError(env, error, "cr_init", library->Describe(error));
  return Napi::Number::New(env, id);
}

Napi::Value StrError(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto library = RequireLibrary(env);
  if (library == nullptr) return {};
  if (!info[0].IsNumber()) {
    Napi::TypeError::New(env, "the first argument must be a number").ThrowAsJavaScriptException();
    return {};
  }
  return Napi::String::New(env, library->Describe(info[0].As<Napi::Number>().Int32Value()));
}

Napi::Object Initialise(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Addon());
  const auto bind = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  bind("openLibrary", OpenLibraryOf);
  bind("init", InitThread);
  bind("requestCheckpoint", RequestCheckpoint);
  bind("requestRestart", RequestRestart);
  bind("requestStore", RequestStore);
  bind("waitReadable", WaitRequest);
  bind("cancel", CancelRequest);
  bind("pollCheckpoint", PollCheckpoint);
  bind("readLog", ReadLog);
  bind("result", RequestResult);
  bind("reap", ReapRequest);
  bind("closeHandle", CloseHandle);
  bind("strerror", StrError);
  bind("createPipe", CreatePipe);
  bind("createSocketPair", CreateSocketPair);
  bind("makeFifo", MakeFifo);
  bind("takeTurn", TakeTurn);
  bind("endTurn", EndTurn);
  bind("trimMemory", TrimMemory);
  bind("waitChild", WaitChild);
  bind("sha256", Sha256);
  return exports;
}

}  // namespace

std::shared_ptr<const Library> RequireLibrary(Napi::Env env) {
  const Addon* addon = env.GetInstanceData<Addon>();
  if (addon->library == nullptr) ThrowSystemError(env, ENOSYS, "openLibrary", "no libcr has been opened in this thread");
  return addon->library;
}

}  // namespace node_blcr

static Napi::Object Initialise(Napi::Env env, Napi::Object exports) { return node_blcr::Initialise(env, exports); }
NODE_API_MODULE(node_blcr, Initialise)
