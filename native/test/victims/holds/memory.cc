// Memory of every kind.
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "holds.h"

namespace holds {
namespace {

constexpr size_t kPage = 4096;

char* map(size_t size, int protection = PROT_READ | PROT_WRITE, int flags = MAP_PRIVATE | MAP_ANONYMOUS, int fd = -1) {
  void* at = mmap(nullptr, size, protection, flags, fd, 0);
  REQUIRE(at != MAP_FAILED);
  return static_cast<char*>(at);
}

/** The smaps paragraph of the area at `address`. */
std::string smaps(const void* address) {
  std::ifstream file("/proc/self/smaps");
  std::string line, found;
  bool inside = false;
  while (std::getline(file, line)) {
    unsigned long start = 0, end = 0;
    if (sscanf(line.c_str(), "%lx-%lx ", &start, &end) == 2)
      inside = start <= reinterpret_cast<unsigned long>(address) && reinterpret_cast<unsigned long>(address) < end;
    if (inside) found += line + "\n";
  }
  return found;
}

bool hasFlag(const void* address, const std::string& code) {
  const std::string text = smaps(address);
  return text.find(" " + code + " ", text.find("VmFlags:")) != std::string::npos;
}

void advice() {
  char* dontFork = map(4 * kPage);
  char* wipe = map(4 * kPage);
  char* dontDump = map(4 * kPage);
  char* merge = map(4 * kPage);
  char* huge = map(4 << 20);
  char* noHuge = map(4 << 20);
  char* inOrder = map(4 * kPage);
  char* anyOrder = map(4 * kPage);
  REQUIRE(madvise(inOrder, 4 * kPage, MADV_SEQUENTIAL) == 0 && madvise(anyOrder, 4 * kPage, MADV_RANDOM) == 0);
  REQUIRE(madvise(dontFork, 4 * kPage, MADV_DONTFORK) == 0 && madvise(wipe, 4 * kPage, MADV_WIPEONFORK) == 0);
  REQUIRE(madvise(dontDump, 4 * kPage, MADV_DONTDUMP) == 0 && madvise(noHuge, 4 << 20, MADV_NOHUGEPAGE) == 0);
  const bool merges = madvise(merge, 4 * kPage, MADV_MERGEABLE) == 0, isHuge = madvise(huge, 4 << 20, MADV_HUGEPAGE) == 0;
  for (char* area : {dontFork, wipe, dontDump, merge, huge, noHuge}) area[5] = 'x';
  hold();
  REQUIRE(hasFlag(dontFork, "dc") && hasFlag(wipe, "wf") && hasFlag(dontDump, "dd") && hasFlag(noHuge, "nh"));
  REQUIRE(hasFlag(inOrder, "sr") && !hasFlag(inOrder, "rr") && hasFlag(anyOrder, "rr") && !hasFlag(anyOrder, "sr"));
  REQUIRE((!merges || hasFlag(merge, "mg")) && (!isHuge || hasFlag(huge, "hg")));
  for (char* area : {dontFork, wipe, dontDump, merge, huge, noHuge}) REQUIRE(area[5] == 'x');
  REQUIRE(endsWell(spawn([&] { REQUIRE(wipe[5] == 0 && syscall(SYS_madvise, dontFork, kPage, MADV_NORMAL) == -1); })));
}

void hiddenContents() {
  char* none = map(8 * kPage);
  memset(none, 'n', 8 * kPage);
  REQUIRE(mprotect(none, 8 * kPage, PROT_NONE) == 0);
  char* readOnly = map(2 * kPage);
  readOnly[0] = 'r';
  REQUIRE(mprotect(readOnly, 2 * kPage, PROT_READ) == 0);
  char* writeOnly = map(kPage, PROT_WRITE);
  writeOnly[7] = 'w';
  const char* reserved = map(1ull << 40, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
  hold();
  REQUIRE(mprotect(none, 8 * kPage, PROT_READ) == 0 && none[0] == 'n' && none[8 * kPage - 1] == 'n' && readOnly[0] == 'r' &&
          writeOnly[7] == 'w');
  REQUIRE(hasFlag(reserved, "nr"));
}

void growsDown() {
  char* stack = map(2048 * kPage, PROT_NONE);  // the kernel keeps 256 pages free below a stack
  REQUIRE(munmap(stack, 2048 * kPage) == 0);
  char* top = static_cast<char*>(
      mmap(stack + 1024 * kPage, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0));
  top[0] = 'a';
  hold();
  REQUIRE(top[0] == 'a');
  volatile char* below = top - 1;  // the kernel lets it grow here
  *below = 'b';
  REQUIRE(*below == 'b');
}

void movedBreak() {
  char* before = static_cast<char*>(sbrk(300 * kPage));
  memset(before, 'b', 300 * kPage);
  REQUIRE(sbrk(-100 * intptr_t(kPage)) != reinterpret_cast<void*>(-1));
  char* end = static_cast<char*>(sbrk(0));
  hold();
  REQUIRE(sbrk(0) == end && sbrk(10 * kPage) == end && end[0] == 0 && before[100] == 'b');
}

void code() {
  const unsigned char body[] = {0xb8, 42, 0, 0, 0, 0xc3};  // mov eax, 42; ret
  char* jit = map(kPage, PROT_READ | PROT_WRITE | PROT_EXEC);
  memcpy(jit, body, sizeof body);
  char* sealed = map(kPage);
  memcpy(sealed, body, sizeof body);
  REQUIRE(mprotect(sealed, kPage, PROT_READ | PROT_EXEC) == 0);
  hold();
  REQUIRE(reinterpret_cast<int (*)()>(jit)() == 42 && reinterpret_cast<int (*)()>(sealed)() == 42);
  jit[1] = 43;
  REQUIRE(reinterpret_cast<int (*)()>(jit)() == 43);
}

void locked() {
  char* now = map(4 * kPage);
  char* onFault = map(4 * kPage);
  REQUIRE(mlock(now, 4 * kPage) == 0 && syscall(SYS_mlock2, onFault, 4 * kPage, 1) == 0);
  hold();
  REQUIRE(hasFlag(now, "lo") && hasFlag(onFault, "lo") && smaps(now).find("Locked:               16 kB") != std::string::npos);
  REQUIRE(munlock(now, 4 * kPage) == 0);
}

void lockedFuture() {
  constexpr rlim_t kNeeded = 1 << 20;  // newer kernels allow 8 MiB, older ones 64 KiB
  rlimit limit{};
  if (geteuid() != 0 && (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur < kNeeded)) notHere();
  REQUIRE(mlockall(MCL_FUTURE) == 0);
  hold();
  REQUIRE(hasFlag(map(kPage), "lo"));
}

void lockedToTheLimit() {
  const rlimit limit{16 * kPage, 16 * kPage};
  if (geteuid() == 0) notHere();
  REQUIRE(setrlimit(RLIMIT_MEMLOCK, &limit) == 0 && mlockall(MCL_FUTURE) == 0);
  hold();
  REQUIRE(hasFlag(map(kPage), "lo"));
}

void acrossProcesses() {
  char* shared = map(16 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  char* part = map(4 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  strcpy(shared + 8 * kPage, "parent");
  const pid_t child = spawn([&] {
    REQUIRE(munmap(shared, 4 * kPage) == 0 && mprotect(shared + 12 * kPage, 4 * kPage, PROT_READ) == 0);
    char* moved = static_cast<char*>(mremap(part, 4 * kPage, 4 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, shared));
    REQUIRE(moved == shared);
    strcpy(moved + kPage, "child");
    until([&] { return shared[8 * kPage] == 'P'; });
    strcpy(shared + 9 * kPage, "seen");
  });
  until([&] { return strcmp(part + kPage, "child") == 0; });
  hold();
  REQUIRE(strcmp(part + kPage, "child") == 0);
  shared[8 * kPage] = 'P';
  REQUIRE(endsWell(child) && strcmp(shared + 9 * kPage, "seen") == 0);
}

void memoryFile() {
  const int fd = memfd_create("sealed", MFD_ALLOW_SEALING | MFD_CLOEXEC), plain = memfd_create("plain", 0);
  REQUIRE(ftruncate(fd, 10000) == 0 && put(plain, "plain content") == 0);
  char* memory = map(10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
  strcpy(memory + 9990, "sealed");
  REQUIRE(munmap(memory, 10000) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0);
  // Kernels before 6.7 take every shared mapping for one that may be written.
  char* const shared = static_cast<char*>(mmap(nullptr, 10000, PROT_READ, MAP_SHARED, fd, 0));
  const char* view = shared == MAP_FAILED ? map(10000, PROT_READ, MAP_PRIVATE, fd) : shared;
  char* copy = map(10000, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
  copy[9991] = 'E';
  const int readOnly = open(("/proc/self/fd/" + std::to_string(plain)).c_str(), O_RDONLY);
  hold();
  REQUIRE(strcmp(view + 9990, "sealed") == 0 && strcmp(copy + 9990, "sEaled") == 0 && put(fd, "x") == -1 && errno == EPERM);
  REQUIRE(fcntl(fd, F_GET_SEALS) == (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) && fcntl(plain, F_GET_SEALS) == F_SEAL_SEAL);
  REQUIRE(take(readOnly) == "plain content" && (fcntl(readOnly, F_GETFL) & O_ACCMODE) == O_RDONLY);
  struct stat info{};
  REQUIRE(fstat(fd, &info) == 0 && info.st_size == 10000);
}

/** What a private mapping has not changed itself is the file's, also when that is written after the restart. */
void followsFile() {
  const int memory = memfd_create("data", 0), fd = open("data", O_RDWR | O_CREAT, 0600);
  for (const int each : {memory, fd}) REQUIRE(put(each, std::string(3 * kPage, 'f')) == 0);
  const int later = open("data", O_WRONLY | O_APPEND);
  char *ofMemory = map(3 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, memory), *ofFile = map(3 * kPage, PROT_READ, MAP_PRIVATE, fd);
  char* shared = map(3 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, memory);
  REQUIRE(unlink("data") == 0);
  ofMemory[kPage] = 'P';
  hold();
  for (const int each : {memory, fd}) REQUIRE(pwrite(each, "w", 1, 0) == 1 && pwrite(each, "w", 1, kPage) == 1);
  shared[2 * kPage] = 's';
  REQUIRE(ofMemory[0] == 'w' && ofMemory[1] == 'f' && ofMemory[kPage] == 'P' && ofMemory[2 * kPage] == 's');
  REQUIRE(ofFile[0] == 'w' && ofFile[kPage] == 'w' && ofFile[2 * kPage] == 'f');
  REQUIRE(put(later, "end") == 0 && lseek(fd, 3 * kPage, SEEK_SET) == 3 * kPage && take(fd) == "end");
}

/** Memory is executed only while nobody can write to it. */
void executedMemory() {
  const int program = open("/bin/true", O_RDONLY), memory = memfd_create("true", 0);
  std::string content;
  while (!(content = take(program)).empty()) REQUIRE(put(memory, content) == 0);
  const int readOnly = open(("/proc/self/fd/" + std::to_string(memory)).c_str(), O_RDONLY);
  map(kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, readOnly);
  const int flags = fcntl(memory, F_GETFL) | O_APPEND;
  REQUIRE(fcntl(memory, F_SETFL, O_APPEND) == 0 && lseek(memory, 3, SEEK_SET) == 3);
  hold();
  REQUIRE(fcntl(memory, F_GETFL) == flags && lseek(memory, 0, SEEK_CUR) == 3 && lseek(memory, 0, SEEK_END) == lseek(program, 0, SEEK_END));
  char* const arguments[] = {const_cast<char*>("true"), nullptr};
  for (const int each : {readOnly, memory}) REQUIRE(endsWell(spawn([&] { _exit(fexecve(each, arguments, environ) == 0 ? 0 : errno); })));
}

/** Pages of a file that the program has overwritten with zeros are not the file's. */
void zeroedFilePages() {
  const int fd = open("data", O_RDWR | O_CREAT, 0600);
  REQUIRE(put(fd, std::string(4 * kPage, 'd')) == 0);
  char* view = map(4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
  const int memory = memfd_create("data", 0);
  REQUIRE(put(memory, std::string(4 * kPage, 'm')) == 0);
  char* copy = map(4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, memory);
  memset(view + kPage, 0, kPage);
  memset(copy + kPage, 0, kPage);
  hold();
  REQUIRE(view[0] == 'd' && view[kPage] == 0 && view[2 * kPage - 1] == 0 && view[2 * kPage] == 'd');
  REQUIRE(copy[0] == 'm' && copy[kPage] == 0 && copy[2 * kPage - 1] == 0 && copy[2 * kPage] == 'm');
}

/** Beyond the end of the file: a private mapping larger than what it maps. */
void filePrivate() {
  const int fd = open("data", O_RDWR | O_CREAT, 0600);
  REQUIRE(put(fd, std::string(5000, 'd')) == 0);
  char* view = map(4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
  char* shared = map(2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
  char* readOnly = map(2 * kPage, PROT_READ, MAP_SHARED, fd);
  view[1] = 'X', view[6000] = 'Y';
  close(fd);
  hold();
  REQUIRE(view[0] == 'd' && view[1] == 'X' && view[4999] == 'd' && view[6000] == 'Y' && shared[1] == 'd');
  shared[0] = 'S';
  REQUIRE(readOnly[0] == 'S');
  const int again = open("data", O_RDONLY);
  REQUIRE(take(again, 2) == "Sd");
}

void sealedAreas() {
  char* area = map(2 * kPage);
  area[0] = 's';
  if (syscall(462, area, 2 * kPage, 0) != 0) {  // mseal
    errno = 0;
    area = nullptr;
  }
  hold();
  REQUIRE(area == nullptr || (area[0] == 's' && mprotect(area, kPage, PROT_READ) == -1 && errno == EPERM));
}

void protectionKeys() {
  const int key = pkey_alloc(0, 0);
  if (key < 0) notHere();
  char* area = map(kPage);
  area[0] = 'k';
  REQUIRE(pkey_mprotect(area, kPage, PROT_READ | PROT_WRITE, key) == 0 && pkey_set(key, PKEY_DISABLE_WRITE) == 0);
  hold();
  REQUIRE(area[0] == 'k' && pkey_get(key) == PKEY_DISABLE_WRITE &&
          smaps(area).find("ProtectionKey:         " + std::to_string(key)) != std::string::npos);
}

void large() {
  const size_t size = 2600ull << 20;
  char* area = map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
  for (size_t at = 0; at < size; at += 64 << 20) *reinterpret_cast<size_t*>(area + at) = at + 1;
  hold();
  for (size_t at = 0; at < size; at += 64 << 20) REQUIRE(*reinterpret_cast<size_t*>(area + at) == at + 1);
}

/** Thousands of areas, at odd places. */
void manyAreas() {
  std::vector<char*> areas;
  for (int i = 0; i < 3000; ++i) areas.push_back(map(2 * kPage, i % 2 == 0 ? PROT_READ | PROT_WRITE : PROT_READ));
  char* low = static_cast<char*>(
      mmap(reinterpret_cast<void*>(0x10000), kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
  for (size_t i = 0; i < areas.size(); i += 2) areas[i][kPage] = char(i);
  low[1] = 'l';
  hold();
  for (size_t i = 0; i < areas.size(); i += 2) REQUIRE(areas[i][kPage] == char(i));
  REQUIRE(low[1] == 'l');
}

void vsyscall() {
  timeval before{}, after{};
  gettimeofday(&before, nullptr);
  hold();
  std::ifstream file("/proc/self/maps");
  std::stringstream text;
  text << file.rdbuf();
  if (text.str().find("[vsyscall]") != std::string::npos)
    REQUIRE(reinterpret_cast<long (*)(timeval*, void*)>(0xffffffffff600000)(&after, nullptr) == 0 && after.tv_sec >= before.tv_sec);
}

void guardRegions() {
  constexpr int kGuardInstall = 102;  // MADV_GUARD_INSTALL, Linux 6.13
  char* area = map(8 * kPage);
  memset(area, 'g', 8 * kPage);
  if (madvise(area + kPage, kPage, kGuardInstall) != 0) notHere();
  char* empty = map(4 * kPage);
  REQUIRE(madvise(empty, 2 * kPage, kGuardInstall) == 0 && madvise(area + 5 * kPage, 2 * kPage, kGuardInstall) == 0);
  REQUIRE(mprotect(area + 6 * kPage, kPage, PROT_NONE) == 0);
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  hold();
  const auto isGuard = [&](const char* at) { return write(ends[1], at, 1) == -1 && errno == EFAULT; };
  REQUIRE(mprotect(area, 8 * kPage, PROT_READ | PROT_WRITE) == 0);
  for (int page = 0; page < 8; ++page) {
    const bool guard = page == 1 || page == 5 || page == 6;
    REQUIRE(guard ? isGuard(area + page * kPage) : area[page * kPage + 1] == 'g');
  }
  REQUIRE(isGuard(empty) && isGuard(empty + kPage) && empty[2 * kPage] == 0);
}

/** Its content may be gone at any time, and is after a restart: where random numbers come from must not be the same twice. */
void droppable() {
  constexpr int kMapDroppable = 8;  // MAP_DROPPABLE, Linux 6.11
  void* made = mmap(nullptr, 4 * kPage, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | kMapDroppable, -1, 0);
  if (made == MAP_FAILED) notHere();
  char* area = static_cast<char*>(made);
  memset(area, 'd', 4 * kPage);
  const auto place = std::filesystem::read_symlink("/proc/self/ns/pid");
  hold();
  const bool isRestarted = std::filesystem::read_symlink("/proc/self/ns/pid") != place;
  for (size_t at = 0; at < 4 * kPage; ++at) REQUIRE(area[at] == 0 || (!isRestarted && area[at] == 'd'));
  area[0] = 'x';
  REQUIRE(hasFlag(area, "dp") && hasFlag(area, "wf") && endsWell(spawn([&] { REQUIRE(area[0] == 0); })));
}

const Case kDroppable(Supported{"droppable", "memory", "memory that may be dropped (MAP_DROPPABLE), without its content", "restored"},
                      droppable);
const Case kGuards(Supported{"guardRegions", "memory", "guard regions (MADV_GUARD_INSTALL)", "restored"}, guardRegions);
const Case kAdvice(Supported{"madvise", "memory", "madvise: DONTFORK, WIPEONFORK, DONTDUMP, MERGEABLE, HUGEPAGE, NOHUGEPAGE", "restored"},
                   advice);
const Case kHidden(Supported{"hiddenContents", "memory", "PROT_NONE, read-only and write-only areas with contents; reservations of 1 TiB",
                             "restored"},
                   hiddenContents);
const Case kGrowsDown(Supported{"growsDown", "memory", "stacks that grow", "restored"}, growsDown);
const Case kBreak(Supported{"movedBreak", "memory", "a moved break", "restored"}, movedBreak);
const Case kCode(Supported{"jitCode", "memory", "code made at run time", "restored"}, code);
const Case kLocked(Supported{"lockedMemory", "memory", "mlock, mlock2", "restored"}, locked);
const Case kFuture(Supported{"lockedFuture", "memory", "mlockall(MCL_FUTURE)", "restored"}, lockedFuture);
const Case kLimit(Supported{"lockedToTheLimit", "memory", "mlockall(MCL_FUTURE) where hardly any memory may be locked (RLIMIT_MEMLOCK)",
                            "refused: RLIMIT_MEMLOCK leaves no room"},
                  lockedToTheLimit);
const Case kAcross(Supported{"sharedAcross", "memory", "shared anonymous memory in several processes, parts moved, unmapped and protected",
                             "restored"},
                   acrossProcesses);
const Case kFollowsFile(Supported{"followsFile", "memory", "private mappings of a memfd or an unlinked file that is written later",
                                  "restored"},
                        followsFile);
const Case kExecutedMemory(Supported{"executedMemory", "memory", "a memfd that is executed", "restored"}, executedMemory);
const Case kMemfd(Supported{"memfd", "memory", "memfd: seals, shared and private mappings, several descriptions", "restored"}, memoryFile);
const Case kPrivate(Supported{"fileMappings", "memory", "private and shared mappings of files, beyond their end", "restored"}, filePrivate);
const Case kZeroed(Supported{"zeroedFilePages", "memory", "private mappings of files, pages overwritten with zeros", "restored"},
                   zeroedFilePages);
const Case kSealed(Supported{"sealedMemory", "memory", "areas sealed with mseal", "restored"}, sealedAreas);
const Case kKeys(Supported{"protectionKeys", "memory", "memory protection keys", "refused: memory protection keys are not supported"},
                 protectionKeys);
const Case kLarge(Supported{"largeMemory", "memory", "more than 2 GiB, sparse", "restored"}, large);
const Case kMany(Supported{"manyAreas", "memory", "thousands of areas", "restored"}, manyAreas);
/** Parts of the map of this process whose names begin with `[v`, but for the vsyscall page. */
std::vector<std::pair<uint64_t, uint64_t>> kernelAreas() {
  std::vector<std::pair<uint64_t, uint64_t>> found;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    uint64_t start = 0, end = 0;
    if (line.find("[v") == std::string::npos || line.find("[vsyscall]") != std::string::npos) continue;
    REQUIRE(sscanf(line.c_str(), "%lx-%lx", &start, &end) == 2);
    found.emplace_back(start, end);
  }
  return found;
}

void withoutVdso() {
  for (const auto& [start, end] : kernelAreas()) REQUIRE(munmap(reinterpret_cast<void*>(start), end - start) == 0);
  hold();
  REQUIRE(kernelAreas().empty());
}

const Case kWithoutVdso(Supported{"withoutVdso", "memory", "programs that have removed the vdso", "restored"}, withoutVdso);
const Case kVsyscall(Supported{"vsyscall", "memory", "the vsyscall page", "restored"}, vsyscall);

}  // namespace
}  // namespace holds
