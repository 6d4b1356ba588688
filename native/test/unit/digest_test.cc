#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "check.h"
#include "digest/sha256.h"

namespace {

std::string hex(const uint8_t* digest) {
  std::string text;
  for (size_t i = 0; i < blcr::digest::kSha256Size; ++i) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", digest[i]);
    text += digits;
  }
  return text;
}

std::vector<std::string> digestsOf(const std::vector<std::string>& texts) {
  std::vector<std::span<const uint8_t>> pieces;
  for (const std::string& text : texts) pieces.emplace_back(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  std::vector<uint8_t> digests(texts.size() * blcr::digest::kSha256Size);
  blcr::digest::sha256(pieces, digests.data());
  std::vector<std::string> result;
  for (size_t i = 0; i < texts.size(); ++i) result.push_back(hex(&digests[i * blcr::digest::kSha256Size]));
  return result;
}

// Source: FIPS 180-4 and its example values.
const std::string kTwoBlocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
constexpr std::string_view kOfNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr std::string_view kOfAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr std::string_view kOfTwoBlocks = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
constexpr std::string_view kOfMillion = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

}  // namespace

TEST(knownValuesInEveryOrder) {
  if (!blcr::digest::sha256Available()) {
    std::printf("this processor has no SHA instructions: nothing to test\n");
    return;
  }
  const std::string million(1000000, 'a');
  CHECK(digestsOf({}).empty());
  CHECK(digestsOf({"abc"})[0] == kOfAbc);
  const auto some = digestsOf({"", million, kTwoBlocks, "abc", million});
  CHECK(some[0] == kOfNothing && some[1] == kOfMillion && some[2] == kOfTwoBlocks && some[3] == kOfAbc && some[4] == kOfMillion);
}

/** Every length around the edges of blocks, beside a neighbour of another length: the neighbour must not matter. */
TEST(neighboursDoNotMatter) {
  if (!blcr::digest::sha256Available()) return;
  for (size_t length = 0; length < 200; ++length) {
    const std::string text(length, char('a' + length % 26));
    const std::string other(200 - length, 'x');
    CHECK(digestsOf({text, other})[0] == digestsOf({text})[0]);
    CHECK(digestsOf({other, text})[1] == digestsOf({text})[0]);
  }
}

CHECK_MAIN
