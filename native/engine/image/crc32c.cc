#include "image/crc32c.h"

#include <nmmintrin.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace blcr::image {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78u;  // reflected
constexpr size_t kLong = 8192;                 // bytes per stream of the interleaved loop; long enough that joining costs nothing
constexpr size_t kShort = 256;                 // the same for what remains

using ByteTable = std::array<std::array<uint32_t, 256>, 8>;

constexpr ByteTable makeByteTable() {
  ByteTable table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? kPolynomial : 0);
    table[0][byte] = value;
  }
  for (size_t slice = 1; slice < 8; ++slice)
    for (size_t byte = 0; byte < 256; ++byte) table[slice][byte] = (table[slice - 1][byte] >> 8) ^ table[0][table[slice - 1][byte] & 0xff];
  return table;
}

/** a * b modulo the polynomial; bit 31 is the coefficient of x^0. */
constexpr uint32_t multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (uint32_t mask = 0x80000000u; mask != 0; mask >>= 1) {
    if ((a & mask) != 0) product ^= b;
    b = (b >> 1) ^ ((b & 1) != 0 ? kPolynomial : 0);
  }
  return product;
}

/** x^(8 * bytes) modulo the polynomial. */
constexpr uint32_t shiftFactor(size_t bytes) {
  uint32_t result = 0x80000000u;
  uint32_t square = 0x00800000u;  // x^8
  for (; bytes != 0; bytes >>= 1) {
    if ((bytes & 1) != 0) result = multiply(result, square);
    square = multiply(square, square);
  }
  return result;
}

/** Advances a CRC register over a fixed number of zero bytes by four look-ups. */
struct Shift {
  std::array<std::array<uint32_t, 256>, 4> table{};

  constexpr explicit Shift(size_t bytes) {
    const uint32_t factor = shiftFactor(bytes);
    for (uint32_t lane = 0; lane < 4; ++lane)
      for (uint32_t byte = 0; byte < 256; ++byte) table[lane][byte] = multiply(factor, byte << (8 * lane));
  }
  [[nodiscard]] uint32_t operator()(uint32_t crc) const {
    return table[0][crc & 0xff] ^ table[1][crc >> 8 & 0xff] ^ table[2][crc >> 16 & 0xff] ^ table[3][crc >> 24];
  }
};

constexpr ByteTable kByteTable = makeByteTable();

uint64_t load(const unsigned char* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

/** Three independent streams hide the latency (3 cycles) of the instruction. */
__attribute__((target("sse4.2"))) uint32_t interleaved(uint32_t crc, const unsigned char* at, size_t stream, const Shift& shift) {
  uint64_t first = crc, second = 0, third = 0;
  for (const unsigned char* end = at + stream; at < end; at += 8) {
    first = _mm_crc32_u64(first, load(at));
    second = _mm_crc32_u64(second, load(at + stream));
    third = _mm_crc32_u64(third, load(at + 2 * stream));
  }
  return shift(shift(uint32_t(first)) ^ uint32_t(second)) ^ uint32_t(third);
}

__attribute__((target("sse4.2"))) uint32_t hardware(uint32_t crc, const unsigned char* at, size_t length) {
  static const Shift longShift(kLong), shortShift(kShort);
  crc = ~crc;
  for (; length >= 3 * kLong; at += 3 * kLong, length -= 3 * kLong) crc = interleaved(crc, at, kLong, longShift);
  for (; length >= 3 * kShort; at += 3 * kShort, length -= 3 * kShort) crc = interleaved(crc, at, kShort, shortShift);
  uint64_t wide = crc;
  for (; length >= 8; at += 8, length -= 8) wide = _mm_crc32_u64(wide, load(at));
  crc = uint32_t(wide);
  for (; length != 0; ++at, --length) crc = _mm_crc32_u8(crc, *at);
  return ~crc;
}

}  // namespace

uint32_t crc32cPortable(uint32_t crc, const void* data, size_t length) {
  const auto* at = static_cast<const unsigned char*>(data);
  crc = ~crc;
  for (; length >= 8; at += 8, length -= 8) {
    const uint64_t word = load(at) ^ crc;
    crc = 0;
    for (unsigned lane = 0; lane < 8; ++lane) crc ^= kByteTable[7 - lane][word >> (8 * lane) & 0xff];
  }
  for (; length != 0; ++at, --length) crc = (crc >> 8) ^ kByteTable[0][(crc ^ *at) & 0xff];
  return ~crc;
}

uint32_t crc32c(uint32_t crc, const void* data, size_t length) {
  static const bool fast = __builtin_cpu_supports("sse4.2") != 0;
  if (!fast) return crc32cPortable(crc, data, length);
  return hardware(crc, static_cast<const unsigned char*>(data), length);
}

void crc32cShiftTable(size_t bytes, uint32_t (&table)[4][256]) {
  const Shift shift(bytes);
  for (size_t lane = 0; lane < 4; ++lane) std::copy(shift.table[lane].begin(), shift.table[lane].end(), table[lane]);
}

}  // namespace blcr::image
