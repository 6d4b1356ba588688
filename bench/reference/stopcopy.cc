// The plain way to dump a process, as a yardstick: stop every thread, copy all private memory that is present with process_vm_readv and
// write it to standard output, let it go on. Nothing else (no registers, no descriptors): a complete dumper of this kind can only be
// slower.
//
// stopcopy PID [crc]      crc: also compute the CRC-32C of every piece, as a stream that can be verified has to
// Prints "STOP_NANOSECONDS BYTES" to standard error.
#include <dirent.h>
#include <fcntl.h>
#include <nmmintrin.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

namespace {

constexpr size_t kPiece = 1 << 20;
constexpr uint64_t kPage = 4096;
constexpr uint64_t kPresent = 1ull << 63;
constexpr uint64_t kSwapped = 1ull << 62;
constexpr uint64_t kFilePage = 1ull << 61;

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

uint64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1000000000u + static_cast<uint64_t>(time.tv_nsec);
}

std::vector<pid_t> threadsOf(pid_t pid) {
  std::vector<pid_t> threads;
  DIR* directory = opendir(("/proc/" + std::to_string(pid) + "/task").c_str());
  if (directory == nullptr) die("opendir");
  while (const dirent* entry = readdir(directory))
    if (entry->d_name[0] != '.') threads.push_back(static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10)));
  closedir(directory);
  return threads;
}

void stop(const std::vector<pid_t>& threads) {
  for (const pid_t thread : threads)
    if (ptrace(PTRACE_SEIZE, thread, 0, 0) != 0 || ptrace(PTRACE_INTERRUPT, thread, 0, 0) != 0) die("PTRACE_SEIZE");
  for (const pid_t thread : threads)
    if (waitpid(thread, nullptr, __WALL) != thread) die("waitpid");
}

struct Range {
  uint64_t start, end;
};

/** Private mappings, cut down to the pages that exist and are not the file's own. */
std::vector<Range> presentMemory(pid_t pid) {
  std::vector<Range> ranges;
  FILE* maps = std::fopen(("/proc/" + std::to_string(pid) + "/maps").c_str(), "re");
  const int pagemap = open(("/proc/" + std::to_string(pid) + "/pagemap").c_str(), O_RDONLY | O_CLOEXEC);
  if (maps == nullptr || pagemap < 0) die("/proc");
  char line[8192], permissions[8];
  uint64_t start = 0, end = 0;
  std::vector<uint64_t> entries;
  while (std::fgets(line, sizeof line, maps) != nullptr) {
    if (std::sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &start, &end, permissions) != 3) die("maps");
    if (permissions[0] != 'r' || permissions[3] != 'p' || std::strstr(line, "[v") != nullptr) continue;
    entries.resize((end - start) / kPage);
    if (pread(pagemap, entries.data(), entries.size() * 8, static_cast<off_t>(start / kPage * 8)) < 0) die("pagemap");
    for (uint64_t page = 0; page < entries.size(); ++page) {
      if ((entries[page] & (kPresent | kSwapped)) == 0 || (entries[page] & kFilePage) != 0) continue;
      const uint64_t address = start + page * kPage;
      if (!ranges.empty() && ranges.back().end == address)
        ranges.back().end += kPage;
      else
        ranges.push_back({address, address + kPage});
    }
  }
  std::fclose(maps);
  close(pagemap);
  return ranges;
}

uint32_t checksum(const char* bytes, size_t length) {
  uint64_t crc = ~0u;
  for (size_t i = 0; i + 8 <= length; i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes + i, 8);
    crc = _mm_crc32_u64(crc, word);
  }
  return ~static_cast<uint32_t>(crc);
}

void writeAll(const char* bytes, size_t length) {
  while (length > 0) {
    const ssize_t done = write(STDOUT_FILENO, bytes, length);
    if (done < 0) die("write");
    bytes += done;
    length -= static_cast<size_t>(done);
  }
}

uint64_t copyOut(pid_t pid, const std::vector<Range>& ranges, bool checked) {
  std::vector<char> buffer(kPiece);
  uint64_t total = 0;
  for (const Range& range : ranges) {
    for (uint64_t at = range.start; at < range.end;) {
      const size_t length = std::min<uint64_t>(kPiece, range.end - at);
      const iovec local{buffer.data(), length};
      const iovec remote{reinterpret_cast<void*>(at), length};
      if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != static_cast<ssize_t>(length)) die("process_vm_readv");
      if (checked) {
        const uint32_t crc = checksum(buffer.data(), length);
        writeAll(reinterpret_cast<const char*>(&crc), sizeof crc);
      }
      writeAll(buffer.data(), length);
      at += length;
      total += length;
    }
  }
  return total;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 64;
  const pid_t pid = static_cast<pid_t>(std::strtol(argv[1], nullptr, 10));
  const bool checked = argc > 2 && std::strcmp(argv[2], "crc") == 0;
  (void)fcntl(STDOUT_FILENO, F_SETPIPE_SZ, static_cast<int>(kPiece));  // not a pipe, or beyond the user's limit: goes on as it is
  const uint64_t start = now();
  const std::vector<pid_t> threads = threadsOf(pid);
  stop(threads);
  const uint64_t bytes = copyOut(pid, presentMemory(pid), checked);
  for (const pid_t thread : threads) ptrace(PTRACE_DETACH, thread, 0, 0);
  std::fprintf(stderr, "%" PRIu64 " %" PRIu64 "\n", now() - start, bytes);
  return 0;
}
