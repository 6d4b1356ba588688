// SHA-256, for the identity of files that have no build-id.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace blcr::image {

/** Streaming SHA-256. Source: FIPS 180-4. */
class Sha256 {
 public:
  void update(std::span<const std::byte> data);
  /** Digest as 64 lower-case hex digits; the object is used up. */
  [[nodiscard]] std::string hex();

 private:
  void block(const std::byte* at);
  std::array<uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, 64> pending_{};
  uint64_t length_ = 0;
};

}  // namespace blcr::image
