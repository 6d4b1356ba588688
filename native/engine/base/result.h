// Result<T>: a value or an Error. The engine uses no exceptions; every fallible call returns one of these.
#pragma once

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

namespace blcr {

/** What went wrong. `code` is an errno value or one of codes.h; `detail` names the process, descriptor or path concerned, for the
 * request's log. */
struct Error {
  int code = EIO;
  std::string detail;
};

/** An Error of the current errno: "what: strerror". */
inline Error systemError(std::string what) {
  const int code = errno;
  return Error{code, std::move(what) + ": " + std::strerror(code)};
}

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Error error) : error_(std::move(error)) {}

  [[nodiscard]] bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] T& value() & { return *value_; }
  [[nodiscard]] const T& value() const& { return *value_; }
  [[nodiscard]] T&& value() && { return *std::move(value_); }
  [[nodiscard]] const Error& error() const { return error_; }
  T& operator*() & { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }

 private:
  std::optional<T> value_;
  Error error_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : failed_(true), error_(std::move(error)) {}
  [[nodiscard]] bool ok() const { return !failed_; }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] const Error& error() const { return error_; }

 private:
  bool failed_ = false;
  Error error_;
};

using Status = Result<void>;

}  // namespace blcr

/** Returns the error of `expression` from the enclosing function when it failed. The only macro of the engine: C++20 has no other early
 * return. */
#define BLCR_TRY(expression)                                     \
  do {                                                           \
    if (auto tried = (expression); !tried) return tried.error(); \
  } while (false)
