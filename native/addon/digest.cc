#include <cstdint>
#include <optional>
#include <vector>

#include "addon.h"
#include "digest/sha256.h"

namespace node_blcr {
namespace {

struct Bytes {
  uint8_t* data;
  size_t length;
};

/** Of a typed array of one kind, which may be over memory that threads share: napi.h's classes are not for that. */
std::optional<Bytes> BytesOf(Napi::Env env, Napi::Value value, napi_typedarray_type kind, size_t width) {
  if (!value.IsTypedArray()) return std::nullopt;
  napi_typedarray_type found{};
  size_t count = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, value, &found, &count, &data, nullptr, nullptr) != napi_ok || found != kind) return std::nullopt;
  return Bytes{static_cast<uint8_t*>(data), count * width};
}

Napi::Value Refuse(Napi::Env env, const char* why) {
  Napi::TypeError::New(env, why).ThrowAsJavaScriptException();
  return {};
}

}  // namespace

Napi::Value Sha256(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto content = BytesOf(env, info[0], napi_uint8_array, 1);
  const auto ranges = BytesOf(env, info[1], napi_uint32_array, sizeof(uint32_t));
  const auto digests = BytesOf(env, info[2], napi_uint8_array, 1);
  if (!content || !ranges || !digests) return Refuse(env, "sha256 takes a Uint8Array, a Uint32Array and a Uint8Array");
  if (!blcr::digest::sha256Available()) return Napi::Boolean::New(env, false);
  const auto* numbers = reinterpret_cast<const uint32_t*>(ranges->data);
  const size_t count = ranges->length / sizeof(uint32_t) / 2;
  if (digests->length < count * blcr::digest::kSha256Size) return Refuse(env, "there is no room for so many digests");
  std::vector<std::span<const uint8_t>> pieces;
  pieces.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const size_t offset = numbers[2 * i], length = numbers[2 * i + 1];
    if (offset > content->length || length > content->length - offset) return Refuse(env, "a range ends behind the content");
    pieces.emplace_back(content->data + offset, length);
  }
  blcr::digest::sha256(pieces, digests->data);
  return Napi::Boolean::New(env, true);
}

}  // namespace node_blcr
