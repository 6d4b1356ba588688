#include "digest/sha256.h"

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "digest/sha256_words.h"

#define BLCR_SHA __attribute__((target("sha,sse4.1")))

namespace blcr::digest {
namespace {

constexpr size_t kBlock = 64;

/** One piece on its way: whole blocks where they lie, then its end with the padding. */
struct Lane {
  explicit Lane(std::span<const uint8_t> piece) : at(piece.data()), blocks(piece.size() / kBlock) {
    const size_t rest = piece.size() % kBlock;
    if (rest != 0) std::memcpy(end.data(), piece.data() + piece.size() - rest, rest);
    end[rest] = 0x80;
    endBlocks = rest + 9 > kBlock ? 2 : 1;
    const uint64_t bits = uint64_t(piece.size()) * 8;
    for (size_t i = 0; i < 8; ++i) end[endBlocks * kBlock - 1 - i] = uint8_t(bits >> (8 * i));
  }
  const uint8_t* at;
  size_t blocks;
  std::array<uint8_t, 2 * kBlock> end{};
  size_t endBlocks = 0;
  std::array<uint32_t, 8> state = kSha256Start;
};

__m128i* wide(uint32_t* words) { return reinterpret_cast<__m128i*>(words); }

/** The next `blocks` blocks of N lanes, interleaved. The instructions want the state as ABEF and CDGH. */
template <size_t N>
BLCR_SHA void advance(const std::array<Lane*, N>& lanes, size_t blocks) {
  const __m128i bigEndian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  __m128i abef[N], cdgh[N];
  for (size_t n = 0; n < N; ++n) {
    const __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(wide(&lanes[n]->state[0])), 0xb1);
    const __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(wide(&lanes[n]->state[4])), 0x1b);
    abef[n] = _mm_alignr_epi8(cdab, efgh, 8);
    cdgh[n] = _mm_blend_epi16(efgh, cdab, 0xf0);
  }
  for (size_t block = 0; block < blocks; ++block) {
    __m128i words[N][4], abefBefore[N], cdghBefore[N];
    for (size_t n = 0; n < N; ++n) {
      abefBefore[n] = abef[n];
      cdghBefore[n] = cdgh[n];
      const auto* input = reinterpret_cast<const __m128i*>(lanes[n]->at + block * kBlock);
      for (size_t i = 0; i < 4; ++i) words[n][i] = _mm_shuffle_epi8(_mm_loadu_si128(input + i), bigEndian);
    }
#pragma GCC unroll 16
    for (size_t four = 0; four < 16; ++four) {  // rounds
      const __m128i constants = _mm_load_si128(reinterpret_cast<const __m128i*>(&kSha256Round[four * 4]));
#pragma GCC unroll 2
      for (size_t n = 0; n < N; ++n) {
        __m128i& oldest = words[n][four % 4];
        const __m128i second = words[n][(four + 1) % 4], third = words[n][(four + 2) % 4], newest = words[n][(four + 3) % 4];
        const __m128i sum = _mm_add_epi32(oldest, constants);
        cdgh[n] = _mm_sha256rnds2_epu32(cdgh[n], abef[n], sum);
        abef[n] = _mm_sha256rnds2_epu32(abef[n], cdgh[n], _mm_shuffle_epi32(sum, 0x0e));
        if (four >= 12) continue;
        const __m128i half = _mm_add_epi32(_mm_sha256msg1_epu32(oldest, second), _mm_alignr_epi8(newest, third, 4));
        oldest = _mm_sha256msg2_epu32(half, newest);
      }
    }
    for (size_t n = 0; n < N; ++n) {
      abef[n] = _mm_add_epi32(abef[n], abefBefore[n]);
      cdgh[n] = _mm_add_epi32(cdgh[n], cdghBefore[n]);
    }
  }
  for (size_t n = 0; n < N; ++n) {
    const __m128i feba = _mm_shuffle_epi32(abef[n], 0x1b), dchg = _mm_shuffle_epi32(cdgh[n], 0xb1);
    _mm_storeu_si128(wide(&lanes[n]->state[0]), _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128(wide(&lanes[n]->state[4]), _mm_alignr_epi8(dchg, feba, 8));
    lanes[n]->at += blocks * kBlock;
    lanes[n]->blocks -= blocks;
  }
}

void advanceBoth(Lane& first, Lane& second) {
  advance<2>({&first, &second}, std::min(first.blocks, second.blocks));
  if (first.blocks > 0) advance<1>({&first}, first.blocks);
  if (second.blocks > 0) advance<1>({&second}, second.blocks);
}

void toEnd(Lane& lane) {
  lane.at = lane.end.data();
  lane.blocks = lane.endBlocks;
}

void write(const Lane& lane, uint8_t* digest) {
  for (size_t i = 0; i < kSha256Size; ++i) digest[i] = uint8_t(lane.state[i / 4] >> (24 - 8 * (i % 4)));
}

}  // namespace

bool sha256Available() { return __builtin_cpu_supports("sha") && __builtin_cpu_supports("sse4.1"); }

void sha256(std::span<const std::span<const uint8_t>> pieces, uint8_t* digests) {
  for (size_t i = 0; i < pieces.size(); i += 2) {
    const bool isAlone = i + 1 == pieces.size();
    Lane first(pieces[i]), second(isAlone ? std::span<const uint8_t>() : pieces[i + 1]);
    advanceBoth(first, second);
    toEnd(first);
    toEnd(second);
    advanceBoth(first, second);
    write(first, digests + i * kSha256Size);
    if (!isAlone) write(second, digests + (i + 1) * kSha256Size);
  }
}

}  // namespace blcr::digest
