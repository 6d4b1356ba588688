// SHA-256 of many pieces, two at a time: the processor's SHA instructions have a latency of which a single piece leaves half unused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace blcr::digest {

inline constexpr size_t kSha256Size = 32;

/** Whether this processor has the instructions. */
[[nodiscard]] bool sha256Available();

/**
 * Writes the digests of the pieces to `digests`, one behind the other. Only where sha256Available(). Thread-safe, never fails.
 * Source: FIPS 180-4; Intel SDM, SHA256RNDS2 and its companions.
 */
void sha256(std::span<const std::span<const uint8_t>> pieces, uint8_t* digests);

}  // namespace blcr::digest
