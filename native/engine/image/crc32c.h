// CRC32C (Castagnoli polynomial 0x1EDC6F41, reflected), the checksum of every frame.
#pragma once

#include <cstddef>
#include <cstdint>

namespace blcr::image {

/**
 * CRC32C of `length` bytes, continuing from `crc`, the result of an earlier call (0 to begin): crc32c(crc32c(0, a), b) is that of a then b.
 * Uses the SSE4.2 instruction with three interleaved streams where the CPU has it, tables otherwise. Thread-safe, never fails.
 * Source: RFC 3720 B.4 (test vectors), Intel SDM CRC32.
 */
[[nodiscard]] uint32_t crc32c(uint32_t crc, const void* data, size_t length);

/** The table-driven implementation, the fall-back of crc32c and its reference in the tests. */
[[nodiscard]] uint32_t crc32cPortable(uint32_t crc, const void* data, size_t length);

/** Four tables of 256 entries: a register value's way over `bytes` zero bytes is the exclusive or of its four bytes' entries. */
void crc32cShiftTable(size_t bytes, uint32_t (&table)[4][256]);

}  // namespace blcr::image
