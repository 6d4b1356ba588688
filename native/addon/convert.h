// Reading plain values out of JavaScript objects. Meaning is checked in TypeScript; here only types are.
#pragma once

#include <libcr.h>
#include <napi.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace node_blcr {

/** Reads members of an object and remembers the first that has the wrong type; Throw() then raises a TypeError that names it. */
class Reader {
 public:
  explicit Reader(Napi::Value value) : env_(value.Env()) {
    if (value.IsObject()) {
      object_ = value.As<Napi::Object>();
    } else {
      Fail("argument", "an object");
    }
  }

  template <typename Integer>
  Integer Number(const char* name) {
    const Napi::Value value = Get(name);
    if (value.IsEmpty() || !value.IsNumber()) return Fail(name, "a number"), Integer{};
    const double number = value.As<Napi::Number>().DoubleValue();
    constexpr double kLow = static_cast<double>(std::numeric_limits<Integer>::min());
    constexpr double kHigh = static_cast<double>(std::numeric_limits<Integer>::max());
    if (std::isnan(number) || number < kLow || number > kHigh || (sizeof(Integer) == 8 && number >= kHigh)) {
      return Fail(name, "a number of its C type's range"), Integer{};
    }
    return static_cast<Integer>(number);
  }

  /** `*present` is false for undefined. */
  std::string OptionalString(const char* name, bool* present) {
    const Napi::Value value = Get(name);
    *present = !value.IsEmpty() && !value.IsUndefined();
    return *present ? Text(value, name) : std::string();
  }

  std::vector<std::string> Strings(const char* name) {
    std::vector<std::string> strings;
    const Napi::Array array = List(name);
    if (array.IsEmpty()) return strings;
    for (uint32_t i = 0; i < array.Length(); i++) strings.push_back(Text(array.Get(i), name));
    return strings;
  }

  std::vector<int> Integers(const char* name, uint32_t count) {
    std::vector<int> numbers;
    const Napi::Array array = List(name);
    if (array.IsEmpty() || array.Length() != count) return Fail(name, "an array of that many numbers"), numbers;
    for (uint32_t i = 0; i < count; i++) {
      const Napi::Value value = array.Get(i);
      if (!value.IsNumber()) return Fail(name, "an array of numbers"), numbers;
      numbers.push_back(value.As<Napi::Number>().Int32Value());
    }
    return numbers;
  }

  /** Flattened: from, to, from, to, … */
  std::vector<std::string> Pairs(const char* name) {
    std::vector<std::string> strings;
    const Napi::Array array = List(name);
    if (array.IsEmpty()) return strings;
    for (uint32_t i = 0; i < array.Length(); i++) {
      const Napi::Value pair = array.Get(i);
      if (!pair.IsArray() || pair.As<Napi::Array>().Length() != 2) return Fail(name, "an array of pairs"), strings;
      for (uint32_t side = 0; side < 2; side++) strings.push_back(Text(pair.As<Napi::Array>().Get(side), name));
    }
    return strings;
  }

  /** The member object, or an undefined value. */
  Napi::Value Optional(const char* name) {
    const Napi::Value value = Get(name);
    return value.IsEmpty() ? env_.Undefined() : value;
  }

  bool Failed() const { return !problem_.empty(); }
  Napi::Value Throw() const {
    if (!env_.IsExceptionPending()) Napi::TypeError::New(env_, problem_).ThrowAsJavaScriptException();
    return {};
  }

 private:
  Napi::Value Get(const char* name) { return object_.IsEmpty() ? Napi::Value() : object_.Get(name); }

  Napi::Array List(const char* name) {
    const Napi::Value value = Get(name);
    if (!value.IsEmpty() && value.IsArray()) return value.As<Napi::Array>();
    Fail(name, "an array");
    return {};
  }

  /** A NUL inside would silently cut a path short at the C ABI. */
  std::string Text(const Napi::Value& value, const char* name) {
    if (!value.IsString()) return Fail(name, "a string"), std::string();
    std::string text = value.As<Napi::String>().Utf8Value();
    if (text.find('\0') != std::string::npos) Fail(name, "free of NUL characters");
    return text;
  }

  void Fail(const char* name, const char* expected) {
    if (problem_.empty()) problem_ = std::string(name) + " must be " + expected;
  }

  Napi::Env env_;
  Napi::Object object_;
  std::string problem_;
};

/** A cr_rstrt_relocate over strings that must outlive it. */
class RelocationMap {
 public:
  explicit RelocationMap(std::vector<std::string> flat) : strings_(std::move(flat)) {
    const size_t count = strings_.size() / 2;
    if (count == 0) return;
    map_.reset(static_cast<cr_rstrt_relocate*>(std::calloc(1, CR_RSTRT_RELOCATE_SIZE(count))));
    if (map_ == nullptr) std::abort();
    map_->count = static_cast<unsigned int>(count);
    for (size_t i = 0; i < count; i++) map_->path[i] = {strings_[2 * i].data(), strings_[2 * i + 1].data()};
  }
  RelocationMap(const RelocationMap&) = delete;
  RelocationMap& operator=(const RelocationMap&) = delete;

  /** Null when there is nothing to relocate. */
  cr_rstrt_relocate* get() const { return map_.get(); }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::vector<std::string> strings_;
  std::unique_ptr<cr_rstrt_relocate, Free> map_;
};

}  // namespace node_blcr
