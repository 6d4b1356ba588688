#include "image/crc32c.h"

#include <random>
#include <string>

#include "check.h"

using blcr::image::crc32c;
using blcr::image::crc32cPortable;

namespace {

std::string randomBytes(size_t length, unsigned seed) {
  std::mt19937 generator(seed);
  std::string bytes(length, '\0');
  for (char& byte : bytes) byte = char(generator());
  return bytes;
}

}  // namespace

// Source: RFC 3720, appendix B.4.
TEST(knownVectors) {
  std::string rising(32, '\0'), falling(32, '\0');
  for (size_t at = 0; at < 32; ++at) {
    rising[at] = char(at);
    falling[at] = char(31 - at);
  }
  const struct {
    std::string input;
    uint32_t expected;
  } vectors[] = {{std::string(32, '\0'), 0x8a9136aa},
                 {std::string(32, '\xff'), 0x62a8ab43},
                 {rising, 0x46dd794e},
                 {falling, 0x113fdb5c},
                 {"123456789", 0xe3069283},
                 {"", 0}};
  for (const auto& vector : vectors) {
    CHECK(crc32c(0, vector.input.data(), vector.input.size()) == vector.expected);
    CHECK(crc32cPortable(0, vector.input.data(), vector.input.size()) == vector.expected);
  }
}

TEST(hardwareEqualsTablesAtEveryLengthAndAlignment) {
  const std::string bytes = randomBytes(200000, 1);
  for (size_t length : {0ul, 1ul, 7ul, 8ul, 9ul, 767ul, 768ul, 769ul, 24575ul, 24576ul, 24577ul, 25344ul, 100003ul, 190000ul})
    for (size_t start = 0; start < 9; ++start)
      CHECK(crc32c(0, bytes.data() + start, length) == crc32cPortable(0, bytes.data() + start, length));
  for (size_t length = 0; length < 2000; ++length) CHECK(crc32c(7, bytes.data(), length) == crc32cPortable(7, bytes.data(), length));
}

TEST(continuesWhereverItIsCut) {
  const std::string bytes = randomBytes(60000, 2);
  const uint32_t whole = crc32c(0, bytes.data(), bytes.size());
  for (size_t cut = 0; cut <= bytes.size(); cut += 997)
    CHECK(crc32c(crc32c(0, bytes.data(), cut), bytes.data() + cut, bytes.size() - cut) == whole);
}

CHECK_MAIN
