/*
 * Writes one word at a random place of its memory in every iteration, for ever.
 * writer RECORD MIB PERCENT 4k|thp [scatter|area]
 *   PERCENT of the memory is written to: a random word of any page of one contiguous area (`area`, default), or of single pages spread over
 *   all of it (`scatter`). The rest is filled once and only kept; with 0 the program rests. Content is random: it neither compresses nor
 *   deduplicates.
 */
#include <string.h>

#include "record.h"

static uint64_t state = 88172645463325252u;
static inline uint64_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

#define PAGE 4096u

int main(int argc, char** argv) {
  if (argc < 5) {
    fprintf(stderr, "usage: writer RECORD MIB PERCENT 4k|thp [scatter|area]\n");
    return 64;
  }
  forget_inherited();
  volatile struct record* record = record_open(argv[1]);
  const uint64_t size = strtoull(argv[2], NULL, 10) << 20;
  const int is_huge = strcmp(argv[4], "thp") == 0;
  const int is_scattered = argc > 5 && strcmp(argv[5], "scatter") == 0;
  const uint64_t align = 2u << 20;
  char* raw = mmap(NULL, size + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) {
    perror("mmap");
    return 2;
  }
  uint64_t* memory = (uint64_t*)(((uintptr_t)raw + align - 1) & ~(uintptr_t)(align - 1));
  madvise(memory, size, is_huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  for (uint64_t word = 0; word < size / 8; ++word) memory[word] = next_random();
  const uint64_t pages = size / PAGE;
  const uint64_t written = pages * strtoull(argv[3], NULL, 10) / 100;
  const uint64_t stride = is_scattered && written > 0 ? pages / written : 1;
  uint64_t last = clock_ns();
  record->ready = 1;
  while (written == 0) pause();
  for (;;) {
    const uint64_t random = next_random();
    const uint64_t page = (random % written) * stride;
    memory[page * (PAGE / 8) + (random >> 55) % (PAGE / 8)] = random;
    record_tick(record, &last);
  }
}
