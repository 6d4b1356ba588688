#include "mutate.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace fuzz {
namespace {

/** Numbers at which arithmetic goes wrong. */
constexpr std::array<uint64_t, 14> kEdges = {0,          1,          0x7f,       0xff,        0x1000,    0x7fff,     0xffff,
                                             0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, INT64_MAX, 1ULL << 63, UINT64_MAX};
constexpr std::string_view kText = "0123456789abcdef -:\n\t/[]\\x";

size_t below(size_t limit, std::mt19937_64& random) { return limit == 0 ? 0 : size_t(random() % limit); }

void overwrite(std::string& input, const void* bytes, size_t size, std::mt19937_64& random) {
  if (input.size() >= size) std::memcpy(input.data() + below(input.size() - size + 1, random), bytes, size);
}

void flipBit(std::string& input, std::mt19937_64& random) {
  if (!input.empty()) input[below(input.size(), random)] ^= char(1 << below(8, random));
}

void setCharacter(std::string& input, std::mt19937_64& random) {
  const char byte = random() % 2 == 0 ? kText[below(kText.size(), random)] : char(random());
  overwrite(input, &byte, 1, random);
}

void setNumber(std::string& input, std::mt19937_64& random) {
  const uint64_t number = kEdges[below(kEdges.size(), random)] + random() % 3 - 1;
  overwrite(input, &number, size_t{1} << below(4, random), random);
}

void nudgeNumber(std::string& input, std::mt19937_64& random) {
  if (input.size() < 4) return;
  const size_t at = below(input.size() - 3, random);
  uint32_t number = 0;
  std::memcpy(&number, input.data() + at, sizeof number);
  number += uint32_t(random() % 33) - 16;
  std::memcpy(input.data() + at, &number, sizeof number);
}

void erasePiece(std::string& input, std::mt19937_64& random) {
  if (input.empty()) return;
  const size_t at = below(input.size(), random);
  input.erase(at, 1 + below(random() % 4 == 0 ? input.size() - at : 16, random));
}

void insertPiece(std::string& input, const std::string& from, std::mt19937_64& random) {
  if (from.empty() || input.size() >= kMaxInput) return;
  const size_t start = below(from.size(), random);
  const std::string piece = from.substr(start, 1 + below(64, random));
  input.insert(below(input.size() + 1, random), piece);
}

void writeDigits(std::string& input, std::mt19937_64& random) {
  const std::string digits = std::to_string(kEdges[below(kEdges.size(), random)]);
  input.insert(below(input.size() + 1, random), digits);
}

}  // namespace

void mutate(std::string& input, const std::string& other, std::mt19937_64& random) {
  for (size_t change = 1 + below(8, random); change > 0; --change) {
    switch (below(9, random)) {
      case 0:
        flipBit(input, random);
        break;
      case 1:
        setCharacter(input, random);
        break;
      case 2:
        setNumber(input, random);
        break;
      case 3:
        nudgeNumber(input, random);
        break;
      case 4:
        erasePiece(input, random);
        break;
      case 5:
        insertPiece(input, std::string(input), random);
        break;
      case 6:
        insertPiece(input, other, random);
        break;
      case 7:
        writeDigits(input, random);
        break;
      default:
        input.resize(below(input.size() + 1, random));
        break;
    }
  }
  if (input.size() > kMaxInput) input.resize(kMaxInput);
}

}  // namespace fuzz
