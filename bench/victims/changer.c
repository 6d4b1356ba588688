/*
 * Holds memory of random content and changes one per cent of it, then rests, for each line it reads on standard input.
 * changer RECORD MIB area|scatter|all      `area`: one contiguous piece, elsewhere each time; `scatter`: single pages all over; `all`:
 * everything
 */
#include <string.h>

#include "record.h"

#define PAGE_WORDS (4096u / 8)

static uint64_t state = 88172645463325252u;
static inline uint64_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static void fill(uint64_t* memory, uint64_t page) {
  for (unsigned word = 0; word < PAGE_WORDS; ++word) memory[page * PAGE_WORDS + word] = next_random();
}

int main(int argc, char** argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: changer RECORD MIB area|scatter|all\n");
    return 64;
  }
  forget_inherited();
  volatile struct record* record = record_open(argv[1]);
  const uint64_t pages = (strtoull(argv[2], NULL, 10) << 20) / 4096;
  const int is_scattered = strcmp(argv[3], "scatter") == 0;
  uint64_t* memory = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    perror("mmap");
    return 2;
  }
  for (uint64_t page = 0; page < pages; ++page) fill(memory, page);
  record->ready = 1;
  for (char line[16]; fgets(line, sizeof line, stdin) != NULL;) {
    const uint64_t changed = strcmp(argv[3], "all") == 0 ? pages : pages / 100;
    const uint64_t start = next_random() % (pages - changed + 1);
    for (uint64_t i = 0; i < changed; ++i) fill(memory, is_scattered ? next_random() % pages : start + i);
    ++record->iterations;
  }
  return 0;
}
