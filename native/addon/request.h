// A pending request of libcr as JavaScript holds it.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>
#include <utility>

#include "fd_watch.h"
#include "library.h"

namespace node_blcr {

/** Owns libcr's handle, which is a descriptor. Shared by the JavaScript object and a wait, so that the descriptor outlives its wait. */
class Request {
 public:
  enum class Kind { kCheckpoint, kRestart };

  Request(Kind kind, std::shared_ptr<const Library> library, unsigned long handle)
      : kind_(kind), library_(std::move(library)), handle_(handle) {}
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;
  ~Request() { Abandon(); }

  Kind kind() const { return kind_; }
  const Library& library() const { return *library_; }
  unsigned long* handle() { return &handle_; }
  int fd() const { return static_cast<int>(handle_); }
  bool IsOpen() const { return fd() >= 0; }

  bool IsWaiting() const { return waiter_.has_value(); }
  void BeginWait(const std::shared_ptr<LoopWait>& wait, Napi::Promise::Deferred waiter) { wait_ = wait, waiter_ = waiter; }
  /** Ends a wait that may be under way; returns its promise for the caller to settle. */
  std::optional<Napi::Promise::Deferred> EndWait();
  /** Closes the descriptor without reaping: the request itself goes on and nobody learns how it ends. */
  void Abandon();

 private:
  Kind kind_;
  std::shared_ptr<const Library> library_;
  unsigned long handle_;
  std::weak_ptr<LoopWait> wait_;
  std::optional<Napi::Promise::Deferred> waiter_;
};

/** Wraps libcr's new handle in a type-tagged external. */
Napi::Value WrapRequest(Napi::Env env, Request::Kind kind, std::shared_ptr<const Library> library, unsigned long handle);

}  // namespace node_blcr
