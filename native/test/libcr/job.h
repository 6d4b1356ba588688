// A job for tests: this very program, run by the real keeper with --victim.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstring>
#include <string>

#include "base/unique_fd.h"
#include "crx.h"

/** What a victim does: holds more memory than a pipe takes, and waits. */
inline int victimMain() {
  constexpr size_t kSize = 4 << 20;
  auto* memory = static_cast<unsigned char*>(::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  for (size_t at = 0; at < kSize; ++at) memory[at] = static_cast<unsigned char>(at * 31 + at / 4096);
  ::alarm(100);
  ::prctl(PR_SET_NAME, "ready");
  for (;;) ::pause();
}

/** Waits, for a while, until the victim `pid` has its memory. */
inline void awaitReady(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/comm";
  for (int tries = 0; tries < 2000; ++tries) {
    char name[16] = {};
    const blcr::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file && ::read(file.get(), name, sizeof name - 1) > 0 && std::strcmp(name, "ready\n") == 0) return;
    ::usleep(5000);
  }
}

/** In a child before exec: nothing is inherited from whoever runs the tests but 0, 1, 2 and `fd`, which becomes 3 (-1 = none). */
inline int onlyStdioAnd(int fd) {
  if (fd >= 0) ::dup2(fd, 3);
  for (int number = fd >= 0 ? 4 : 3; number < 4096; ++number) ::close(number);
  return 3;
}

/** Path of this program. */
inline const char* self() {
  static char path[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path - 1);
  path[length > 0 ? length : 0] = '\0';
  return path;
}

/** Runs victimMain under a keeper; both are gone when the object is. */
class TestJob {
 public:
  TestJob() {
    char keeper[PATH_MAX];
    int ends[2];
    if (crx_keeper_path(keeper, sizeof keeper) < 0 || ::pipe2(ends, O_CLOEXEC) != 0) return;
    const blcr::UniqueFd reading(ends[0]);
    const char* const program = self();
    keeper_ = ::fork();
    if (keeper_ == 0) {
      const int report = onlyStdioAnd(ends[1]);
      ::execl(keeper, keeper, "run", "--report", std::to_string(report).c_str(), "--", program, "--victim", nullptr);
      ::_exit(127);
    }
    ::close(ends[1]);
    char line[256] = {};
    if (::read(reading.get(), line, sizeof line - 1) > 0) std::sscanf(line, "started %d", &root_);
    awaitReady(root_);
  }
  TestJob(const TestJob&) = delete;
  TestJob& operator=(const TestJob&) = delete;
  ~TestJob() {
    if (root_ > 0 && ::kill(root_, 0) == 0) ::kill(root_, SIGKILL);
    if (keeper_ > 0) ::waitpid(keeper_, nullptr, 0);
  }
  [[nodiscard]] pid_t root() const { return root_; }
  [[nodiscard]] pid_t keeper() const { return keeper_; }
  /** Waits for the keeper's end; its wait status. */
  int wait() {
    int status = 0;
    ::waitpid(keeper_, &status, 0);
    keeper_ = root_ = 0;
    return status;
  }

 private:
  pid_t keeper_ = 0, root_ = 0;
};
