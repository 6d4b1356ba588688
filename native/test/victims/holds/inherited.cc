// Memory that processes have in common since a fork.
#include <sys/mman.h>

#include <algorithm>
#include <array>

#include "holds.h"

namespace holds {
namespace {

constexpr size_t kPage = 4096;

char* map(size_t size) {
  void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(at != MAP_FAILED);
  return static_cast<char*>(at);
}

/** Memory of a family: what one process has written the others must not see, and what nobody has written is there once. */
struct Inheritance {
  static constexpr size_t kPages = 1024;
  char* data = map(kPages * kPage);
  char* closed = map(64 * kPage);
  char* shrinks = map(64 * kPage);
  char* grows = map(64 * kPage);

  Inheritance() {
    madvise(data, kPages * kPage, MADV_NOHUGEPAGE);
    for (size_t page = 0; page < kPages; ++page) fill(page, 'a');
    for (char* area : {closed, shrinks, grows}) memset(area, 'c', 64 * kPage);
    REQUIRE(mprotect(closed, 64 * kPage, PROT_READ) == 0);
  }
  /** Pages of `data` that another process maps, too. Source: Documentation/admin-guide/mm/pagemap.rst, bits 56 and 63. */
  [[nodiscard]] size_t commonPages() const {
    std::array<uint64_t, kPages> entries;
    const int fd = open("/proc/self/pagemap", O_RDONLY);
    const ssize_t size = pread(fd, entries.data(), sizeof entries, off_t(reinterpret_cast<uintptr_t>(data) / kPage * sizeof entries[0]));
    REQUIRE(close(fd) == 0 && size == ssize_t(sizeof entries));
    return size_t(std::count_if(entries.begin(), entries.end(), [](uint64_t entry) { return entry >> 63 == 1 && (entry >> 56 & 1) == 0; }));
  }
  void fill(size_t page, char with) const { memset(data + page * kPage, with, kPage), memcpy(data + page * kPage, &page, sizeof page); }
  [[nodiscard]] bool is(size_t page, char with) const {
    const char* at = data + page * kPage;
    return memcmp(at, &page, sizeof page) == 0 && at[sizeof page] == with && at[kPage - 1] == with;
  }
  [[nodiscard]] bool isZero(size_t page) const {
    const char* at = data + page * kPage;
    return at[0] == 0 && memcmp(at, at + 1, kPage - 1) == 0;
  }
  /** Every hundredth page is its own; some are zeros, some were given back, some the grandparent's again. */
  void change(char own) {
    for (size_t page = size_t(own) % 100; page < kPages; page += 100) fill(page, own);
    memset(data + 3 * kPage, 0, 2 * kPage);
    REQUIRE(madvise(data + 7 * kPage, 2 * kPage, MADV_DONTNEED) == 0);
    REQUIRE(mprotect(closed, 8 * kPage, PROT_NONE) == 0 && munmap(shrinks + 32 * kPage, 32 * kPage) == 0);
    void* larger = mremap(grows, 64 * kPage, 96 * kPage, MREMAP_MAYMOVE);
    REQUIRE(larger != MAP_FAILED);
    grows = static_cast<char*>(larger);
    memset(grows + 64 * kPage, own, 32 * kPage);
  }
  void verify(char own, bool hasChanged) const {
    for (size_t page = 0; page < kPages; ++page) {
      const bool isGone = hasChanged && ((page >= 3 && page < 5) || (page >= 7 && page < 9));
      const bool isOwn = hasChanged && page % 100 == size_t(own) % 100;
      REQUIRE(isGone ? isZero(page) : is(page, isOwn ? own : 'a'));
    }
    REQUIRE(shrinks[0] == 'c' && shrinks[32 * kPage - 1] == 'c' && grows[0] == 'c' && grows[64 * kPage - 1] == 'c');
    REQUIRE(closed[8 * kPage] == 'c' && (!hasChanged || (grows[64 * kPage] == own && grows[96 * kPage - 1] == own)));
    if (hasChanged) REQUIRE(mprotect(closed, kPage, PROT_READ) == 0);
    REQUIRE(closed[0] == 'c' && mprotect(closed, kPage, PROT_READ | PROT_WRITE) == 0);
    closed[1] = own;
  }
};

/** Children, grandchildren and an orphan; a child that has replaced its program has nothing in common. */
void inheritedMemory() {
  Inheritance memory;
  const Pipe go, ready;
  const auto live = [&](char own) {
    put(ready.write, "r");
    take(go.read, 1);
    memory.verify(own, true);
  };
  std::vector<pid_t> children;
  for (const char own : {char(11), char(22)})
    children.push_back(spawn([&] {
      memory.change(own);
      const pid_t grandchild = spawn([&] { live(own); });
      live(own);
      REQUIRE(endsWell(grandchild));
    }));
  children.push_back(spawn([&] {
    spawn([&] {
      memory.change(33);
      live(33);
      put(ready.write, "e");
    });
  }));
  REQUIRE(endsWell(children.back()));
  for (int count = 0; count < 5; ++count) take(ready.read, 1);
  const size_t before = memory.commonPages();
  children.back() = spawn([&] {
    dup2(go.read, 0);
    execlp("sh", "sh", "-c", "dd bs=1 count=1 of=/dev/null 2>/dev/null", nullptr);
  });
  hold();
  memory.verify(0, false);
  // All but what everybody has changed, and reading has not divided it. As if on another kernel they get copies.
  constexpr size_t kCommon = Inheritance::kPages - 4;
  if (getenv("BLCR_DISABLE") == nullptr) REQUIRE(memory.commonPages() >= kCommon && before >= kCommon);
  put(go.write, std::string(6, 'g'));
  for (const pid_t child : children) REQUIRE(endsWell(child));
  REQUIRE(take(ready.read, 1) == "e");
}

const Case kInherited(Supported{"inheritedMemory", "memory",
                                "memory in common since a fork (copy-on-write): travels once, and is shared again", "restored"},
                      inheritedMemory);

}  // namespace
}  // namespace holds
