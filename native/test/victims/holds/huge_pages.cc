// Memory of huge pages (MAP_HUGETLB, MFD_HUGETLB, SHM_HUGETLB). The test sees to it that the machine has some.
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

#include <algorithm>

#include "holds.h"

#ifndef SHM_HUGETLB
#define SHM_HUGETLB 04000
#endif

namespace holds {
namespace {

constexpr size_t kHuge = 2 << 20;
constexpr int kTwoMegabytes = 21 << 26;

char* huge(size_t pages, int flags, int protection = PROT_READ | PROT_WRITE, int fd = -1) {
  const int type = fd < 0 ? MAP_ANONYMOUS | MAP_HUGETLB | kTwoMegabytes : 0;
  void* at = mmap(nullptr, pages * kHuge, protection, flags | type, fd, 0);
  if (at == MAP_FAILED) notHere();
  return static_cast<char*>(at);
}

/** What smaps tells of the area at `address`. */
bool isHuge(const void* address) {
  std::ifstream file("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    unsigned long start = 0, end = 0;
    if (sscanf(line.c_str(), "%lx-%lx ", &start, &end) == 2)
      inside = start <= reinterpret_cast<unsigned long>(address) && reinterpret_cast<unsigned long>(address) < end;
    if (inside && line.starts_with("KernelPageSize:")) return line.find(" 2048 kB") != std::string::npos;
  }
  return false;
}

/** Different on every small page. */
void fill(char* at, size_t size, char seed) {
  for (size_t offset = 0; offset < size; offset += 512) at[offset] = char(seed + char(offset / 4096 % 97) + 1);
}

bool isFilled(const char* at, size_t size, char seed) {
  for (size_t offset = 0; offset < size; offset += 512)
    if (at[offset] != char(seed + char(offset / 4096 % 97) + 1) || at[offset + 1] != 0) return false;
  return true;
}

bool isZero(const char* at, size_t size) {
  return std::all_of(at, at + size, [](char byte) { return byte == 0; });
}

/** Read only, hidden, untouched, half-filled; and without a reservation. */
void hugePrivate() {
  char* area = huge(5, MAP_PRIVATE);
  char* free = huge(2, MAP_PRIVATE | MAP_NORESERVE);
  fill(area, kHuge, 'a');
  fill(area + kHuge, kHuge, 'b');
  fill(area + 2 * kHuge, kHuge / 2, 'c');
  fill(area + 3 * kHuge, kHuge, 'd');
  free[kHuge] = 'f';
  REQUIRE(mprotect(area, kHuge, PROT_READ) == 0 && mprotect(area + 3 * kHuge, kHuge, PROT_NONE) == 0);
  REQUIRE(madvise(area + kHuge, kHuge, MADV_DONTFORK) == 0);
  hold();
  REQUIRE(isHuge(area) && isHuge(area + kHuge) && isHuge(area + 3 * kHuge) && isHuge(free));
  REQUIRE(mprotect(area + 3 * kHuge, kHuge, PROT_READ | PROT_WRITE) == 0);
  REQUIRE(isFilled(area, kHuge, 'a') && isFilled(area + kHuge, kHuge, 'b') && isFilled(area + 2 * kHuge, kHuge / 2, 'c'));
  REQUIRE(isZero(area + 2 * kHuge + kHuge / 2, kHuge / 2) && isFilled(area + 3 * kHuge, kHuge, 'd') && isZero(area + 4 * kHuge, kHuge));
  REQUIRE(free[kHuge] == 'f' && free[0] == 0 && munmap(area, 5 * kHuge) == 0);
}

/** A child has what its parent had when it was made, and what it has written itself. */
void hugeInherited() {
  char* area = huge(2, MAP_PRIVATE);
  fill(area, kHuge, 'p');
  fill(area + kHuge, kHuge, 'q');
  Pipe go, up;
  const pid_t child = spawn([&] {
    area[0] = 'C';
    REQUIRE(put(up.write, "x") == 0 && take(go.read, 1) == "x");
    REQUIRE(area[0] == 'C' && isFilled(area + kHuge, kHuge, 'q') && isHuge(area));
  });
  REQUIRE(take(up.read, 1) == "x");
  area[kHuge + 1] = 'P';
  hold();
  REQUIRE(isFilled(area, kHuge, 'p') && area[kHuge + 1] == 'P' && put(go.write, "x") == 0 && endsWell(child));
}

/** Written by a process that has ended, so that nobody's page table has it; by a child; and by nobody. */
void hugeShared() {
  char* area = huge(4, MAP_SHARED);
  REQUIRE(endsWell(spawn([&] { fill(area, kHuge, 'g'); })));
  Pipe go, up;
  const pid_t child = spawn([&] {
    fill(area + kHuge, kHuge, 's');
    REQUIRE(munmap(area + 3 * kHuge, kHuge) == 0 && put(up.write, "x") == 0 && take(go.read, 1) == "x");
    REQUIRE(area[2 * kHuge] == 'n' && isFilled(area, kHuge, 'g') && isHuge(area));
    area[2 * kHuge + 1] = 'm';
  });
  REQUIRE(take(up.read, 1) == "x" && mprotect(area + 3 * kHuge, kHuge, PROT_NONE) == 0);
  hold();
  area[2 * kHuge] = 'n';
  REQUIRE(isHuge(area) && put(go.write, "x") == 0 && endsWell(child) && area[2 * kHuge + 1] == 'm');
  REQUIRE(isFilled(area, kHuge, 'g') && isFilled(area + kHuge, kHuge, 's') && isZero(area + 2 * kHuge + 2, kHuge - 2));
}

void hugeMemfd() {
  const int fd = memfd_create("pool", MFD_CLOEXEC | MFD_HUGETLB | MFD_ALLOW_SEALING | unsigned(kTwoMegabytes));
  const int idle = memfd_create("idle", MFD_HUGETLB | MFD_ALLOW_SEALING | unsigned(kTwoMegabytes));
  if (fd < 0 || idle < 0) notHere();
  REQUIRE(ftruncate(fd, 3 * kHuge) == 0 && ftruncate(idle, 2 * kHuge) == 0 && fchmod(fd, 0640) == 0);
  char* area = huge(3, MAP_SHARED, PROT_READ | PROT_WRITE, fd);
  fill(area, kHuge, 'm');
  char* copy = huge(3, MAP_PRIVATE, PROT_READ | PROT_WRITE, fd);
  fill(copy + kHuge, kHuge, 'o');
  REQUIRE(copy[0] == area[0] && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) == 0);
  char* passing = huge(2, MAP_SHARED, PROT_READ | PROT_WRITE, idle);
  fill(passing + kHuge, kHuge, 'i');
  REQUIRE(munmap(passing, 2 * kHuge) == 0 && fcntl(idle, F_ADD_SEALS, F_SEAL_WRITE) == 0);
  hold();
  struct stat info{};
  REQUIRE(fstat(fd, &info) == 0 && info.st_size == 3 * kHuge && info.st_blksize == kHuge && (info.st_mode & 0777) == 0640);
  REQUIRE((fcntl(fd, F_GET_SEALS) & (F_SEAL_GROW | F_SEAL_SHRINK)) == (F_SEAL_GROW | F_SEAL_SHRINK) && isHuge(area) && isHuge(copy));
  REQUIRE(isFilled(area, kHuge, 'm') && isZero(area + kHuge, 2 * kHuge) && isFilled(copy + kHuge, kHuge, 'o'));
  area[2] = 'w';
  char text[4] = {};
  REQUIRE(copy[2] == 'w' && pread(fd, text, 3, 0) == 3 && text[2] == 'w' && fcntl(fd, F_GETFD) == FD_CLOEXEC);
  passing = huge(2, MAP_PRIVATE, PROT_READ, idle);
  REQUIRE((fcntl(idle, F_GET_SEALS) & F_SEAL_WRITE) != 0 && isZero(passing, kHuge) && isFilled(passing + kHuge, kHuge, 'i'));
}

/** One attached, of which a part is left, and one that nobody has attached. */
void hugeSystemV() {
  const auto make = [] { return shmget(IPC_PRIVATE, 3 * kHuge, 0600 | IPC_CREAT | SHM_HUGETLB | kTwoMegabytes); };
  const int id = make(), left = make();
  if (id < 0 || left < 0) {
    shmctl(id, IPC_RMID, nullptr);
    notHere();
  }
  auto* area = static_cast<char*>(shmat(id, nullptr, 0));
  auto* passing = static_cast<char*>(shmat(left, nullptr, 0));
  REQUIRE(endsWell(spawn([&] { fill(area + kHuge, kHuge, 'v'); })));
  fill(passing, kHuge, 'l');
  REQUIRE(shmdt(passing) == 0 && munmap(area, kHuge) == 0);
  meanwhile(std::string("ipcrm -m ").append(std::to_string(id)).append(" -m ").append(std::to_string(left)).c_str());
  hold();
  REQUIRE(isHuge(area + kHuge) && isFilled(area + kHuge, kHuge, 'v') && isZero(area + 2 * kHuge, kHuge));
  passing = static_cast<char*>(shmat(left, nullptr, 0));
  REQUIRE(passing != reinterpret_cast<char*>(-1) && isHuge(passing) && isFilled(passing, kHuge, 'l'));
  auto* again = static_cast<char*>(shmat(id, nullptr, 0));
  again[kHuge] = 'z';
  REQUIRE(area[kHuge] == 'z' && shmctl(id, IPC_RMID, nullptr) == 0 && shmctl(left, IPC_RMID, nullptr) == 0);
}

/** Of the free ones of the machine, as they are needed. */
void hugeUnreserved() {
  REQUIRE(munmap(huge(2, MAP_SHARED), 2 * kHuge) == 0);  // there are some
  char* area = huge(2, MAP_SHARED | MAP_NORESERVE);
  area[0] = 'u';
  hold();
  REQUIRE(area[0] == 'u');
}

const Case kUnreserved(Supported{"hugeUnreserved", "memory", "shared huge pages without a reservation (MAP_NORESERVE)",
                                 "refused: without a reservation"},
                       hugeUnreserved);
const Case kPrivate(Supported{"hugePrivate", "memory", "huge pages (MAP_HUGETLB): private, protected, without a reservation", "restored"},
                    hugePrivate);
const Case kInherited(Supported{"hugeInherited", "memory", "private huge pages that a child has inherited", "restored"}, hugeInherited);
const Case kShared(Supported{"hugeShared", "memory", "shared huge pages, those of processes that have ended too", "restored"}, hugeShared);
const Case kMemfd(Supported{"hugeMemfd", "memory",
                            "memfds of huge pages (MFD_HUGETLB): seals, shared and private mappings, mapped by nobody", "restored"},
                  hugeMemfd);
const Case kSystemV(Supported{"hugeSystemV", "memory", "System V shared memory of huge pages (SHM_HUGETLB)", "restored"}, hugeSystemV);

}  // namespace
}  // namespace holds
